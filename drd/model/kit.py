"""What a recovery kit says about itself: its first line, and the index inside of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from drd.model import strict
from drd.model.plan import SecretRef
from drd.model.seals import Seal, seal_from_json
from drd.model.snapshot import DatabaseFingerprint, Fingerprint, RestorePoint, TreeFingerprint
from drd.model.units import from_rfc3339, to_rfc3339

KIT_SCHEMA = 1

ROOT = "recovery-kit"
"""The directory that the kit unpacks to."""

INDEX = "kit.json"

_MARK = "drd recovery kit"
_HEADING = re.compile(rf"{_MARK} of .*; sha256 of the rest: ([0-9a-f]{{64}})")


def heading(made_at: datetime, plans: Sequence[str], digest: str, *, passphrase: bool) -> str:
    """The first line of a kit: what it is, and how to open it without drd.

    `digest` is the sha256 of what follows it, so that a damaged kit is not taken for a wrong
    passphrase. Nobody signs this line.
    """
    key = "" if passphrase else " -i YOUR-IDENTITY-FILE"
    asks = "asks for the passphrase, " if passphrase else ""
    return (
        f"{_MARK} of {made_at:%Y-%m-%d %H:%M} UTC for {', '.join(plans)}; "
        f"open it without drd: tail -n +2 THIS-FILE | age -d{key} | tar -x ({asks}"
        f"age is at https://age-encryption.org or apt-get install age); "
        f"sha256 of the rest: {digest}"
    )


def is_heading(line: str) -> bool:
    """Whether a file that begins so is a kit."""
    return line.startswith(_MARK)


def digest_in(line: str) -> str:
    """The sha256 that a kit's first line promises, or nothing where the line is not whole."""
    match = _HEADING.fullmatch(line.rstrip("\r\n"))
    return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class Key:
    """What opens a kit: the passphrase, or the text of an identity file (age's or an SSH key)."""

    passphrase: str | None = None
    identity: bytes = b""


@dataclass(frozen=True, slots=True)
class KitSecret:
    """One secret: the file of the kit that holds it, the reference that it answers in the plans,
    and what for (`repository primary of orders-api: password`)."""

    file: str
    reference: SecretRef
    use: str


@dataclass(frozen=True, slots=True)
class KitFile:
    """A script that the plans run, and `file` of the kit that holds it; `mode` are its permissions."""

    path: str
    file: str
    mode: int


@dataclass(frozen=True, slots=True)
class KitRepository:
    """`id` is restic's, None when drd has not seen the repository yet."""

    name: str
    url: str
    id: str | None
    copy_of: str | None = None


@dataclass(frozen=True, slots=True)
class KitComponent:
    """One component of a point. `summary` counts what the fingerprint holds: tables and rows, or
    entries; `snapshot` is its id where the point was made, `version` the server's."""

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
class KitPlan:
    """`file` is the plan's in the kit; `missing` are secrets that could not be read when the kit was
    made, each with what it is for. `needs` are programs that are not in the kit. `points` are the newest
    ones, for people; `seals` tell all that were kept from forged ones, None in kits of before."""

    name: str
    digest: str
    file: str
    repositories: tuple[KitRepository, ...]
    points: tuple[KitPoint, ...] = ()
    missing: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    seals: tuple[Seal, ...] | None = None

    @property
    def newest(self) -> KitPoint | None:
        return next((p for p in self.points if p.complete), None)


@dataclass(frozen=True, slots=True)
class KitIndex:
    """What `kit.json` holds. `config` is drd.yaml in the kit, None when the host had none, and
    `config_dir` the directory that its relative paths began from. `files` are others that are
    needed to restore, by their path on the host, `programs` scripts that steps and checks run.
    `digests` has the sha256 of every file."""

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

    def plan(self, name: str) -> KitPlan:
        return next(p for p in self.plans if p.name == name)

    def to_json(self) -> dict[str, Any]:
        data = _plain(asdict(self))
        assert isinstance(data, dict)
        return {"schema": KIT_SCHEMA, **data}


def index_from_json(data: Mapping[str, Any]) -> KitIndex:
    """The inverse of `to_json`. Raises ValueError, KeyError or TypeError for anything else."""
    if data["schema"] != KIT_SCHEMA:
        raise ValueError(f"a kit of schema {data['schema']}, this drd reads {KIT_SCHEMA}")
    return KitIndex(
        made_at=from_rfc3339(data["made_at"]),
        host=data["host"],
        config=data["config"],
        config_dir=data["config_dir"],
        plans=tuple(_plan(p) for p in data["plans"]),
        secrets=tuple(
            KitSecret(s["file"], _reference(s["reference"]), s["use"]) for s in data["secrets"]
        ),
        files=dict(data["files"]),
        versions=dict(data["versions"]),
        digests=dict(data["digests"]),
        # Those that are older have none.
        programs=tuple(KitFile(**f) for f in data.get("programs", ())),
    )


def kit_point(point: RestorePoint) -> KitPoint:
    """A restore point without its fingerprints."""
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
                str(c.facts.get("server_version", "")),
            )
            for c in point.components
        ),
    )


def summary(fingerprint: Fingerprint | None) -> dict[str, int]:
    """How much of what a fingerprint names."""
    if isinstance(fingerprint, DatabaseFingerprint):
        tables = fingerprint.tables
        return {"tables": len(tables), "rows": sum(t.rows for t in tables.values())}
    if isinstance(fingerprint, TreeFingerprint):
        return {"entries": len(fingerprint.entries)}
    return {}


def _plan(data: Mapping[str, Any]) -> KitPlan:
    return KitPlan(
        data["name"],
        data["digest"],
        data["file"],
        tuple(KitRepository(**r) for r in data["repositories"]),
        tuple(_point(p) for p in data["points"]),
        tuple(data["missing"]),
        tuple(data.get("needs", ())),
        None
        if data.get("seals") is None
        else tuple(strict.each(seal_from_json, data["seals"], "seals", most=1_000_000)),
    )


def _point(data: Mapping[str, Any]) -> KitPoint:
    known = {**data}
    known["data_time"] = from_rfc3339(data["data_time"])
    known["available_at"] = from_rfc3339(data["available_at"])
    known["repositories"] = tuple(data["repositories"])
    known["components"] = tuple(
        KitComponent(**{**c, "data_time": from_rfc3339(c["data_time"]) if c["data_time"] else None})
        for c in data["components"]
    )
    return KitPoint(**known)


def _reference(data: Mapping[str, Any]) -> SecretRef:
    value = data["value"]
    return SecretRef(data["source"], tuple(value) if isinstance(value, list) else value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_rfc3339(value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
