"""Receive the WAL of a running server with pg_receivewal, by a replication slot of drd's own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import psycopg

from drd import process
from drd.errors import SourceError
from drd.kinds.postgres.address import Address, address_of
from drd.kinds.postgres.connection import Connection, connect, password_file, words
from drd.kinds.postgres.physical.programs import programs_of_server
from drd.kinds.postgres.physical.settings import ClusterSettings
from drd.kinds.postgres.physical.wal.needs import needs
from drd.kinds.postgres.physical.wal.segments import (
    HISTORY,
    PARTIAL,
    contiguous,
    ending_at,
    first_page,
    segment_of,
    show,
    switches,
)
from drd.kinds.postgres.tools import PostgresPrograms
from drd.kinds.server_logs import begun_anew, refused, require_ready
from drd.model.log import LogMark
from drd.ports.logs import LogLost
from drd.process import Child, Command

PREFIX = "drd"
"""The prefix of drd's messages in the WAL."""

_GONE = (
    "has already been removed",
    "can no longer get changes from",
    "is not in this server's history",
    "is ahead of the WAL flush position",
    "is not present in the server",
)
"""What pg_receivewal says if the server does not have the next segment any more: also a standby
that took over without the last of the old server, and the old server after such a standby."""

_SERVER = """
SELECT (SELECT system_identifier::text FROM pg_catalog.pg_control_system()),
       (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size')"""
_SLOT = """
SELECT slot_type, wal_status, active FROM pg_catalog.pg_replication_slots WHERE slot_name = %s"""
_MADE = "SELECT pg_catalog.pg_create_physical_replication_slot(%s, true)"
_DROPPED = "SELECT pg_catalog.pg_drop_replication_slot(%s)"
_LEFT = """
SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots
 WHERE slot_name = %s AND slot_type = 'physical'"""
_NAME = re.compile(r"drd_wal_[a-z0-9_]{1,55}")
_NOW = "SELECT pg_catalog.pg_current_snapshot()::text, pg_catalog.clock_timestamp()"
_MARK = """
SELECT lsn::text, pg_catalog.pg_walfile_name(lsn)
  FROM pg_catalog.pg_logical_emit_message(false, %s, %s, true) lsn"""
_ARRIVED = """
SELECT coalesce(max(flush_lsn) >= %s::pg_lsn, false) FROM pg_catalog.pg_stat_replication
 WHERE application_name = %s"""


class WalSource:
    """Implements `LogSource`."""

    def __init__(self, component: str, settings: ClusterSettings) -> None:
        self._component = component
        self._settings = settings

    def leave(self, name: str) -> None:
        """Drop a slot of drd's, if it is there. Raises SourceError."""
        with closing(connect(address_of(self._settings.dsn))) as connection:
            try:
                connection.execute(_LEFT.encode(), [name])
            except psycopg.Error as error:
                raise SourceError(
                    f"drd cannot drop the replication slot {name}: {words(error)}",
                    hint=f"on this server, run as a superuser: {dropping(name)}",
                ) from error

    @contextmanager
    def open(self, directory: Path, name: str) -> Iterator[WalReceiver]:
        with closing(connect(address_of(self._settings.dsn))) as connection:
            require_ready(needs(connection, self._component))
            address = address_of(self._settings.dsn).pinned(connection)
            programs = programs_of_server(connection, self._settings.bin_dir, "pg_receivewal")
            with password_file(address, directory.parent) as environment:
                yield WalReceiver(
                    connection, address, directory, name, programs=programs, environment=environment
                )


def dropping(name: str) -> str:
    """Return the command with which a person drops a slot of drd's; empty for another name."""
    if not _NAME.fullmatch(name):
        return ""
    return f"psql -d postgres -c \"SELECT pg_drop_replication_slot('{name}')\""


