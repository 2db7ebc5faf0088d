"""Replay the received binary log in a restored server, and prove how far it was replayed.

Before the server replays the log, drd reads all of it: each event must have the right checksum,
each file must continue the file before it, and the log must continue the copy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from drd import process
from drd.errors import RepositoryDamaged, TargetError
from drd.kinds.mariadb.address import OPTIONS, write_options
from drd.kinds.mariadb.connection import connect
from drd.kinds.mariadb.load import refusal
from drd.kinds.mariadb.physical.binlog.files import (
    EARLIER,
    Gtid,
    LogReader,
    Transaction,
    number_of,
    piece_of,
    place,
    show,
    split,
)
from drd.kinds.mariadb.physical.server import RestoredServer
from drd.kinds.mariadb.tools import client, program
from drd.kinds.server_logs import rolled_to
from drd.kinds.servers import give
from drd.log import masked
from drd.model.log import LogMark, LogTarget
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import counted
from drd.ports.logs import LogReplay, RolledTo

DIRECTORY = "binlog"
"""The directory, in the directory of a server, with the log that the server replays."""

_SHOWN = 700
_ROOM = 3


def room_of_log(size: int) -> int:
    """Return how many bytes the replay of a log of this size needs: for the fetched log, for the
    server's own new log, and for the growth of the data."""
    return _ROOM * size


@dataclass(frozen=True, slots=True)
class Roll:
    """A log that is ready to be replayed: the `files`, from `begin` to `stop`. `before` is the last
    transaction that is replayed, `sure` the last replayed transaction that a storage engine
    commits; `after` is the first transaction that is left out, None if no transaction is; it was
    committed at `after_at`, in seconds since 1970."""

    files: tuple[Path, ...]
    begin: int
    stop: int
    end: LogMark
    target: LogTarget
    count: int = 0
    before: Gtid | None = None
    sure: Gtid | None = None
    after: Gtid | None = None
    after_at: int = 0

    @property
    def rolled_to(self) -> RolledTo:
        """How far the server has replayed the log, after a replay of all that this log contains."""
        part = (
            f"the binary log from {show(self.begin)} to {show(self.stop)} "
            f"({counted(self.count, 'transaction')})"
        )
        around, stopped = (self.before, self.after), self.after is not None
        left_out_at = datetime.fromtimestamp(self.after_at, UTC) if stopped else None
        return rolled_to(
            part, self.target, self.end, around, stopped=stopped, left_out_at=left_out_at
        )


def arranged(log_: LogReplay, snapshot: ComponentSnapshot, into: Path) -> Roll:
    """Join the pieces of each file of the log in the directory `into`, and read all files. If the
    log is damaged, take that of another repository. Raises RepositoryDamaged, TargetError for a
    target that the log does not have."""
    while True:
        try:
            return _proven(log_, snapshot, into)
        except RepositoryDamaged as error:
            shutil.rmtree(into)
            log_ = log_.instead(error)


def _proven(log_: LogReplay, snapshot: ComponentSnapshot, into: Path) -> Roll:
    facts = snapshot.facts
    first = number_of(str(facts["binlog_file"]))
    assert first is not None  # else nothing is replayed
    begin = place(first, int(facts["binlog_position"]))
    files = _assembled(log_.directory, into, first, split(log_.end.position)[0])
    scan = _Scan(begin, log_.end, log_.target, str(facts["gtid_binlog_pos"]))
    for number, file in files.items():
        scan.read(file, number)
    return scan.roll(files)


def _assembled(pieces: Path, into: Path, first: int, last: int) -> dict[int, Path]:
    into.mkdir(mode=0o700)
    by_file: dict[int, dict[int, Path]] = {}
    for one in pieces.iterdir():
        if (named := piece_of(one.name)) is not None:
            by_file.setdefault(named[0], {})[named[1]] = one
    files = {}
    for number in range(first, last + 1):
        parts = by_file.get(number, {})
        if sorted(parts) != list(range(max(len(parts), 1))):
            raise RepositoryDamaged(
                f"file {number:06d} of the binary log is not complete in the repository",
                hint=EARLIER,
            )
        file = into / f"binlog.{number:06d}"
        with file.open("xb") as whole:
            for index in sorted(parts):
                with parts[index].open("rb") as part:
                    shutil.copyfileobj(part, whole, 1 << 20)
                parts[index].unlink()
        files[number] = file
    return files


