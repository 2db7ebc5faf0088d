"""Read manifests strictly: a manifest may contain only what drd writes into one, whoever
wrote it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from drd.errors import ManifestRefused, ManifestTooNew
from drd.model import former_rows, strict
from drd.model.consistency import Spread, too_wide
from drd.model.manifest_signature import Endorsement, ManifestSignature, signature_of
from drd.model.plan import OWN_COMPONENT
from drd.model.snapshot import (
    MANIFEST_SCHEMA,
    ComponentSnapshot,
    DatabaseFingerprint,
    FileEntry,
    Fingerprint,
    MadeDuring,
    Manifest,
    RestorePoint,
    TableState,
    TreeFingerprint,
)

MOST_COMPONENTS = 1000
MOST_ANSWERS = 10_000
MOST_KEYS = 1000
MOST_GROUPS = 1000

_MODES: tuple[Literal["counts", "digest", "off"], ...] = ("counts", "digest", "off")
_ENTRIES = frozenset({"file", "directory", "symlink", "fifo", "socket", "device"})
_MOST_ID = (1 << 32) - 1
_LONG = 4 * strict.LONGEST_TEXT

RequireWritten = Callable[[ComponentSnapshot, Mapping[str, Any]], None]
"""A kind's check of a component and its private part. Raises ValueError."""


def manifest_digest(data: bytes) -> str:
    """Return the sha256 of a manifest's bytes, which identifies it."""
    return hashlib.sha256(data).hexdigest()


def manifest_from_bytes(
    data: bytes,
    *,
    repository: str,
    snapshot: str,
    available_at: datetime,
    copied_at: datetime | None = None,
    require_written: RequireWritten | None = None,
) -> Manifest:
    """Read a manifest.

    `available_at` is the time of its snapshot, `copied_at` is when a copy of it was first known.
    `require_written` refuses a captured component if its kind would not write it in this form.
    Raises ManifestTooNew for a schema that this drd does not know, and ManifestRefused for
    everything that drd would not have written.
    """
    called = f"manifest {snapshot[:8]} in {repository}"
    try:
        raw = strict.document(data, "the manifest")
        schema = strict.count(strict.member(raw, "schema"), "schema")
        if schema != MANIFEST_SCHEMA:
            raise ManifestTooNew(
                f"{called} has schema {schema}, but this drd reads schema {MANIFEST_SCHEMA}",
                hint="a newer drd made this manifest: install that version. See "
                "docs/recovery-without-drd.md.",
                repair="none",
            )
        return _manifest(
            raw,
            repository={repository: strict.snapshot_id(snapshot, "the manifest's snapshot")},
            available_at=available_at,
            copied={repository: copied_at} if copied_at is not None else {},
            digest=manifest_digest(data),
            signature=signature_of(data, has_member="signature" in raw),
            require_written=require_written,
        )
    except strict.UnexpectedValue as error:
        raise refused(called, error) from None


def refused(called: str, error: ValueError) -> ManifestRefused:
    """Return the error for a manifest, named by `called`, that contains what drd does not write."""
    return ManifestRefused(
        f"drd refuses {called}, because drd never writes such a manifest: {error}",
        hint="use another restore point, and find out who can write to the repository: "
        "anyone who has its password can forge manifests.",
        repair="none",
    )


