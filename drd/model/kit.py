"""The contents of a recovery kit: its first line, and the index inside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal

from drd.model import strict
from drd.model.plan import SecretRef
from drd.model.seals import Seal, seal_from_json
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

_MOST = 100_000
_MOST_FILES = 1_000_000
_SOURCES: tuple[Literal["file", "env", "credential", "command", "text"], ...] = (
    "file", "env", "credential", "command", "text",
)  # fmt: skip

ROOT = "recovery-kit"
"""The directory that the kit unpacks to."""

INDEX = "kit.json"

_MARK = "drd recovery kit"
_HEADING = re.compile(rf"{_MARK} of .*; sha256 of the rest: ([0-9a-f]{{64}})")


def heading(made_at: datetime, plans: Sequence[str], digest: str, *, passphrase: bool) -> str:
    """Return the first line of a kit: what the file is, and how to open it without drd.

    `digest` is the sha256 of what follows the line, so that a damaged kit is not mistaken for a
    wrong passphrase. Nobody signs this line.
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
    """One repository of a plan. `id` is restic's, None if drd has not opened the repository yet."""

    name: str
    url: str
    id: str | None
    copy_of: str | None = None


@dataclass(frozen=True, slots=True)
class KitComponent:
    """One component of a point. `summary` counts what the fingerprint names: tables and rows, or
    entries. `snapshot` is its id in the repository where the point was made, `version` the
    server's.
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
class KitPlan:
    """One plan. `file` is the plan's in the kit; `missing` are secrets that could not be read when
    the kit was made, each with its purpose. `needs` are programs that are not in the kit. `points`
    are the newest ones, for people. `seals` distinguish all kept points from forged ones; None in
    kits of older versions. `proof` is the hash of what a drill proves of the plan; None in such
    kits.
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

    @property
    def proven_as(self) -> str:
        """The hash that evidence of a drill with this kit carries."""
        return self.proof or self.digest

    @property
    def newest(self) -> KitPoint | None:
        return next((p for p in self.points if p.complete), None)


