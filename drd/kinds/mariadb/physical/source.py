"""A running MariaDB server as a source: its files are copied into the workplace, and stored from
there as a directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from drd.errors import DrdError, ImplausibleDump, SourceError
from drd.kinds.file_system import fresh, remove
from drd.kinds.mariadb.address import OPTIONS, Address, address_of, write_options
from drd.kinds.mariadb.connection import Connection, ServerError, interruptible, version_text, words
from drd.kinds.mariadb.inspect import ask, jsonable
from drd.kinds.mariadb.physical import files_list, narrow
from drd.kinds.mariadb.physical.binlog.needs import needs
from drd.kinds.mariadb.physical.confined import confined, require_own
from drd.kinds.mariadb.physical.copy import HOLDS_COMMITS, HOLDS_DDL, Order, copy
from drd.kinds.mariadb.physical.examine import data_dir_of, examine, setting
from drd.kinds.mariadb.physical.manifest import DATA, LIST
from drd.kinds.mariadb.physical.moment import Moment
from drd.kinds.mariadb.physical.reach import connect
from drd.kinds.mariadb.physical.settings import ServerSettings
from drd.kinds.mariadb.tools import Program, program, series, series_text
from drd.kinds.servers import room_for_copy
from drd.model.snapshot import Fingerprint, StoredSnapshot
from drd.model.text import escaped
from drd.model.units import format_size
from drd.ports import Finding, Payload, Probe, Tree, Workplace
from drd.ports.sources import DatabaseQuery

COPY = "copy"
"""The directory in the workplace that receives the copy."""

OBSERVE_S = 60.0
"""Time limit for each query whose answer is kept for a later comparison."""

_LOG = 256 << 20
"""So many bytes of the server's redo log may come on top of its tables, for the check of room."""

_SIZE = """
SELECT (SELECT COALESCE(SUM(FILE_SIZE), 0) FROM information_schema.INNODB_SYS_TABLESPACES)
     + (SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES
         WHERE ENGINE IS NOT NULL AND ENGINE NOT IN ('InnoDB', 'MEMORY'))"""


class ServerSource:
    """A server that others use; nothing in it is changed."""

    def __init__(self, name: str, settings: ServerSettings, place: Workplace) -> None:
        self._name = name
        self._settings = settings
        self._place = place
        self._given: Address | None = None

    def _address(self) -> Address:
        if self._given is None:
            self._given = address_of(self._settings.dsn)
        return self._given

    def probe(self) -> Probe:
        with connect(self._address()) as connection:
            findings = list(self._examined(connection))
            for finding in findings:
                if finding.failed:
                    raise SourceError(finding.text, hint=finding.remedy)
            warnings = tuple(f for f in findings if f.severity == "warning")
            facts = {"server_version": version_text(connection)}
            return Probe(_size(connection), facts, findings=warnings)

    def doctor(self) -> list[Finding]:
        try:
            with connect(self._address()) as connection:
                return list(self._examined(connection))
        except DrdError as error:
            return [Finding("reachable", "error", self._name, error.message, error.hint)]

    def _examined(self, connection: Connection) -> Iterator[Finding]:
        version = version_text(connection)
        examined = list(examine(connection, self._name, self._settings.data_dir))
        size = 0 if any(f.failed and f.code == "rights" for f in examined) else _size(connection)
        of_size = f", {format_size(size)}" if size else ""
        yield Finding("reachable", "ok", self._name, f"MariaDB {version}{of_size}")
        try:
            tool = backup_program(version, self._settings.bin_dir)
            yield Finding("mariadb-backup", "ok", self._name, f"version {tool.version}")
        except DrdError as error:
            yield Finding("mariadb-backup", "error", self._name, error.message, error.hint)
        yield from examined
        if size:
            yield room_for_copy(self._name, self._place, size + _LOG)
        if self._settings.binlog is not None:
            yield from self._of_binlog(connection)

    def _of_binlog(self, connection: Connection) -> Iterator[Finding]:
        try:
            yield from needs(connection, self._name)
        except ServerError as error:
            text = f"drd cannot examine the binary log: {words(error)}"
            hint = "run the script that `drd doctor PLAN --grants` prints."
            yield Finding("rights", "error", self._name, text, hint)
        try:
            tool = program("mariadb-binlog", self._settings.bin_dir)
            yield Finding("mariadb-binlog", "ok", self._name, f"version {tool.version}")
        except DrdError as error:
            yield Finding("mariadb-binlog", "error", self._name, error.message, error.hint)

    def now(self) -> tuple[datetime, Fingerprint | None]:
        wanted = self._settings.fingerprint
        try:
            with connect(self._address(), database=False) as connection:
                at = datetime.now(UTC)
                if wanted.mode == "off":
                    return at, None
                return at, narrow.whole(connection, wanted.mode, wanted.budget)
        except ServerError as error:
            raise SourceError(
                f"cannot read the server: {words(error)}", hint="check the server's log."
            ) from error

    @contextmanager
    def open(self) -> Iterator[ServerCapture]:
        into = self._place.directory / COPY
        wanted = self._settings.fingerprint
        with ExitStack() as stack:
            reader = stack.enter_context(connect(self._address()))
            tool = backup_program(version_text(reader), self._settings.bin_dir)
            options = self._place.directory / OPTIONS
            stack.callback(options.unlink, missing_ok=True)
            stack.callback(remove, into)
            data_dir = data_dir_of(reader)
            require_own(reader, data_dir)
            (fresh(into) / DATA).mkdir(mode=0o700)
            write_options(self._address(), options)
            fence = stack.enter_context(confined(self._address(), data_dir, options, into / DATA))
            order = Order(
                tool, options, data_dir, into / DATA, self._place.jobs, fence, self._place.deadline
            )
            moment = Moment(reader, wanted.mode)
            with interruptible(reader):
                copy(order, {HOLDS_DDL: moment.list_tables, HOLDS_COMMITS: moment.begin})
            options.unlink(missing_ok=True)
            yield ServerCapture(self._name, self._settings, moment, _made(into, reader), tool)


