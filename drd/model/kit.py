"""The contents of a recovery kit: its first line, and the index inside it, which `kit_index`
reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from drd.model.drill_facts import Unproven
from drd.model.plan import SecretRef
from drd.model.seals import Seal
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    Fingerprint,
    RestorePoint,
    TreeFingerprint,
)
from drd.model.source_version import SourceVersion
from drd.model.units import format_time, to_rfc3339

KIT_SCHEMA = 1

ROOT = "recovery-kit"
"""The directory that the kit unpacks to."""

INDEX = "kit.json"

_MARK = "drd recovery kit"
_HEADING = re.compile(rf"{_MARK} of .*; sha256 of the rest: ([0-9a-f]{{64}})")


def heading(made_at: datetime, plans: Sequence[str], digest: str, *, passphrase: bool) -> str:
    """Return the first line of a kit: what the file is, and how to open it without drd. `digest` is
    the sha256 of everything after this line, so that a damaged kit is not mistaken for a wrong
    passphrase. The line is not signed.
    """
    key = "" if passphrase else " -i YOUR-IDENTITY-FILE"
    asks = "it asks for the passphrase; " if passphrase else ""
    return (
        f"{_MARK} of {format_time(made_at)} for {', '.join(plans)}; "
        f"open it without drd: tail -n +2 THIS-FILE | age -d{key} | tar -x ({asks}"
        f"age is at https://age-encryption.org or apt-get install age); "
        f"sha256 of the rest: {digest}"
    )


def is_heading(line: str) -> bool:
    """Return whether a file that begins like this is a kit."""
    return line.startswith(_MARK)


def digest_in(line: str) -> str:
    """Return the sha256 that a kit's first line contains, empty if the line is incomplete."""
    match = _HEADING.fullmatch(line.rstrip("\r\n"))
    return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class Key:
    """What opens a kit: the passphrase, or the text of an identity file (age's or an SSH key)."""

    passphrase: str | None = None
    identity: bytes = b""


@dataclass(frozen=True, slots=True)
class KitSecret:
    """One secret: the file of the kit that contains it, the reference in the plans that it
    resolves, and its purpose (`repository primary of orders-api: password`).
    """

    file: str
    reference: SecretRef
    use: str


@dataclass(frozen=True, slots=True)
class KitFile:
    """A script that the plans run, and the `file` of the kit that contains it; `mode` are its
    permissions.
    """

    path: str
    file: str
    mode: int


@dataclass(frozen=True, slots=True)
class KitRepository:
    """One repository of a plan. `id` is the id that restic has given to it, None if drd has not
    opened the repository yet."""

    name: str
    url: str
    id: str | None
    copy_of: str | None = None


@dataclass(frozen=True, slots=True)
class KitComponent:
    """One component of a point. `summary` counts what the fingerprint names: tables and rows, or
    entries. `snapshot` is its id in the repository where the point was made, `version` is the
    version of the server.
    """

    component: str
    kind: str
    snapshot: str | None
    data_time: datetime | None
    bytes: int
    summary: Mapping[str, int] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True, slots=True)
class KitPoint:
    """A restore point as the catalogue knew it when the kit was made."""

    id: str
    data_time: datetime
    available_at: datetime
    complete: bool
    proven_by: str | None
    repositories: tuple[str, ...]
    components: tuple[KitComponent, ...]


@dataclass(frozen=True, slots=True)
class KitFailure:
    """A component that a drill could not restore, and why, in one line. `of_data` says whether its
    data was at fault."""

    component: str
    why: str
    of_data: bool


@dataclass(frozen=True, slots=True)
class KitDrill:
    """A drill as the catalogue knew it when the kit was made. `proof` is the hash of what the drill
    proved of the plan. The other fields are the fields of the evidence.
    """

    evidence: str
    run: str
    point: str | None
    scenario: str
    result: str
    proof: str
    started_at: datetime
    finished_at: datetime
    rpa_s: float | None
    rta_s: float | None
    judged: bool
    data_time: datetime | None
    restored_bytes: int
    failed: tuple[KitFailure, ...] = ()
    unproven: tuple[Unproven, ...] = ()

    @property
    def refuted(self) -> str | None:
        """Return the point whose data the drill could not restore; None if it could."""
        return self.point if any(f.of_data for f in self.failed) else None

    def to_json(self) -> Any:
        return _plain(asdict(self))