def _manifest(
    raw: Mapping[str, Any],
    *,
    repository: Mapping[str, str],
    available_at: datetime,
    copied: Mapping[str, datetime],
    digest: str,
    signature: ManifestSignature,
    require_written: RequireWritten | None,
) -> Manifest:
    components = tuple(
        strict.each(component, strict.member(raw, "components"), "components", most=MOST_COMPONENTS)
    )
    names = [c.component for c in components]
    if len(set(names)) != len(names):
        raise strict.UnexpectedValue("components contains the same component twice")
    point = RestorePoint(
        id=strict.point_id(strict.member(raw, "point"), "point"),
        plan=strict.name(strict.member(raw, "plan"), "plan"),
        data_time=strict.time(strict.member(raw, "data_time"), "data_time"),
        available_at=available_at,
        complete=strict.flag(strict.member(raw, "complete"), "complete"),
        plan_digest=strict.text(strict.member(raw, "plan_digest"), "plan_digest", most=80),
        components=components,
        repositories=repository,
        copied=copied,
        made_during=strict.maybe(_made_during, raw.get("made_during"), "made_during"),
        consistency=tuple(
            strict.each(_spread, raw.get("consistency", []), "consistency", most=MOST_GROUPS)
        ),
    )
    if point.complete and too_wide(point.consistency):
        raise strict.refuse("complete", "is true, although a group in `consistency` is too wide")
    private = strict.by_key(
        _private, strict.member(raw, "private"), "private", most=MOST_COMPONENTS
    )
    if require_written is not None:
        for row in (c for c in components if c.state == "captured"):
            require_written(row, private.get(row.component, {}))
    return Manifest(
        point,
        strict.plain(
            strict.mapping(strict.member(raw, "resolved_plan"), "resolved_plan"), "resolved_plan"
        ),
        strict.by_key(strict.text, strict.member(raw, "versions"), "versions", most=100),
        private,
        digest,
        signature,
        tuple(strict.each(_endorsed, raw.get("keys", []), "keys", most=MOST_KEYS)),
    )


def _made_during(value: Any, place: str) -> MadeDuring:
    raw = strict.mapping(value, place)
    names = strict.member(raw, "components", place)
    return MadeDuring(
        strict.point_id(strict.member(raw, "run", place), f"{place}.run"),
        tuple(strict.each(strict.name, names, f"{place}.components", most=MOST_COMPONENTS)),
        strict.flag(strict.member(raw, "whole", place), f"{place}.whole"),
    )


def _spread(value: Any, place: str) -> Spread:
    raw = strict.mapping(value, place)
    names = strict.member(raw, "components", place)
    return Spread(
        tuple(strict.each(strict.name, names, f"{place}.components", most=MOST_COMPONENTS)),
        strict.number(strict.member(raw, "within_s", place), f"{place}.within_s"),
        strict.maybe(strict.number, strict.member(raw, "spread_s", place), f"{place}.spread_s"),
    )


def _endorsed(value: Any, place: str) -> Endorsement:
    raw = strict.mapping(value, place)
    return Endorsement(
        strict.text(strict.member(raw, "public", place), f"{place}.public", most=44),
        strict.text(strict.member(raw, "former", place), f"{place}.former", most=16),
        strict.text(strict.member(raw, "signed", place), f"{place}.signed", most=88),
        _moment(raw.get("at", ""), f"{place}.at"),
    )


def _moment(value: Any, place: str) -> str:
    """Return the text of a time, of which a signature is; empty in older manifests."""
    text = strict.text(value, place, most=32)
    if text:
        strict.time(text, place)
    return text


def _private(value: Any, place: str) -> Mapping[str, Any]:
    private: Mapping[str, Any] = strict.plain(strict.mapping(value, place), place)
    return private


def component(value: Any, place: str) -> ComponentSnapshot:
    """Read one component of a point. Keys of a later drd are ignored. Raises Refused."""
    raw = strict.mapping(value, place)

    def read(key: str, how: Callable[[Any, str], Any]) -> Any:
        return how(strict.member(raw, key, place), f"{place}.{key}")

    def maybe(key: str, how: Callable[[Any, str], Any]) -> Any:
        return strict.maybe(how, raw.get(key), f"{place}.{key}")

    state: Literal["captured", "failed"] = read(
        "state", lambda v, p: strict.one_of(v, p, ("captured", "failed"))
    )
    error = maybe("error", lambda v, p: strict.text(v, p, most=1 << 20))
    remedy = maybe("remedy", lambda v, p: strict.text(v, p, most=1 << 20))
    if error is not None and remedy is None:  # of an older drd
        error, remedy = former_rows.cause_of(error)
    snapshot = ComponentSnapshot(
        component=read("component", strict.name),
        kind=read("kind", strict.name),
        state=state,
        data_time=maybe("data_time", strict.time),
        snapshot=maybe("snapshot", strict.snapshot_id),
        bytes=read("bytes", strict.count),
        added_bytes=read("added_bytes", strict.count),
        duration_s=read("duration_s", strict.number),
        error=error,
        facts=read("facts", _plain_mapping),
        observations=read("observations", _answers),
        fingerprint=maybe("fingerprint", fingerprint),
        remedy=remedy or "",
    )
    if snapshot.component == OWN_COMPONENT:
        raise strict.refuse(f"{place}.component", "is a reserved name of drd")
    if state == "captured" and snapshot.snapshot is None:
        raise strict.refuse(f"{place}.snapshot", "is missing, although it was captured")
    return snapshot


