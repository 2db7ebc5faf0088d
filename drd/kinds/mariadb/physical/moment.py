"""What drd does while mariadb-backup holds the server still: it begins a snapshot of its own, so
that everything it reads later has the state of the copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from drd.errors import SourceError
from drd.kinds.databases import Mode
from drd.kinds.mariadb.connection import Connection, ServerError, words
from drd.kinds.mariadb.naming import plain
from drd.kinds.mariadb.physical import contents
from drd.model.snapshot import DatabaseFingerprint

HOLD_S = 2.0
"""So many seconds at most drd reads tables without snapshots while all commits wait."""

_LATE = (
    f"its engine has no snapshots, and drd reads such tables for at most {HOLD_S:.0f} s, because "
    "all commits of the server wait meanwhile"
)
DDL_S = 20.0
"""The longest time, in seconds, for which drd reads the lists of tables."""

_UNLISTED = (
    f"drd stops reading the lists of tables after {DDL_S:.0f} s, because nobody can create or "
    "change a table meanwhile: by then, it had not read the list of this database"
)
_POSITION = (
    "SELECT @@GLOBAL.log_bin, @@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_current_pos, "
    "@@GLOBAL.server_id"
)
_EVENTS = "SELECT COUNT(*) FROM mysql.event WHERE status = 'ENABLED'"
_PLUGINS = "SELECT name FROM mysql.plugin ORDER BY 1"


class Position(NamedTuple):
    """Where the server's binary log was; empty and 0 without one."""

    gtid_binlog_pos: str
    gtid_current_pos: str
    server_id: int
    binlog_file: str
    binlog_position: int


class Moment:
    """The moment of a copy. `reader` is a session of drd's that keeps its snapshot until the end.
    `mode` is that of the fingerprint."""

    def __init__(self, reader: Connection, mode: Literal["off", "counts", "digest"]) -> None:
        self.reader = reader
        self.at = datetime.now(UTC)
        self.position = Position("", "", 0, "", 0)
        self.databases: list[str] = []
        self.events = 0
        self.plugins: list[str] = []
        self.found: Mapping[str, contents.Found] = {}
        self.unlisted: Mapping[str, str] = {}
        self.moving = DatabaseFingerprint(mode)
        self._mode = mode

    def list_tables(self) -> None:
        """Read which tables there are; nobody can make or drop one any more."""
        reader = self.reader
        try:
            self.databases = contents.names(reader)
            self.events = int(reader.value(_EVENTS) or 0)
            self.plugins = [str(name) for (name,) in reader.rows(_PLUGINS)]
            if self._mode != "off":
                every = (contents.SYSTEM, *self.databases)
                self.found = contents.find_all(reader, every, DDL_S)
                late = (n for n in every if n not in self.found)
                self.unlisted = {plain(name): _UNLISTED for name in late}
        except ServerError as error:
            raise _unreadable(error) from error

    def begin(self) -> None:
        """Begin the snapshot, and read what has none."""
        reader = self.reader
        try:
            reader.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            self.at = datetime.now(UTC)
            self.position = _position(reader)
            if self._mode != "off":
                self.moving = contents.moving_tables(
                    reader, self.found, mode=self._mode, budget_s=HOLD_S, late=_LATE
                )
        except ServerError as error:
            raise _unreadable(error) from error

    def frozen(self, mode: Mode, budget_s: float) -> DatabaseFingerprint:
        """Describe all tables, those with snapshots as of the moment."""
        part = {name: one.frozen for name, one in self.found.items()}
        read = contents.some_tables(self.reader, part, mode=mode, budget_s=budget_s)
        known = contents.without_rows(contents.merged(read, self.moving), self.found)
        return replace(known, not_reached={**known.not_reached, **self.unlisted})


def _position(reader: Connection) -> Position:
    row: Any = reader.one(_POSITION)
    logs, binlog, current, server = row
    file, position = "", 0
    if int(logs or 0) and (status := reader.one("SHOW MASTER STATUS")) is not None:
        file, position = str(status[0]), int(status[1])
    return Position(str(binlog or ""), str(current or ""), int(server or 0), file, position)


def _unreadable(error: ServerError) -> SourceError:
    return SourceError(
        f"cannot read the server at the end of the copying: {words(error)}",
        hint="run the script that `drd doctor PLAN --grants` prints, and check the server's log.",
    )