@dataclass(frozen=True, slots=True)
class KitPlan:
    """One plan. `file` is the plan's file in the kit; `missing` are secrets that could not be read
    when the kit was made, each with its purpose. `needs` are programs that are not in the kit.
    `points` are the newest points, for people. `seals` distinguish all kept points from forged
    ones. `proof` is the hash of what a drill proves of the plan. `drills` are the drills that could
    not restore a point that is kept, and the last drill, if there are such. In kits of older
    versions, `seals` and `proof` are None, and `drills` is empty.
    """

    name: str
    digest: str
    file: str
    repositories: tuple[KitRepository, ...]
    points: tuple[KitPoint, ...] = ()
    missing: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    seals: tuple[Seal, ...] | None = None
    proof: str | None = None
    drills: tuple[KitDrill, ...] = ()

    @property
    def proven_as(self) -> str:
        """The hash that evidence of a drill with this kit carries."""
        return self.proof or self.digest

    @property
    def refuted(self) -> frozenset[str]:
        """The points whose data a drill could not restore."""
        return frozenset(d.refuted for d in self.drills if d.refuted is not None)

    @property
    def newest(self) -> KitPoint | None:
        """Return the newest complete point; a point that a drill could not restore only if there is
        no other."""
        complete = [p for p in self.points if p.complete]
        return next((p for p in complete if p.id not in self.refuted), next(iter(complete), None))


def needs_of(plans: Iterable[KitPlan]) -> tuple[str, ...]:
    """Return what the plans need on a new machine in addition to the kit, each thing once."""
    return tuple(dict.fromkeys(needed for plan in plans for needed in plan.needs))


@dataclass(frozen=True, slots=True)
class KitFormerKey:
    """A key that signed records and restore points until entry `replaced_seq`, which recorded the
    next one."""

    key: str
    public: str
    replaced_at: datetime
    replaced_seq: int


@dataclass(frozen=True, slots=True)
class KitRecords:
    """The newest entry of the host's chain of records when the kit was made, and the public half of
    the key that signed it: the chain begins with the entry of the hash `chain`, and entry `seq` has
    the `hash`. `former` are the earlier keys; older kits have none.
    """

    chain: str
    seq: int
    hash: str
    at: datetime
    key: str
    public: str
    former: tuple[KitFormerKey, ...] = ()


@dataclass(frozen=True, slots=True)
class KitIndex:
    """The content of `kit.json`. `config` is drd.yaml in the kit, None if the host had none;
    `config_dir` is the directory to which its relative paths were relative, `config_file` its path
    on the host, None in older kits. `files` are other files that a recovery needs, by their path on
    the host; `programs` are scripts that steps and checks run. `digests` has the sha256 of every
    file. `records` is None in older kits, and of a host whose records are not signed.
    """

    made_at: datetime
    host: str
    config: str | None
    config_dir: str
    plans: tuple[KitPlan, ...]
    secrets: tuple[KitSecret, ...]
    files: Mapping[str, str]
    versions: Mapping[str, str]
    digests: Mapping[str, str]
    programs: tuple[KitFile, ...] = ()
    records: KitRecords | None = None
    config_file: str | None = None

    @property
    def config_place(self) -> str:
        """The path of drd.yaml on the host."""
        return self.config_file or f"{self.config_dir}/drd.yaml"

    def plan(self, name: str) -> KitPlan:
        return next(p for p in self.plans if p.name == name)

    def to_json(self) -> dict[str, Any]:
        data = _plain(asdict(self))
        assert isinstance(data, dict)
        return {"schema": KIT_SCHEMA, **data}


def kit_point(
    point: RestorePoint, version: Callable[[ComponentSnapshot], SourceVersion]
) -> KitPoint:
    """Convert a restore point, without its fingerprints. `version` returns the version of a
    component's source."""
    return KitPoint(
        point.id,
        point.data_time,
        point.available_at,
        point.complete,
        point.proven_by,
        tuple(point.repositories),
        tuple(
            KitComponent(
                c.component,
                c.kind,
                c.snapshot,
                c.data_time,
                c.bytes,
                summary(c.fingerprint),
                version(c).exact,
            )
            for c in point.components
        ),
    )


def summary(fingerprint: Fingerprint | None) -> dict[str, int]:
    """Count what a fingerprint names, in words."""
    if isinstance(fingerprint, DatabaseFingerprint):
        tables = fingerprint.tables
        return {"tables": len(tables), "rows": sum(t.rows for t in tables.values())}
    if isinstance(fingerprint, TreeFingerprint):
        return {"entries": len(fingerprint.entries)}
    return {}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_rfc3339(value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