def _plain_mapping(value: Any, place: str) -> Mapping[str, Any]:
    values: Mapping[str, Any] = strict.plain(strict.mapping(value, place, most=10_000), place)
    return values


def _answers(value: Any, place: str) -> Mapping[str, Any]:
    answers: Mapping[str, Any] = strict.plain(
        strict.mapping(value, place, most=MOST_ANSWERS), place
    )
    return answers


def fingerprint(value: Any, place: str) -> Fingerprint:
    """Read a fingerprint. Raises Refused."""
    raw = strict.mapping(value, place)
    kind = strict.one_of(strict.member(raw, "type", place), f"{place}.type", ("database", "tree"))
    reasons = strict.by_key(
        _reason, strict.member(raw, "not_reached", place), f"{place}.not_reached"
    )
    if kind == "tree":
        entries = strict.mapping(strict.member(raw, "entries", place), f"{place}.entries")
        return TreeFingerprint({p: _entry(p, e, place) for p, e in entries.items()}, reasons)
    mode = strict.one_of(strict.member(raw, "mode", place), f"{place}.mode", _MODES)
    return DatabaseFingerprint(
        next(m for m in _MODES if m == mode),
        strict.by_key(_table, strict.member(raw, "tables", place), f"{place}.tables"),
        reasons,
        strict.plain(
            strict.mapping(strict.member(raw, "properties", place), f"{place}.properties"),
            f"{place}.properties",
        ),
        frozenset(strict.each(_qualified, raw.get("derived", []), f"{place}.derived")),
        strict.by_key(_partitions, raw.get("partitioned", {}), f"{place}.partitioned"),
        strict.by_key(strict.text, raw.get("others", {}), f"{place}.others"),
    )


def _reason(value: Any, place: str) -> str:
    return strict.text(value, place, most=1 << 20)


def _qualified(value: Any, place: str) -> str:
    return strict.text(value, place)


def _partitions(value: Any, place: str) -> tuple[str, ...]:
    return tuple(strict.each(_qualified, value, place))


def _table(value: Any, place: str) -> TableState:
    pair = strict.array(value, place, most=2)
    if len(pair) != 2:
        raise strict.refuse(place, "is not a pair of rows and digest")
    return TableState(strict.count(pair[0], place), strict.maybe(_short, pair[1], place))


def _short(value: Any, place: str) -> str:
    return strict.text(value, place, most=200)


def _entry(path: str, value: Any, place: str) -> FileEntry:
    """Read one entry. There may be millions, so the place in words is only made for an error."""
    if path[:1] != "/" or "\0" in path or "/." in path or "//" in path or path[-1:] == "/":
        strict.absolute_path(path, f"a path of {place}.entries")
    try:
        get = value.get
        kind, mode, uid, gid = value["kind"], value["mode"], value["uid"], value["gid"]
        size, digest, link, xattrs = get("size", 0), get("digest"), get("link"), get("xattrs")
        volatile = get("volatile", False)
        numbers = type(mode) is type(uid) is type(gid) is type(size) is int
        if (
            not numbers
            or kind not in _ENTRIES
            or not 0 <= mode <= 0o7777
            or not 0 <= uid <= _MOST_ID
            or not 0 <= gid <= _MOST_ID
            or not 0 <= size <= strict.MOST
            or not (digest is None or (type(digest) is str and len(digest) <= _LONG))
            or not (link is None or (type(link) is str and len(link) <= _LONG))
            or not (xattrs is None or (type(xattrs) is str and len(xattrs) <= _LONG))
            or type(volatile) is not bool
        ):
            raise TypeError
    except (TypeError, KeyError, AttributeError):
        raise strict.refuse(
            f"{place}.entries", "has an entry that drd never writes", path
        ) from None
    return FileEntry(kind, mode, uid, gid, size, digest, link, xattrs, volatile)