def needs_of(plans: Iterable[KitPlan]) -> tuple[str, ...]:
    """Return what the plans need on a new machine beside the kit, each thing once."""
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
    """Where the host's chain of records stood when the kit was made, and the public half of the
    key that signed it: the chain begins with the entry of the hash `chain`, and entry `seq` has the
    `hash`. `former` are the keys before it; older kits have none.
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
    `config_dir` is the directory that its relative paths began from, `config_file` its path on the
    host, None in older kits. `files` are other files that a
    recovery needs, by their path on the host; `programs` are scripts that steps and checks run.
    `digests` has the sha256 of every file. `records` is None in older kits, and of a host whose
    records are not signed.
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


def index_from_json(data: Any) -> KitIndex:
    """Return the inverse of `to_json`. Raises ValueError for anything that drd does not write."""
    raw = strict.mapping(data, "the index")
    schema = strict.count(strict.member(raw, "schema"), "schema")
    if schema != KIT_SCHEMA:
        raise strict.UnexpectedValue(
            f"the kit has schema {schema}, but this drd reads schema {KIT_SCHEMA}"
        )
    return KitIndex(
        made_at=strict.time(strict.member(raw, "made_at"), "made_at"),
        host=strict.text(strict.member(raw, "host"), "host"),
        config=strict.maybe(inner_name, strict.member(raw, "config"), "config"),
        config_dir=strict.absolute_path(strict.member(raw, "config_dir"), "config_dir"),
        plans=tuple(strict.each(_plan, strict.member(raw, "plans"), "plans", most=_MOST)),
        secrets=tuple(strict.each(_secret, strict.member(raw, "secrets"), "secrets", most=_MOST)),
        files={
            strict.absolute_path(path, "a path in files"): name
            for path, name in strict.by_key(
                inner_name, strict.member(raw, "files"), "files", most=_MOST
            ).items()
        },
        versions=strict.by_key(strict.text, strict.member(raw, "versions"), "versions", most=100),
        digests=strict.by_key(
            strict.digest, strict.member(raw, "digests"), "digests", most=_MOST_FILES
        ),
        # Those that are older have none.
        programs=tuple(strict.each(_program, raw.get("programs", []), "programs", most=_MOST)),
        records=strict.maybe(_records, raw.get("records"), "records"),
        config_file=strict.maybe(strict.absolute_path, raw.get("config_file"), "config_file"),
    )


def inner_name(value: Any, place: str) -> str:
    """Require the name of a file of the kit: a path below its directory."""
    name = strict.text(value, place)
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise strict.refuse(place, "is not a file of a kit", name)
    return name


def kit_point(
    point: RestorePoint, version: Callable[[ComponentSnapshot], SourceVersion]
) -> KitPoint:
    """Convert a restore point, without its fingerprints. `version` gives that of a component's
    source."""
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


def _plan(value: Any, place: str) -> KitPlan:
    raw = strict.mapping(value, place)
    seals = raw.get("seals")
    return KitPlan(
        strict.name(strict.member(raw, "name", place), f"{place}.name"),
        strict.text(strict.member(raw, "digest", place), f"{place}.digest", most=80),
        inner_name(strict.member(raw, "file", place), f"{place}.file"),
        tuple(
            strict.each(
                _repository, strict.member(raw, "repositories", place), f"{place}.repositories"
            )
        ),
        tuple(strict.each(_point, strict.member(raw, "points", place), f"{place}.points")),
        tuple(strict.each(strict.text, strict.member(raw, "missing", place), f"{place}.missing")),
        tuple(strict.each(strict.text, raw.get("needs", []), f"{place}.needs")),
        None if seals is None else tuple(strict.each(seal_from_json, seals, f"{place}.seals")),
        strict.maybe(partial(strict.text, most=80), raw.get("proof"), f"{place}.proof"),
    )


def _repository(value: Any, place: str) -> KitRepository:
    raw = strict.mapping(value, place)
    return KitRepository(
        strict.name(strict.member(raw, "name", place), f"{place}.name"),
        strict.text(strict.member(raw, "url", place), f"{place}.url"),
        strict.maybe(strict.digest, strict.member(raw, "id", place), f"{place}.id"),
        strict.maybe(strict.name, raw.get("copy_of"), f"{place}.copy_of"),
    )


def _secret(value: Any, place: str) -> KitSecret:
    raw = strict.mapping(value, place)
    return KitSecret(
        inner_name(strict.member(raw, "file", place), f"{place}.file"),
        _reference(strict.member(raw, "reference", place), f"{place}.reference"),
        strict.text(strict.member(raw, "use", place), f"{place}.use"),
    )


def _records(value: Any, place: str) -> KitRecords:
    raw = strict.mapping(value, place)
    return KitRecords(
        strict.digest(strict.member(raw, "chain", place), f"{place}.chain"),
        strict.count(strict.member(raw, "seq", place), f"{place}.seq"),
        strict.digest(strict.member(raw, "hash", place), f"{place}.hash"),
        strict.time(strict.member(raw, "at", place), f"{place}.at"),
        strict.text(strict.member(raw, "key", place), f"{place}.key", most=16),
        strict.text(strict.member(raw, "public", place), f"{place}.public", most=100),
        tuple(strict.each(_former_key, raw.get("former", []), f"{place}.former", most=_MOST)),
    )


def _former_key(value: Any, place: str) -> KitFormerKey:
    raw = strict.mapping(value, place)
    return KitFormerKey(
        strict.text(strict.member(raw, "key", place), f"{place}.key", most=16),
        strict.text(strict.member(raw, "public", place), f"{place}.public", most=100),
        strict.time(strict.member(raw, "replaced_at", place), f"{place}.replaced_at"),
        strict.count(strict.member(raw, "replaced_seq", place), f"{place}.replaced_seq"),
    )


def _program(value: Any, place: str) -> KitFile:
    raw = strict.mapping(value, place)
    return KitFile(
        strict.absolute_path(strict.member(raw, "path", place), f"{place}.path"),
        inner_name(strict.member(raw, "file", place), f"{place}.file"),
        strict.count(strict.member(raw, "mode", place), f"{place}.mode", most=0o7777),
    )


def _point(value: Any, place: str) -> KitPoint:
    raw = strict.mapping(value, place)
    return KitPoint(
        strict.point_id(strict.member(raw, "id", place), f"{place}.id"),
        strict.time(strict.member(raw, "data_time", place), f"{place}.data_time"),
        strict.time(strict.member(raw, "available_at", place), f"{place}.available_at"),
        strict.flag(strict.member(raw, "complete", place), f"{place}.complete"),
        strict.maybe(strict.text, strict.member(raw, "proven_by", place), f"{place}.proven_by"),
        tuple(
            strict.each(
                strict.name, strict.member(raw, "repositories", place), f"{place}.repositories"
            )
        ),
        tuple(
            strict.each(_component, strict.member(raw, "components", place), f"{place}.components")
        ),
    )


def _component(value: Any, place: str) -> KitComponent:
    raw = strict.mapping(value, place)
    return KitComponent(
        strict.name(strict.member(raw, "component", place), f"{place}.component"),
        strict.name(strict.member(raw, "kind", place), f"{place}.kind"),
        strict.maybe(
            strict.snapshot_id, strict.member(raw, "snapshot", place), f"{place}.snapshot"
        ),
        strict.maybe(strict.time, strict.member(raw, "data_time", place), f"{place}.data_time"),
        strict.count(strict.member(raw, "bytes", place), f"{place}.bytes"),
        strict.by_key(strict.count, raw.get("summary", {}), f"{place}.summary", most=100),
        strict.text(raw.get("version", ""), f"{place}.version"),
    )


def _reference(value: Any, place: str) -> SecretRef:
    raw = strict.mapping(value, place)
    source = strict.one_of(strict.member(raw, "source", place), f"{place}.source", _SOURCES)
    text = strict.member(raw, "value", place)
    if isinstance(text, list):
        words = tuple(strict.each(strict.text, text, f"{place}.value", most=1000))
        return SecretRef(next(s for s in _SOURCES if s == source), words)
    return SecretRef(next(s for s in _SOURCES if s == source), strict.text(text, f"{place}.value"))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_rfc3339(value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
