"""Copy only what has changed since the last copy of a server in the repository.

The snapshot gets the whole chain: files of the earlier copies are laid out here without their data,
and the repository takes them over from the earlier snapshot. Only their list comes out of the
repository, and the manifest of pg_basebackup, which the server needs to know what has changed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from drd.errors import RepositoryError
from drd.kinds.file_system import fresh, remove
from drd.kinds.postgres.connection import Connection, words
from drd.kinds.postgres.physical import chain
from drd.kinds.postgres.physical.base_backup import (
    MANIFEST,
    BaseBackup,
    IncrementRefused,
    Order,
    copy,
)
from drd.kinds.postgres.physical.chain import Part, chain_of, directory_of, position
from drd.kinds.postgres.physical.manifest import DATA, SPACES
from drd.kinds.postgres.physical.settings import ClusterSettings
from drd.log import get
from drd.model.units import format_duration, to_rfc3339
from drd.ports import Earlier, Entry, Finding, NoEarlier, TakenOver

COPY = "cluster"
"""The directory in the workplace that receives the copy."""

PLACE = f"/{COPY}"
"""Where a snapshot has it."""

_MOST_MANIFEST = 1 << 30
_MOST_FILE = 1 << 40
_NAME = re.compile(r"[A-Za-z0-9_.@#+=, -]{1,255}")

_SUMMARIZES = "SELECT pg_catalog.current_setting('summarize_wal', true)"
# A promoted standby is on a new timeline before its first checkpoint: pg_control knows it later.
_NOW = """
SELECT s.system_identifier::text,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.to_hex(c.timeline_id)
            ELSE pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)
       END,
       (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
             ELSE pg_catalog.pg_current_wal_lsn() END)::text,
       pg_catalog.current_setting('summarize_wal', true)
  FROM pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c"""


@dataclass(frozen=True, slots=True)
class Made:
    """What the workplace has for the repository: the newest copy, the copies before it, and the
    files that the repository takes over, with their size in bytes."""

    newest: BaseBackup
    before: Sequence[Part] = ()
    earlier: TakenOver | None = None
    earlier_bytes: int = 0
    why_full: str = ""

    @property
    def bytes(self) -> int:
        return self.newest.bytes + self.earlier_bytes

    @property
    def facts(self) -> dict[str, Any]:
        if not self.before:
            return {chain.WHY: self.why_full} if self.why_full else {}
        return {
            chain.CHAIN: [part.to_json() for part in self.before],
            chain.PARTS_BYTES: self.bytes,
        }


def copied(
    holder: Connection, settings: ClusterSettings, order: Order, earlier: Earlier | NoEarlier
) -> Made:
    """Copy the server into `order.into`, which is empty: what has changed since the earlier copy
    if that is possible, else everything. Raises SourceError."""
    why = _why_full(holder, settings, earlier)
    if why is None:
        assert not isinstance(earlier, NoEarlier)
        made = _built_on(earlier, order)
        if isinstance(made, Made):
            return made
        why = made
        fresh(order.into)
    return Made(copy(order), why_full=chain.short(why))


def finding(connection: Connection, settings: ClusterSettings, component: str) -> Finding:
    """Say whether backups can be incremental, and what the server lacks for it."""
    if settings.incremental.mode == "off":
        text = "each backup is a full copy: `incremental` of the component is off"
        return Finding("incremental", "ok", component, text)
    row = connection.execute(_SUMMARIZES.encode()).fetchone()
    if row is not None and row[0] == "on":
        text = "backups copy only what has changed since the last one: summarize_wal is on"
        return Finding("incremental", "ok", component, text)
    return Finding(
        "incremental",
        "ok",
        component,
        "each backup is a full copy, because summarize_wal of the server is off. For incremental "
        "copies, run as a superuser: ALTER SYSTEM SET summarize_wal = on; then: SELECT "
        "pg_reload_conf();",
    )


def _why_full(
    holder: Connection, settings: ClusterSettings, earlier: Earlier | NoEarlier
) -> str | None:
    """Return why a full copy is needed; None if an incremental one can build on the earlier one. A
    server that was set back, and has passed the position of the earlier copy again, cannot be
    recognised."""
    rule = settings.incremental
    if rule.mode == "off":
        return "`incremental` of the component is off"
    try:
        row = holder.execute(_NOW.encode()).fetchone()
    except psycopg.Error as error:
        return f"the server does not show its state: {words(error)}"
    assert row is not None
    identifier, number, reached, summarizing = row
    timeline = int(number, 16)
    if summarizing != "on":
        return "summarize_wal of the server is off"
    if isinstance(earlier, NoEarlier):
        return earlier.why
    facts = earlier.snapshot.facts
    changed = _another(earlier, identifier, timeline, holder.info.server_version // 10000)
    if changed is not None:
        return changed
    if position(reached) < position(facts["end_lsn"]):
        return (
            f"the server was set back: it is at {reached}, and the earlier copy ended at "
            f"{facts['end_lsn']}"
        )
    before = chain_of(facts)
    for point in (*(part.point for part in before), earlier.point):
        if point in earlier.unrestorable:
            return f"a drill could not restore restore point {point}, on which it would build"
    if len(before) >= rule.at_most:
        return f"the chain has {len(before)} incremental copies (`at_most`)"
    return _too_old(before[0].at if before else None, earlier, rule.full_every)


def _another(earlier: Earlier, identifier: str, timeline: int, major: int) -> str | None:
    """Say what makes the server another one than that of the earlier copy."""
    facts = earlier.snapshot.facts
    if facts["place"] != PLACE:
        return f"an earlier version of drd made restore point {earlier.point}"
    if facts["system_identifier"] != identifier:
        return (
            f"the server is another one: its system identifier is {identifier}, and in restore "
            f"point {earlier.point} it is {facts['system_identifier']}"
        )
    if facts["server_major"] != major:
        return f"the server was PostgreSQL {facts['server_major']} at the earlier copy"
    # Earlier versions of drd could make a chain of two timelines, which cannot be restored.
    others = [part.timeline for part in chain_of(facts)]
    another = next((one for one in (*others, facts["timeline"]) if one != timeline), None)
    return None if another is None else _other_timeline(timeline, another)


def _other_timeline(timeline: int, earlier: int) -> str:
    return f"the server is on timeline {timeline}, the earlier copy on {earlier}"


def _too_old(first: str | None, earlier: Earlier, full_every: float) -> str | None:
    at = datetime.fromisoformat(first) if first else earlier.snapshot.data_time
    assert at is not None
    age = datetime.now(UTC) - at
    if timedelta(0) <= age < timedelta(seconds=full_every):
        return None
    if age < timedelta(0):
        return "the last full copy is dated in the future"
    return f"the last full copy is older than {format_duration(full_every)} (`full_every`)"


def _built_on(earlier: Earlier, order: Order) -> Made | str:
    """Make an incremental copy; return why that failed if a full one can still succeed."""
    facts = earlier.snapshot.facts
    before = [*chain_of(facts), _part(earlier)]
    known = order.into.parent / "earlier_manifest"
    newest = directory_of(len(before) - 1)
    try:
        remove(known)
        stored = os.path.normpath(f"{PLACE}/{newest}/{DATA}/{MANIFEST}")
        earlier.save_file(stored, known, most=_MOST_MANIFEST)
        if _digest(known) != facts["manifest_digest"]:
            return f"{MANIFEST} in restore point {earlier.point} is not the file that drd stored"
        laid = _Laid(order.into)
        earlier.entries(PLACE, laid.take)
        laid.finish()
        into = order.into / directory_of(len(before))
        into.mkdir(parents=True)
        made = copy(replace(order, into=into, since=known))
    except (RepositoryError, _Unusable) as error:
        return f"drd cannot read restore point {earlier.point}: {error}"
    except IncrementRefused as error:
        get().info("increment.refused", point=earlier.point, error=error.message)
        return f"the server refused an incremental copy: {error.message}"
    finally:
        remove(known)
    if made.since != facts["start_lsn"]:
        return f"pg_basebackup did not build on the copy of restore point {earlier.point}"
    if made.timeline != facts["timeline"]:
        return _other_timeline(made.timeline, facts["timeline"])
    taken = TakenOver(str(earlier.snapshot.snapshot), laid.files)
    return Made(made, before, taken, laid.bytes)


def _part(earlier: Earlier) -> Part:
    facts, at = earlier.snapshot.facts, earlier.snapshot.data_time
    assert at is not None
    same = ("system_identifier", "timeline", "start_lsn", "end_lsn", "manifest_digest")
    return Part(
        point=earlier.point,
        snapshot=str(earlier.snapshot.snapshot),
        repository=earlier.repository,
        at=to_rfc3339(at),
        label=f"drd_{earlier.point}",
        **{key: facts[key] for key in same},
    )


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


class _Unusable(Exception):
    """The listing of an earlier copy has something that no copy contains."""


@dataclass
class _Laid:
    """Lays out the files of earlier copies: with their names, sizes and times, and without data.
    Names and sizes come out of a repository, and are not believed. The WAL of earlier copies is
    left out: only the newest one needs WAL."""

    top: Path
    files: int = 0
    bytes: int = 0
    _links: list[Path] = field(default_factory=list)

    def take(self, entry: Entry) -> None:
        below = self._below(entry)
        if below is None:
            return
        place = self.top / below
        if entry.form == "dir":
            with suppress(FileExistsError):
                place.mkdir(mode=0o700)
        elif entry.form == "symlink":
            self._links.append(place)
        elif entry.form == "file" and 0 <= entry.size <= _MOST_FILE:
            self._lay(place, entry)
        else:
            raise _Unusable(f"{entry.path!a} is not a file of a copy")

    def _below(self, entry: Entry) -> str | None:
        if entry.path == PLACE:
            return None
        names = entry.path.removeprefix(f"{PLACE}/").split("/")
        whole = entry.path.startswith(f"{PLACE}/") and all(map(_NAME.fullmatch, names))
        if not whole or not {".", ".."}.isdisjoint(names):
            raise _Unusable(f"{entry.path!a} is not a name of a file of a copy")
        own = names[2:] if names[0] == chain.INCREMENTS else names
        if own[:2] == [DATA, "pg_wal"] and len(own) > 2:
            return None
        return "/".join(names)

    def _lay(self, place: Path, entry: Entry) -> None:
        try:
            with place.open("xb") as file:
                file.truncate(entry.size)
            place.chmod(entry.mode)
            os.utime(place, ns=(entry.changed_ns, entry.changed_ns))
            kept = place.stat().st_mtime_ns
        except (OSError, OverflowError) as error:
            raise _Unusable(f"{entry.path!a}: {error}") from error
        if kept != entry.changed_ns:
            raise _Unusable("the file system of work_dir does not keep exact times of files")
        self.files += 1
        self.bytes += entry.size

    def finish(self) -> None:
        """Make the links of tablespaces, when nothing follows them any more. A restore makes them
        anew, so they lead nowhere here."""
        for place in self._links:
            if place.parent.name != "pg_tblspc":
                raise _Unusable(f"{place.name!a} is a link")
            place.symlink_to(f"../../{SPACES}/{place.name}")
        if not self.files:
            raise _Unusable("it contains no files")
