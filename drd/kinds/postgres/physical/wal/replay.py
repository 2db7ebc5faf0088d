"""Prepare the WAL that was received for a restored base backup, and prove how far it was replayed.

Before a server replays it, each segment must be one of the server of the base backup, and
pg_waldump must be able to read it up to the place where the replay stops: PostgreSQL itself takes
damaged WAL for its end."""

from __future__ import annotations

import os
import re
import shutil
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from drd import process
from drd.errors import RepositoryDamaged, TargetError
from drd.kinds.postgres.connection import Connection, connect
from drd.kinds.postgres.physical.combine import Landed
from drd.kinds.postgres.physical.wal import transactions
from drd.kinds.postgres.physical.wal.segments import (
    HISTORY,
    Segment,
    first_page,
    position,
    segment_of,
    show,
    switches,
    wrong,
)
from drd.kinds.postgres.restored_server import RestoredServer
from drd.kinds.postgres.tools import PostgresPrograms
from drd.kinds.server_logs import rolled_to
from drd.log import masked
from drd.model.log import LogMark, LogTarget
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Workplace
from drd.ports.logs import LogReplay, RolledTo
from drd.process import Command
from drd.process.fence import require_up

EARLIER = "recover to an earlier position: --before TIME, or to the base backup alone: --point ID."
_MOST = 20_000_000
"""So many transactions are looked at: 16 bytes of memory each."""

_ENDED = re.compile(
    r"^rmgr: Transaction .* tx:\s*(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), .*"
    r"desc: COMMIT(?:_PREPARED (\d+):)? ([\d-]+ [\d:.]+)"
)
"""A transaction that was prepared is named behind: the record itself belongs to none. The time is
in UTC, and as long in each record."""
_AT = re.compile(r"in WAL record at ([0-9A-F]+/[0-9A-F]+)")


@dataclass(slots=True)
class Commits:
    """The commits in the WAL, in its order: where each is recorded, and which transaction it is.
    After the first commit at the time `before` or later, `earlier` counts those that have an
    earlier time. `left_out_at` is the time of the first commit that the target leaves out, if the
    target is a position or a transaction. `suffice` means that a commit was read at which the
    replay stops, so that nothing behind it is needed."""

    target: LogTarget = field(default_factory=LogTarget)
    before: str = ""
    positions: array[int] = field(default_factory=lambda: array("Q"))
    transactions: array[int] = field(default_factory=lambda: array("Q"))
    earlier: int = 0
    left_out_at: datetime | None = None
    suffice: bool = False
    _is_past: bool = False

    def note(self, line: str) -> None:
        match = _ENDED.match(line)
        if match is None:
            return
        at, transaction = position(match[2]), int(match[3] or match[1])
        if len(self.positions) < _MOST:
            self.positions.append(at)
            self.transactions.append(transaction)
        if self.left_out_at is None and self._leaves_out(at, transaction):
            self.left_out_at = datetime.fromisoformat(f"{match[4]}+00:00")
        is_earlier = match[4] < self.before
        stops = self.left_out_at is not None or (self.before != "" and not is_earlier)
        self.suffice = self.suffice or stops
        self._is_past = self._is_past or not is_earlier
        self.earlier += is_earlier and self._is_past

    def _leaves_out(self, at: int, transaction: int) -> bool:
        target = self.target
        if target.position is not None:
            return at >= target.position
        asked = target.transaction
        return isinstance(asked, int) and transactions.in_wal(asked) == transaction

    def around(self, at: int) -> tuple[int | None, int | None]:
        """Return the last transaction that was committed before a position, and the first one
        after it."""
        index = bisect_left(self.positions, at)
        before = self.transactions[index - 1] if index else None
        after = self.transactions[index] if index < len(self.positions) else None
        return before, after