class WalReceiver:
    """Implements `LogReceiver`. `name` is that of the slot, and of drd's connection."""

    program = "pg_receivewal"
    connected = "SELECT * FROM pg_stat_replication;"
    dated = False

    def __init__(
        self,
        connection: Connection,
        address: Address,
        directory: Path,
        name: str,
        *,
        programs: PostgresPrograms,
        environment: Mapping[str, str],
    ) -> None:
        self._connection = connection
        self._address = address
        self._environment = environment
        self._programs = programs
        self._directory = directory
        self._name = name
        self._snapshot, self._is_same = "", False
        row = self._ask(_SERVER)
        self.source, self._size = str(row[0]), int(str(row[1]))

    def _ask(self, query: str, *values: object) -> tuple[object, ...]:
        try:
            row = self._connection.execute(query.encode(), list(values)).fetchone()
        except psycopg.Error as error:
            lost = isinstance(error, psycopg.OperationalError)
            raise refused("WAL", words(error), lost=lost) from error
        return row or ()

    def require(self) -> None:
        self._require_same()
        slot = self._ask(_SLOT, self._name)
        if not slot:
            self._ask(_MADE, self._name)
            return
        kind, status, _ = slot
        if kind != "physical":
            raise SourceError(
                f"the server has a replication slot {self._name} that is not drd's",
                hint=f"drop this slot: SELECT pg_drop_replication_slot('{self._name}');",
                permanent=True,
            )
        if status == "lost":
            raise LogLost(
                f"the server has removed WAL that had not arrived yet: the slot {self._name} is "
                "lost, because max_slot_wal_keep_size was reached",
                hint="drd makes a new slot and a base backup at once. If drd was down for long, "
                "raise max_slot_wal_keep_size of the server.",
            )

    def _require_same(self) -> None:
        """Make sure that what is there came from this server. Raises LogLost."""
        if self._is_same:
            return
        pages = (first_page(file) for file in self._files().values())
        others = [page.source for page in pages if page is not None and page.source != self.source]
        if others:
            raise LogLost(
                f"the WAL in {self._directory} is of another server ({others[0]}): `dsn` now names "
                f"server {self.source}",
                hint=f"drd now receives the WAL of server {self.source}, and makes a base backup "
                f"at once. drd does not know any more how to reach server {others[0]}. If server "
                f"{others[0]} still runs, it keeps WAL for the slot {self._name}: run there, as a "
                f"superuser: {dropping(self._name)}",
            )
        self._is_same = True

    def start(self, said: int) -> Child:
        params = {**self._address.params, "application_name": self._name}
        params.pop("dbname", None)
        address = Address(params, self._address.password)
        argv = [
            self._programs.path("pg_receivewal"),
            f"--directory={self._directory}",
            f"--slot={self._name}",
            "--synchronous",
            "--no-loop",
            "--no-password",
            "--status-interval=1",
            f"--dbname={address.conninfo}",
        ]
        env = {**self._environment, "LC_ALL": "C"}
        return process.start(Command(argv, env=env, name="pg_receivewal"), stdout=said, stderr=said)

    def lost(self, said: str) -> str:
        return said if any(text in said for text in _GONE) else ""

    def mark(self) -> LogMark | None:
        snapshot, at = self._ask(_NOW)
        if snapshot == self._snapshot:
            return None
        assert isinstance(at, datetime)
        lsn, file = self._ask(_MARK, PREFIX, at.isoformat())
        self._snapshot = str(snapshot)
        high, low = str(lsn).split("/")
        return LogMark(int(high, 16) << 32 | int(low, 16), int(str(file)[:8], 16), at)

    def forget_mark(self) -> None:
        """Mark again, whatever has changed."""
        self._snapshot = ""

    def arrived(self, mark: LogMark) -> bool:
        return bool(self._ask(_ARRIVED, show(mark.position), self._name)[0])

    def _files(self) -> dict[int, Path]:
        """Return the file of each segment, by its number; of a later timeline, if there are
        more."""
        best_files: dict[int, tuple[int, bool, Path]] = {}
        for file in sorted(self._directory.iterdir()):
            segment = segment_of(file.name, self._size)
            if segment is not None and file.is_file():
                best = (segment.line, not file.name.endswith(PARTIAL), file)
                if segment.number not in best_files or best_files[segment.number][:2] <= best[:2]:
                    best_files[segment.number] = best
        return {number: best[2] for number, best in best_files.items()}

    def stage(self, mark: LogMark, into: Path) -> int:
        last = ending_at(mark.position, mark.line, self._size)
        files = self._files()
        if last.number not in files:
            raise SourceError(
                f"the segment {last.name(self._size)} of the WAL is not in {self._directory}",
                hint="another program removed this file. drd makes a base backup, and goes on.",
            )
        first = contiguous(set(files), last.number)
        wanted = {last.name(self._size)}
        for number in range(first, last.number):
            file = files[number]
            name = file.name.removesuffix(PARTIAL)
            if file.stat().st_size != self._size or file.name.endswith(PARTIAL):
                first = number + 1  # a timeline that ended within it: the next one has its content
                continue
            wanted.add(name)
            _link(file, into / name)
        histories = [f for f in self._directory.iterdir() if HISTORY.fullmatch(f.name)]
        for history in histories:
            _link(history, into / history.name)
            wanted.add(history.name)
        for left in [f for f in into.iterdir() if f.name not in wanted]:
            left.unlink()
        self._cut(files[last.number], into / last.name(self._size), mark.position)
        return int(first * self._size)

    def _cut(self, file: Path, into: Path, end: int) -> None:
        """Copy the segment up to the mark: what the program writes behind it belongs to the next
        time."""
        length = end - (end - 1) // self._size * self._size
        into.unlink(missing_ok=True)
        with file.open("rb") as source, into.open("xb") as copy:
            left = length
            while left and (data := source.read(min(left, 1 << 20))):
                copy.write(data)
                left -= len(data)
        if left:
            raise SourceError(
                f"{file} has less of the WAL than the server says that it sent",
                hint="check the disk of drd's work_dir.",
            )

    def lines(self, line: int) -> tuple[tuple[int, int], ...]:
        if line == 1:
            return ()
        history = self._directory / f"{line:08X}.history"
        try:
            return tuple(switches(history.read_text("ascii", "replace")))
        except OSError as error:
            raise SourceError(
                f"the server is on timeline {line}, and {history} has not arrived",
                hint="drd starts the receiver again by itself.",
            ) from error

    def received_bytes(self) -> int:
        total = 0
        with suppress(FileNotFoundError):  # one gets its final name meanwhile
            total = sum(file.stat().st_size for file in self._directory.iterdir())
        return total

    def drop(self, mark: LogMark) -> None:
        last = ending_at(mark.position, mark.line, self._size)
        for file in list(self._directory.iterdir()):
            segment = segment_of(file.name, self._size)
            if segment is not None and segment.number < last.number:
                file.unlink(missing_ok=True)

    def begin_anew(self) -> None:
        begun_anew(self._directory, keep=bool(self._files()))
        self._snapshot = ""
        if self._ask(_SLOT, self._name):
            self._ask(_DROPPED, self._name)
        self._ask(_MADE, self._name)


def _link(file: Path, into: Path) -> None:
    """Give a complete file a second name, unless it has it already."""
    if into.exists():
        if into.samefile(file):
            return
        into.unlink()
    os.link(file, into)