class _Scan:
    """Reads a log from the copy on, and finds where the replay stops."""

    def __init__(self, begin: int, end: LogMark, target: LogTarget, gtids: str) -> None:
        self._begin = begin
        self._end = end
        self._target = target
        self._gtids = [g for g in gtids.split(",") if g]
        self._reader = LogReader()
        self._continues = False
        self._count = 0
        self._last: Transaction | None = None
        self._before: Transaction | None = None
        self._sure: Gtid | None = None
        self._former_sure: Gtid | None = None
        self._after: Transaction | None = None

    def read(self, file: Path, number: int) -> None:
        last, end = split(self._end.position)
        first, offset = split(self._begin)
        if number == first and file.stat().st_size < offset:
            raise self._other()
        for one in self._reader.transactions(file, number, end if number == last else None):
            if one.position < self._begin:
                continue
            self._require_continues()
            if self._after is None and self._is_beyond(one):
                self._after = one
            if self._after is None:
                self._count += 1
                self._before, self._last = self._last, one
                if one.commits:
                    self._former_sure, self._sure = self._sure, one.gtid

    def _require_continues(self) -> None:
        """Require that the log has the copy's last transactions before the place at which the copy
        ends. Raises RepositoryDamaged."""
        if self._continues:
            return
        self._continues = True
        known = {str(Gtid(*key, number)) for key, number in self._reader.last.items()}
        if not set(self._gtids) <= known:
            raise self._other()

    def _other(self) -> RepositoryDamaged:
        lacks = f"lacks {', '.join(self._gtids)}"
        differs = lacks if self._gtids else "has other content than the server had at the backup"
        return RepositoryDamaged(
            "the binary log in the repository does not belong to the restore point: before "
            f"{show(self._begin)}, the log {differs}",
            hint="recover the restore point without the log: --point ID.",
        )

    def _is_beyond(self, one: Transaction) -> bool:
        target = self._target
        if target.before is not None:
            return one.at >= int(target.before.timestamp())
        if target.position is not None:
            return one.position >= target.position
        return target.transaction is not None and str(one.gtid) == target.transaction

    def roll(self, files: dict[int, Path]) -> Roll:
        self._require_continues()
        target = self._target
        if target.transaction is not None and self._after is None:
            raise TargetError(
                f"transaction {target.transaction} is not in the binary log between "
                f"{show(self._begin)}, the end of the copy, and {show(self._end.position)}",
                hint="check the GTID; if the transaction is older, choose an older restore point: "
                "--point ID --before GTID",
            )
        if target.position is not None and not self._begin <= target.position <= self._end.position:
            raise TargetError(
                f"{show(target.position)} is not between {show(self._begin)}, the end of the copy, "
                f"and {show(self._end.position)}, the end of the binary log",
                hint="give a position between these two; or use --to-last.",
            )
        count, before, sure, after = self._count, self._last, self._sure, self._after
        if target.rehearses and before is not None:
            if before.commits:
                sure = self._former_sure
            count, before, after = count - 1, self._before, before
        stop = after.position if after is not None else self._end.position
        return Roll(
            tuple(file for number, file in files.items() if number <= split(stop)[0]),
            self._begin,
            stop,
            self._end,
            target,
            count,
            before.gtid if before is not None else None,
            sure,
            after.gtid if after is not None else None,
            after.at if after is not None else 0,
        )


def replay(
    server: RestoredServer,
    log_: LogReplay,
    snapshot: ComponentSnapshot,
    bin_dir: str | None,
    on_tick: Callable[[], None],
) -> RolledTo:
    """Replay a log in a server whose files are prepared, and shut the server down afterwards.
    Raises RepositoryDamaged, TargetError, SandboxUnavailable."""
    here = server.base / DIRECTORY
    roll = arranged(log_, snapshot, here)
    if roll.count:
        for file in (here, *roll.files):
            give(file, server.user)
        with server.writable():
            _pipe(server, roll, bin_dir, on_tick)
            _require_reached(server, roll)
    shutil.rmtree(here)
    return roll.rolled_to


def _pipe(
    server: RestoredServer, roll: Roll, bin_dir: str | None, on_tick: Callable[[], None]
) -> None:
    """Let mariadb-binlog write the log as statements, and the program mariadb carry them out."""
    reader, writer = program("mariadb-binlog", bin_dir), client(bin_dir)
    address = server.address("mysql")
    options = write_options(address, server.base / OPTIONS, user=server.user)
    _, offset = split(roll.begin)
    read_words = [
        reader.path, "--no-defaults", "--verify-binlog-checksum", "--skip-gtid-strict-mode",
        f"--start-position={offset}", f"--stop-position={split(roll.stop)[1]}",
        "--", *(str(server.base / DIRECTORY / file.name) for file in roll.files),
    ]  # fmt: skip
    write_words = [
        writer.path, f"--defaults-file={options}", "--sandbox", "--binary-mode", "--batch",
        "--local-infile=0", "--skip-named-commands", "--max-allowed-packet=1G",
    ]  # fmt: skip
    out, into = os.pipe2(os.O_CLOEXEC)
    try:
        carries_out = process.start(server.command(write_words), stdin=out)
    except BaseException:
        os.close(into)
        raise
    finally:
        os.close(out)
    try:
        try:
            reads = process.start(server.command(read_words), stdout=into)
        finally:
            os.close(into)
        try:
            done = carries_out.pump(on_tick=on_tick)
        except BaseException:
            reads.stop()
            raise
        read = reads.pump()
    finally:
        carries_out.stop()
        options.unlink(missing_ok=True)
    if done.exit_code != 0:
        raise _failed(server, f"the server refused a statement: {refusal(done)}")
    if read.exit_code != 0:
        raise _failed(server, f"mariadb-binlog cannot read the log: {masked(read.complaint)}")


def _failed(server: RestoredServer, why: str) -> TargetError:
    there = f" (last replayed transaction: {_reached(server)})" if server.running else ""
    return TargetError(
        f"the binary log could not be replayed{there}: {why.strip()[-_SHOWN:]}", hint=EARLIER
    )


def _reached(server: RestoredServer) -> str:
    with connect(server.address("mysql")) as connection:
        return str(connection.value("SELECT @@GLOBAL.gtid_binlog_pos") or "none")


def _require_reached(server: RestoredServer, roll: Roll) -> None:
    """Read in the server's own log which transactions it has carried out. Raises TargetError if
    the last transaction of the replay is missing there, or if the log has a later one."""
    said = _reached(server)
    reached = [Gtid(*map(int, g.split("-"))) for g in said.split(",") if g != "none"]
    by_domain = {one.domain: one for one in reached}
    sure, last = roll.sure, roll.before
    there = by_domain.get(sure.domain) if sure is not None else None
    is_missing = sure is not None and (there is None or there.number < sure.number)
    newest = by_domain.get(last.domain) if last is not None else None
    is_beyond = newest is not None and last is not None and newest.number > last.number
    if is_missing or is_beyond:
        raise TargetError(
            f"the server should have replayed the binary log to transaction {roll.before}, but "
            f"the last transactions in the server's own log are {said}",
            hint=EARLIER,
        )