@dataclass(frozen=True, slots=True)
class Roll:
    """WAL that is ready to be replayed, up to `end`. `stop_at` are the settings of the server that
    say where to stop, `damage` is what is wrong with the WAL behind that place."""

    begin: int
    end: LogMark
    target: LogTarget
    stop_at: Mapping[str, str]
    commits: Commits
    damage: RepositoryDamaged | None = None

    def proven(self, server: RestoredServer) -> RolledTo:
        """Return how far the server has replayed the WAL, as its own state shows: the last
        transaction before that place is committed there, and the next one is not. Raises
        TargetError if that is not so."""
        reached = _switched_at(server)
        stopped = bool(server.stop_at)
        if not stopped and reached < self.end.position:
            raise TargetError(
                f"the server replayed the WAL only to {show(reached)}, and it leads to "
                f"{show(self.end.position)}",
                hint=EARLIER,
            )
        before, after = self.commits.around(reached)
        with closing(connect(server.address("template1"))) as connection:
            there = before is None or _is_committed(connection, before)
            too_far = after is not None and _is_committed(connection, after)
        if not there or too_far:
            which = f"transaction {before} is missing" if not there else f"{after} is there"
            raise TargetError(
                f"the server says that it replayed the WAL to {show(reached)}, but {which}",
                hint=EARLIER,
            )
        part = f"the WAL from {show(self.begin)} to {show(reached)} on timeline {self.end.line}"
        rolled = rolled_to(
            part,
            self.target,
            self.end,
            (before, after),
            stopped=stopped,
            earlier=self.commits.earlier,
            left_out_at=self.commits.left_out_at,
        )
        if self.damage is None:
            return rolled
        behind = f"behind this place, which does not matter here, {self.damage.message}"
        return rolled._replace(words=f"{rolled.words}; {behind}")


def arranged(
    landed: Landed,
    snapshot: ComponentSnapshot,
    log: LogReplay,
    programs: PostgresPrograms,
    place: Workplace,
) -> Roll:
    """Check the WAL, and move it into the data directory of the base backup. If the WAL is damaged
    before the place where the replay stops, use that of another repository. Raises
    RepositoryDamaged with the name of the segment, TargetError for a target that the WAL does not
    have."""
    while True:
        try:
            roll = _proven(landed, snapshot, log, programs, place)
            break
        except RepositoryDamaged as error:
            log = log.instead(error)
    for file in sorted(log.directory.iterdir()):
        there = landed.data / "pg_wal" / file.name
        there.unlink(missing_ok=True)
        shutil.move(file, there)
    return roll


def _proven(
    landed: Landed,
    snapshot: ComponentSnapshot,
    log: LogReplay,
    programs: PostgresPrograms,
    place: Workplace,
) -> Roll:
    """Check all of the WAL in the directory of the log, and remove files that are not needed."""
    facts, wal = snapshot.facts, log.directory
    source, begin = str(facts["system_identifier"]), position(facts["end_lsn"])
    damage: RepositoryDamaged | None = None
    for file in [f for f in sorted(wal.iterdir()) if not HISTORY.fullmatch(f.name)]:
        try:
            _examine(file, source, begin, landed.data / "pg_wal" / file.name)
        except RepositoryDamaged as error:
            damage = damage or error
            file.unlink()
    _complete_left(wal, log.end)
    commits = Commits(log.target, _utc(log.target.before))
    parts = _parts(wal, int(facts["timeline"]), begin, log.end)
    try:
        for part in parts:
            _read(wal, part, programs, place, commits)
    except RepositoryDamaged as error:
        damage = damage or error
    if damage is not None and not commits.suffice:
        raise RepositoryDamaged(damage.message, hint=_sound_place(commits))
    stop_at = _stop_at(log.target, begin, log.end, commits)
    return Roll(begin, log.end, log.target, stop_at, commits, damage)


def _sound_place(commits: Commits) -> str:
    """Return how to recover without the damaged WAL."""
    if not commits.positions:
        return "recover to the base backup alone: --point ID."
    last = show(commits.positions[-1])
    return (
        f"recover to an earlier position: --before {last} is the latest one that works, and leaves "
        "out the transaction there. Or recover to the base backup alone: --point ID."
    )