def backup_program(version: str, bin_dir: str | None) -> Program:
    """Return mariadb-backup for a server of this version. Raises ToolError, SourceError."""
    tool = program("mariadb-backup", bin_dir)
    if series(tool.version) != series(version):
        raise SourceError(
            f"mariadb-backup has version {tool.version}, and copies only servers of its own "
            f"series; the server has {version}",
            hint=f"install mariadb-backup {series_text(version)}, or set `bin_dir` of the "
            "component to its directory.",
            permanent=True,
        )
    return tool


def _size(connection: Connection) -> int:
    return int(connection.value(_SIZE) or 0)


class Made(NamedTuple):
    """A finished copy: its directory, its bytes with the list of files, the digest of that list,
    and what its files need."""

    into: Path
    bytes: int
    digest: str
    needs: Mapping[str, Any]


def _made(into: Path, reader: Connection) -> Made:
    data = into / DATA
    if odd := files_list.strangers(data):
        raise SourceError(
            f"the copy contains {escaped(odd[0])[:200]}, which leads out of the data directory",
            hint="move the files of this table into the data directory (a table with DATA "
            "DIRECTORY: make it again without), or back up its database with kind mariadb.",
            permanent=True,
        )
    listing = files_list.listed(data)
    text = files_list.text_of(listing)
    (into / LIST).write_bytes(text)
    needs = {
        "data_file_path": setting(reader, "innodb_data_file_path"),
        "page_size": int(setting(reader, "innodb_page_size")),
        "undo_tablespaces": int(setting(reader, "innodb_undo_tablespaces") or 0),
        "lower_case_table_names": int(setting(reader, "lower_case_table_names") or 0),
    }
    size = len(text) + sum(one.bytes for one in listing.values())
    return Made(into, size, files_list.sha256(into / LIST), needs)


class ServerCapture:
    """The copy of a server, and a session of drd's with a snapshot of the same moment."""

    def __init__(
        self, name: str, settings: ServerSettings, moment: Moment, made: Made, tool: Program
    ) -> None:
        self._name = name
        self._settings = settings
        self._moment = moment
        self._made = made
        self.payload: Payload = Tree((str(made.into),), expected_bytes=made.bytes)
        reader = moment.reader
        self.facts: Mapping[str, Any] = {
            "place": str(made.into),
            "server_version": version_text(reader),
            "backup_version": tool.version,
            "server_bytes": made.bytes,
            "files_digest": made.digest,
            "database": reader.address.database,
            "databases": moment.databases,
            "plugins": moment.plugins,
            "events": moment.events,
            **made.needs,
            **moment.position._asdict(),
        }
        self.private: Mapping[str, Any] = {}

    @property
    def data_time(self) -> datetime:
        return self._moment.at

    def fingerprint(self) -> Fingerprint | None:
        wanted = self._settings.fingerprint
        if wanted.mode == "off":
            return None
        with interruptible(self._moment.reader):
            return self._moment.frozen(wanted.mode, wanted.budget)

    def observe(self, queries: Mapping[str, str]) -> Mapping[str, Any]:
        """Answer from the snapshot; a query can name any database."""
        reader, answers = self._moment.reader, {}
        for name, query in queries.items():
            there = query.database if isinstance(query, DatabaseQuery) else None
            with suppress(DrdError), interruptible(reader):
                answers[name] = jsonable(_answer(reader, there, query))
        return answers

    def verify(self, stored: StoredSnapshot, fingerprint: Fingerprint | None) -> Fingerprint | None:
        if stored.bytes < self._made.bytes:
            raise ImplausibleDump(
                f"restic stored {stored.bytes:,} of {self._made.bytes:,} bytes of the server",
                hint="check whether another program removes files in work_dir, and try again.",
            )
        return fingerprint


def _answer(reader: Connection, database: str | None, query: str) -> Any:
    reader.use(database or reader.address.database)
    return ask(reader, query, timeout_s=OBSERVE_S)
