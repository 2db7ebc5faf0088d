"""Snapshots, fingerprints and restore points: what was captured, and its state at that time."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from drd.model.clock import FAR_AHEAD
from drd.model.consistency import Spread
from drd.model.manifest_signature import NO_SIGNATURE, Endorsement, ManifestSignature
from drd.model.units import format_size, to_rfc3339

MANIFEST_FILE = "manifest.json"
MANIFEST_SCHEMA = 1

TORN_SHARE = 0.1
"""If more than this share of a tree's bytes changed while it was captured, a restore proves
nothing.
"""

UNSAID = "and the plan does not say `may_be_empty: true`"
WAS_EMPTY = f"the component was empty at backup too, {UNSAID}"


def only_links(links: Collection[str]) -> str:
    """Return a sentence if a tree contains only links, and not the files to which they lead; else
    empty."""
    shown = ", ".join(sorted(links)[:3]) + (", …" if len(links) > 3 else "")
    return f"the backup contains only the link {shown}, not the target of the link, {UNSAID}"


def torn(changed_bytes: int, of_bytes: int) -> str:
    """Return why a restore of a tree proves nothing if this much of it changed during the capture;
    empty if little changed.
    """
    if changed_bytes <= TORN_SHARE * of_bytes:
        return ""
    return (
        f"{format_size(changed_bytes)} of {format_size(of_bytes)} changed during the capture: "
        "the stored files may be inconsistent"
    )


@dataclass(frozen=True, slots=True)
class TableState:
    """The number of rows of one table, and a digest of them if the fingerprint's mode wants one."""

    rows: int
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class DatabaseFingerprint:
    """The state of a database at its data time, or of anything that consists of named things with
    counts and digests: kinds of other packages use it as well.

    `tables` is keyed by the qualified name as the database prints it (`public.orders`, `public."odd
    name"`). `not_reached` names tables that the time budget or a missing right left out, with the
    reason. `properties` are the database's own: owner, encoding, locale, settings. `derived` names
    the tables that a restore computes anew (materialised views): a dump does not contain their
    rows. `damaged` are those of `not_reached` whose data the server itself calls damaged, as they
    are now; no manifest has it. `partitioned` has the tables without rows of their own, with their
    partitions; `others` are relations that are no tables (`view`). `rewritten` says of tables why a
    dump may have changed values in them; it is not stored.
    """

    mode: Literal["counts", "digest", "off"]
    tables: Mapping[str, TableState] = field(default_factory=dict)
    not_reached: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    derived: frozenset[str] = frozenset()
    partitioned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    rewritten: Mapping[str, str] = field(default_factory=dict, compare=False)
    damaged: frozenset[str] = field(default_factory=frozenset, compare=False)

    def to_json(self) -> dict[str, Any]:
        return {
            "type": "database",
            "mode": self.mode,
            "tables": {n: [t.rows, t.digest] for n, t in sorted(self.tables.items())},
            "not_reached": dict(sorted(self.not_reached.items())),
            "properties": dict(self.properties),
            "derived": sorted(self.derived),
            "partitioned": {n: list(p) for n, p in sorted(self.partitioned.items())},
            "others": dict(sorted(self.others.items())),
        }

    def says_nothing(self, *, may_be_empty: bool) -> str:
        """Return why a restore of this database proves nothing; empty if it proves something, or if
        nobody counted the rows.
        """
        counted = {n: t for n, t in self.tables.items() if n not in self.derived}
        if may_be_empty or self.mode == "off" or any(self.not_reached):
            return ""
        if not counted:
            return f"there was no table at backup, {UNSAID}"
        if not any(t.rows for t in counted.values()):
            return f"there was no row in any table at backup, {UNSAID}"
        return ""

    def was_empty(self, *, may_be_empty: bool) -> bool:
        """Return whether the database was empty, and the plan does not allow that."""
        return bool(self.says_nothing(may_be_empty=may_be_empty))

    def only(self, names: Collection[str]) -> DatabaseFingerprint:
        """Return the fingerprint of these tables alone, without the properties of the database."""
        leaves = {leaf for n in names for leaf in self.partitioned.get(n, (n,))}
        return DatabaseFingerprint(
            self.mode,
            {n: t for n, t in self.tables.items() if n in leaves},
            {n: why for n, why in self.not_reached.items() if n in leaves},
            partitioned={n: p for n, p in self.partitioned.items() if n in names},
            damaged=self.damaged & leaves,
        )


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One directory entry, from `lstat` and its contents. `kind`: file, directory, symlink, fifo,
    socket or device. `digest` is the sha256 of a file's bytes. `link` is a symlink's target; for
    all but the first name of a hard-linked file it is that first name. `xattrs` is a digest over
    names and values. `volatile` says that the entry changed while it was captured, so nobody knows
    which state the repository contains.
    """

    kind: str
    mode: int
    uid: int
    gid: int
    size: int = 0
    digest: str | None = None
    link: str | None = None
    xattrs: str | None = None
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class TreeFingerprint:
    """The state of directories and files, keyed by absolute path; bytes that are not UTF-8 are
    surrogate escapes. `not_reached` names what could not be read, with the reason.
    """

    entries: Mapping[str, FileEntry] = field(default_factory=dict)
    not_reached: Mapping[str, str] = field(default_factory=dict)

    def says_nothing(self, *, may_be_empty: bool) -> str:
        """Return why a restore of this tree proves nothing; empty if it proves something."""
        files = [e for e in self.entries.values() if e.kind != "directory"]
        if self.was_empty(may_be_empty=may_be_empty):
            return only_links(self.links_outside()) if files else WAS_EMPTY
        return torn(sum(e.size for e in files if e.volatile), sum(e.size for e in files))

    def was_empty(self, *, may_be_empty: bool) -> bool:
        """Return whether the tree had no file, or only named paths that are links to places outside
        of it, and the plan does not allow this."""
        if may_be_empty or self.not_reached:
            return False
        files = {path for path, e in self.entries.items() if e.kind != "directory"}
        return not files or files <= self.links_outside()

    def links_outside(self) -> set[str]:
        """Return those of the topmost entries (the named paths) that are links to places outside of
        the tree: often a directory was moved to another disk."""
        return {
            path
            for path, entry in self.entries.items()
            if entry.kind == "symlink"
            and posixpath.dirname(path) not in self.entries
            and self._leads_outside(path)
        }

    def _leads_outside(self, path: str) -> bool:
        passed = set()
        while (entry := self.entries.get(path)) is not None and entry.kind == "symlink":
            if path in passed or entry.link is None:
                return True
            passed.add(path)
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.link))
        return entry is None

    def to_json(self) -> dict[str, Any]:
        return {
            "type": "tree",
            "entries": {
                p: {k: v for k, v in asdict(e).items() if v is not None and v is not False}
                for p, e in sorted(self.entries.items())
            },
            "not_reached": dict(sorted(self.not_reached.items())),
        }


Fingerprint = DatabaseFingerprint | TreeFingerprint
"""All forms of fingerprints. Manifests are read strictly, so a kind of an extension has to use one
of these."""


def fingerprint_from_json(data: Mapping[str, Any]) -> Fingerprint:
    """Return the inverse of `to_json`, for data that this host has written."""
    if data["type"] == "tree":
        entries = {p: FileEntry(**e) for p, e in data["entries"].items()}
        return TreeFingerprint(entries, data["not_reached"])
    tables = {n: TableState(rows, digest) for n, (rows, digest) in data["tables"].items()}
    return DatabaseFingerprint(
        data["mode"],
        tables,
        data["not_reached"],
        data["properties"],
        frozenset(data.get("derived", ())),
        {n: tuple(p) for n, p in data.get("partitioned", {}).items()},
        data.get("others", {}),
    )


def canonical_json(data: Any) -> bytes:
    """Return the same bytes for the same data, in pure ASCII, so that surrogate escapes survive."""
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode("ascii")


def json_digest(data: Any) -> str:
    return hashlib.sha256(canonical_json(data)).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """What the repository reports about a snapshot that it has just made. Sizes are bytes."""

    snapshot: str
    bytes: int
    added_bytes: int
    files: int = 0


@dataclass(frozen=True, slots=True)
class ComponentSnapshot:
    """One component in one restore point. `state` is `captured` or `failed`; a failed one has
    `error`, its `remedy` and no snapshot. `facts` are what a restore needs to know and may be
    printed (server version, file name in the snapshot). `observations` are answers of the source to
    queries of checks, by check name.
    """

    component: str
    kind: str
    state: Literal["captured", "failed"]
    data_time: datetime | None = None
    snapshot: str | None = None
    bytes: int = 0
    added_bytes: int = 0
    duration_s: float = 0.0
    error: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    observations: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: Fingerprint | None = None
    remedy: str = ""

    def to_json(self, *, with_fingerprint: bool = True) -> dict[str, Any]:
        data = {
            "component": self.component,
            "kind": self.kind,
            "state": self.state,
            "data_time": to_rfc3339(self.data_time) if self.data_time else None,
            "snapshot": self.snapshot,
            "bytes": self.bytes,
            "added_bytes": self.added_bytes,
            "duration_s": self.duration_s,
            "error": self.error,
            "facts": dict(self.facts),
            "observations": dict(self.observations),
        }
        if self.error is not None:
            data["remedy"] = self.remedy
        if with_fingerprint:
            data["fingerprint"] = self.fingerprint.to_json() if self.fingerprint else None
        return data


@dataclass(frozen=True, slots=True)
class MadeDuring:
    """The unfinished recovery during which a point was made, and the components that it had
    restored, or was just restoring: their data is older than the point. `whole` says that these are
    all components of the point, and that each was completely restored."""

    run: str
    components: tuple[str, ...]
    whole: bool

    def to_json(self) -> dict[str, Any]:
        return {"run": self.run, "components": list(self.components), "whole": self.whole}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MadeDuring:
        return cls(data["run"], tuple(data["components"]), data["whole"])


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """One state that the service can be restored to. `id` is the id of the backup run that made it.
    `data_time` is the earliest data time of its components: no data in it is older. `available_at`
    is when its manifest was stored: the point could not be restored before. `repositories` maps a
    repository's name to the manifest's snapshot id there. `copied` has the repositories that it was
    copied to, each with the time: its snapshots have other ids there, and name the first ones in
    `original`. `elsewhere` has the snapshot ids in repositories that the plan no longer has, by
    their former name. `proven_by` is the newest drill that it passed. `made_during` is a recovery
    over production that had restored some of its components and was not finished. `consistency` has
    how far apart the data times of each group of the plan are; a point with a wider spread than the
    plan allowed is not complete."""

    id: str
    plan: str
    data_time: datetime
    available_at: datetime
    complete: bool
    plan_digest: str
    components: tuple[ComponentSnapshot, ...]
    repositories: Mapping[str, str] = field(default_factory=dict)
    copied: Mapping[str, datetime] = field(default_factory=dict)
    proven_by: str | None = None
    forgotten_at: datetime | None = None
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    made_during: MadeDuring | None = None
    consistency: tuple[Spread, ...] = ()

    @property
    def size_bytes(self) -> int:
        return self.bytes_of([c.component for c in self.components])

    def bytes_of(self, names: Collection[str]) -> int:
        """Return the size of these components; a copy of which several are parts counts once."""
        sizes = [
            (c.bytes, of_whole_copy(self.id, c.facts))
            for c in self.components
            if c.component in names
        ]
        whole = max((size for size, is_whole in sizes if is_whole), default=0)
        return whole or sum(size for size, _ in sizes)

    def component(self, name: str) -> ComponentSnapshot | None:
        return next((c for c in self.components if c.component == name), None)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The last snapshot of a restore point. A point exists if and only if its manifest does.
    `private` has by component what a restore needs but nobody else should read (roles with their
    password verifiers): it stays inside the encrypted repository and is never in the catalogue.
    """

    point: RestorePoint
    resolved_plan: Mapping[str, Any]
    versions: Mapping[str, str]
    private: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    digest: str = ""
    """The sha256 of the bytes that the manifest was read from."""
    signature: ManifestSignature = field(default=NO_SIGNATURE, compare=False)
    """What the bytes from which the manifest was read say about its signature."""
    keys: tuple[Endorsement, ...] = ()
    """How the keys that sign manifests have replaced each other, for hosts that know an earlier
    key."""

    def to_bytes(self) -> bytes:
        point = self.point
        data = {
            "schema": MANIFEST_SCHEMA,
            "point": point.id,
            "plan": point.plan,
            "data_time": to_rfc3339(point.data_time),
            "complete": point.complete,
            "plan_digest": point.plan_digest,
            "components": [c.to_json() for c in point.components],
            "resolved_plan": dict(self.resolved_plan),
            "versions": dict(self.versions),
            "private": {name: dict(value) for name, value in self.private.items()},
        }
        if point.made_during is not None:
            data["made_during"] = point.made_during.to_json()
        if point.consistency:
            data["consistency"] = [spread.to_json() for spread in point.consistency]
        if self.keys:
            data["keys"] = [key.to_json() for key in self.keys]
        return json.dumps(data, indent=1, sort_keys=True).encode("ascii")


def made_by(point: str) -> str:
    """Return the tool that made a restore point, by its id; empty: drd."""
    return point.rpartition("-")[0]


def of_whole_copy(point: str, facts: Mapping[str, Any]) -> bool:
    """Return whether the size of a component of this point is the size of the whole copy: restic
    reports the sizes of files and of whole copies, but not of directories."""
    return made_by(point) == "restic" and "filename" not in facts


def evidence_id(point: RestorePoint, run: str) -> str:
    """Return the id of the evidence that a run makes of a point."""
    return f"{point.id.rpartition('-')[2][:4]}-{run}"


def newest_complete(
    points: Sequence[RestorePoint], now: datetime | None = None
) -> RestorePoint | None:
    """Return the complete, kept point with the latest data time; if there are several, the one that
    was made last. With `now`, points from far in the future count only if there are no others.
    """
    kept = [p for p in points if p.complete and p.forgotten_at is None]
    if now is not None:
        kept = [p for p in kept if p.data_time <= now + FAR_AHEAD] or kept
    return max(kept, key=lambda p: (p.data_time, p.available_at), default=None)