def _examine(file: Path, source: str, begin: int, own: Path) -> None:
    """Check the first page of a segment, and extend the segment to its full size. Before the
    position `begin`, the WAL of the base backup is used: a segment that ends before it is removed,
    and a segment that contains it must begin with the same bytes as the file `own` of the base
    backup."""
    problem = wrong(file, file.name, source)
    page = first_page(file)
    if problem is not None or page is None or segment_of(file.name, page.size) is None:
        raise RepositoryDamaged(problem or f"{file.name} is not WAL", hint=EARLIER)
    if page.begin + page.size <= begin:
        file.unlink()
        return
    if not _begins_alike(file, own, begin - page.begin):
        raise RepositoryDamaged(
            f"WAL segment {file.name} differs from that of the base backup before {show(begin)}, "
            "the end of the base backup",
            hint=EARLIER,
        )
    os.truncate(file, page.size)
    file.chmod(0o600)


def _begins_alike(file: Path, own: Path, length: int) -> bool:
    """Return whether the first `length` bytes of two files are the same; also if `own` is
    missing."""
    if length <= 0 or not own.is_file():
        return True
    with file.open("rb") as one, own.open("rb") as other:
        while length > 0 and (data := one.read(min(length, 1 << 20))):
            if other.read(len(data)) != data:
                return False
            length -= len(data)
    return length <= 0


def _complete_left(wal: Path, end: LogMark) -> None:
    """Complete the last segment of each timeline that a server left: that server may have written
    more than had arrived. The first segment of the next timeline begins with the same WAL."""
    history = wal / f"{end.line:08X}.history"
    if not history.is_file():
        return
    before = switches(history.read_text("ascii", "replace"))
    following = [line for line, _ in before[1:]] + [end.line]
    sizes = (page.size for f in sorted(wal.iterdir()) if f.is_file() and (page := first_page(f)))
    size = next(sizes, 0)
    for (line, switched), new_line in zip(before, following, strict=True) if size else ():
        left = switched % size
        there = wal / Segment(new_line, switched // size).name(size)
        if left and there.is_file():
            old = wal / Segment(line, switched // size).name(size)
            with there.open("rb") as new, old.open("r+b" if old.exists() else "w+b") as file:
                file.write(new.read(left))
                file.truncate(size)
            old.chmod(0o600)


def _parts(wal: Path, line: int, begin: int, end: LogMark) -> list[tuple[int, int, int]]:
    """Return the timelines on the way, each with the positions from and to which it is read."""
    if line == end.line:
        return [(line, begin, end.position)]
    history = wal / f"{end.line:08X}.history"
    if not history.is_file():
        raise RepositoryDamaged(
            f"the WAL goes on on timeline {end.line}, and the file {history.name} is missing",
            hint=EARLIER,
        )
    before = switches(history.read_text("ascii", "replace"))
    parts, at = [], begin
    for parent, switched in before:
        if parent < line:
            continue
        if switched < at:
            break
        parts.append((parent, at, switched))
        at = switched
    if not parts or parts[0][0] != line:
        raise RepositoryDamaged(
            f"timeline {end.line} of the WAL did not come from timeline {line} of the base backup "
            f"after {show(begin)}: a server without the data of this backup took over",
            hint="choose a restore point from after the switch: drd points PLAN",
        )
    return [*parts, (end.line, at, end.position)]


def _read(
    wal: Path,
    part: tuple[int, int, int],
    programs: PostgresPrograms,
    place: Workplace,
    commits: Commits,
) -> None:
    """Read all records of a part with pg_waldump, behind the fence, and note the commits."""
    line, begin, end = part
    if begin >= end:
        return
    wal = Path(os.path.realpath(wal))
    reads = [Path(os.path.realpath(programs.directory.parent))]
    fence = place.fence(place.directory.name, [wal], reads=reads)
    argv = [
        programs.path("pg_waldump"),
        "--rmgr=Transaction",
        f"--path={wal}",
        f"--timeline={line}",
        f"--start={show(begin)}",
        f"--end={show(end)}",
    ]
    command = Command(
        argv,
        env={"LC_ALL": "C", "TZ": "UTC"},
        cwd=wal,
        drop_capabilities=True,
        fence=fence,
        name="pg_waldump",
    )
    done = process.run(command, on_line=commits.note)
    if fence is not None:
        require_up(fence, done.exit_code)
    if done.exit_code != 0:
        said = masked(done.stderr.strip()).replace(f"{wal}/", "")
        raise RepositoryDamaged(
            f"the WAL is damaged{_segment(said, line, wal)}. The message of pg_waldump: "
            f"{said[-600:]}",
            hint=EARLIER,
        )


def _utc(at: datetime | None) -> str:
    """Return a time as pg_waldump writes it, in UTC; empty for none."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if at is not None else ""


def _segment(said: str, line: int, wal: Path) -> str:
    """Name the segment of the position that pg_waldump names."""
    match = _AT.search(said)
    sizes = (page.size for f in wal.iterdir() if f.is_file() and (page := first_page(f)))
    size = next(sizes, None)
    if match is None or size is None:
        return ""
    return f" in segment {Segment(line, position(match[1]) // size).name(size)}"


def _stop_at(target: LogTarget, begin: int, end: LogMark, commits: Commits) -> dict[str, str]:
    """Return the settings for a target. A time after the last transaction is the end. Raises
    TargetError for a position or a transaction that the WAL does not have."""
    exclusive = {"recovery_target_inclusive": "off", "recovery_target_action": "promote"}
    if target.before is not None:
        return {"recovery_target_time": target.before.isoformat(), **exclusive}
    if target.transaction is not None:
        assert isinstance(target.transaction, int)
        transaction = transactions.in_wal(target.transaction)
        if transaction not in commits.transactions:
            raise TargetError(
                f"transaction {target.transaction} was not committed between {show(begin)}, the "
                f"end of the base backup, and {show(end.position)}",
                hint="check the number; if the transaction is older, choose an older base backup: "
                "--point ID --before XID",
            )
        return {"recovery_target_xid": str(transaction), **exclusive}
    if target.position is not None:
        if not begin <= target.position <= end.position:
            raise TargetError(
                f"{show(target.position)} is not between {show(begin)}, the end of the base "
                f"backup, and {show(end.position)}, the end of the WAL",
                hint="give a position between these, or --to-last.",
            )
        if target.position >= end.position:
            return {}
        return {"recovery_target_lsn": show(target.position), **exclusive}
    if target.rehearses and commits.positions:
        return {"recovery_target_lsn": show(commits.positions[-1]), **exclusive}
    return {}


def _switched_at(server: RestoredServer) -> int:
    """Return where the server ended the replay and began its own timeline."""
    with closing(connect(server.address("template1"))) as connection:
        current = connection.execute(
            b"SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())"
        ).fetchone()
        assert current is not None
        name = f"{str(current[0])[:8]}.history"
        text = connection.execute(
            b"SELECT pg_catalog.pg_read_file('pg_wal/' || %s)", [name]
        ).fetchone()
    assert text is not None
    return switches(str(text[0]))[-1][1]


def _is_committed(connection: Connection, transaction: int) -> bool:
    """Ask the server's own commit log. A transaction that it does not know yet is not."""
    row = connection.execute(
        b"SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text"
    ).fetchone()
    assert row is not None
    following = int(str(row[0]))
    whole = transactions.whole(transaction, following)
    if whole >= following:
        return False
    said = connection.execute(
        b"SELECT pg_catalog.pg_xact_status(%s::text::xid8)", [str(whole)]
    ).fetchone()
    return said is not None and said[0] == "committed"
