"""A MariaDB database as a source: examined, then frozen in one snapshot while it is dumped.

The server cannot give one session's snapshot to another. So drd blocks commits for a moment, in
which both its own session and mariadb-dump (or mysqldump) begin a snapshot: the fingerprint, the
answers for checks and the dump describe the same state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from drd import process
from drd.errors import DrdError, DumpFailed, ImplausibleDump, SourceError
from drd.kinds.inside import facts_of, one_container, pinned, runs
from drd.kinds.mariadb import rights
from drd.kinds.mariadb.address import OPTIONS, Address, address_of, write_options
from drd.kinds.mariadb.connection import (
    Connection,
    ServerError,
    connect,
    interruptible,
    version_text,
    words,
)
from drd.kinds.mariadb.described import Read, size
from drd.kinds.mariadb.described import read as described
from drd.kinds.mariadb.dump import without_views
from drd.kinds.mariadb.dump import words as dump_words
from drd.kinds.mariadb.fingerprint import describe
from drd.kinds.mariadb.flavour import MYSQL
from drd.kinds.mariadb.held_dump import HeldDump
from drd.kinds.mariadb.inspect import ask, jsonable
from drd.kinds.mariadb.manifest import filename as filename_of
from drd.kinds.mariadb.settings import MariadbSettings
from drd.kinds.mariadb.tools import VARIABLES, Program, program
from drd.model.snapshot import DatabaseFingerprint, Fingerprint, StoredSnapshot
from drd.model.text import escaped
from drd.model.units import format_size
from drd.ports import Finding, Payload, Probe, Stream, Workplace
from drd.process import LIST, Command, container_of, inside

OBSERVE_S = 60.0
"""Time limit for each query whose answer is kept for a later comparison."""

BEGIN_S = 20.0
"""Seconds that commits may wait for mariadb-dump to begin. After that the backup fails, and drd
retries it."""


class MariadbSource:
    """One database of a server that others use; nothing in it is changed."""

    def __init__(self, name: str, settings: MariadbSettings, place: Workplace) -> None:
        self._name = name
        self._settings = settings
        self._place = place
        self._given: Address | None = None
        self._container = container_of(settings)

    def _address(self) -> Address:
        """Return the address of the dsn; the secret is resolved once."""
        if self._given is None:
            self._given = address_of(self._settings.dsn, self._container)
        return self._given

    def probe(self) -> Probe:
        self._container = pinned(self._container)
        with connect(self._address()) as connection:
            tool = self._tool(connection)
            findings = rights.examine(connection, self._name, self._address().database)
            for finding in findings:
                if finding.failed:
                    raise SourceError(finding.text, hint=finding.remedy)
            warnings = tuple(f for f in findings if f.severity == "warning")
            facts = {"server_version": version_text(connection), "dump_version": tool.version}
            return Probe(size(connection, self._address().database), facts, (), warnings)

    def _tool(self, connection: Connection) -> Program:
        return program(connection.flavour.dump, self._settings.bin_dir, self._container)

    def doctor(self) -> list[Finding]:
        findings: list[Finding] = []

        def examined(code: str, examine: Callable[[], str]) -> bool:
            try:
                findings.append(Finding(code, "ok", self._name, examine()))
            except DrdError as error:
                findings.append(Finding(code, "error", self._name, error.message, error.hint))
            return not findings[-1].failed

        with ExitStack() as stack:
            held: list[Connection] = []

            def reach() -> str:
                held.append(stack.enter_context(connect(self._address())))
                name = self._address().database
                of = format_size(size(held[0], name))
                product = held[0].flavour.name
                return f"{product} {version_text(held[0])}, database {escaped(name)}, {of}"

            inside = self._container
            if inside is not None and not examined("container", lambda: runs(inside)):
                return findings
            if not examined("reachable", reach):
                return findings

            def dumps() -> str:
                return f"version {self._tool(held[0]).version}"

            if held[0].flavour is MYSQL:
                examined("mysqldump", dumps)
            else:
                examined("mariadb-dump", dumps)
            findings += rights.examine(held[0], self._name, self._address().database)
        return findings

    @contextmanager
    def open(self) -> Iterator[MariadbCapture]:
        self._container = pinned(self._container)
        with one_container(self._container), ExitStack() as stack:
            address = self._address()
            control = stack.enter_context(connect(address))
            tool = self._tool(control)
            reader = stack.enter_context(connect(address))
            options = self._place.directory / OPTIONS
            stack.callback(options.unlink, missing_ok=True)
            moment = _Moment(address, control, reader, tool)
            read, dump = moment.freeze(self._place, lambda d: stack.callback(d.close))
            dump.lower_priority(self._place.limits)
            yield MariadbCapture(self._name, self._settings, moment, read, dump)


class _Moment:
    """The moment of a backup: no commit happens while drd's session and mariadb-dump begin their
    snapshots."""

    def __init__(
        self, address: Address, control: Connection, reader: Connection, tool: Program
    ) -> None:
        self.address = address
        self.tool = tool
        self.control = control
        self.reader = reader
        self.at = datetime.now(UTC)

    def freeze(
        self, place: Workplace, on_dump: Callable[[HeldDump], object]
    ) -> tuple[Read, HeldDump]:
        """Freeze the database, and start the dump. Returns what describes the database, and the
        dump, which `on_dump` gets first. Raises SourceError, and DumpFailed if mariadb-dump did
        not begin."""
        product = self.control.flavour
        try:
            with interruptible(self.control):
                self._each(product.blocks_ddl)
                read = described(self.control, self.address.database)
                command = self._command(place, read)
                self._each(product.blocks_commits)
                self.reader.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                self.reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                self.at = datetime.now(UTC)
                dump = HeldDump(command, place.directory / "dump", product.dump)
                on_dump(dump)
                self._await(dump)
        except ServerError as error:
            raise SourceError(
                f"cannot freeze database {escaped(self.address.database)}: {words(error)}",
                hint="another session may hold a lock: find this session with SHOW FULL "
                "PROCESSLIST, wait for its end or end it, then try again.",
            ) from error
        finally:
            with suppress(ServerError):
                self._each(product.unblocks)
        return read, dump

    def _each(self, statements: Iterable[str]) -> None:
        for statement in statements:
            self.control.execute(statement)

    def _command(self, place: Workplace, read: Read) -> Command:
        """Return the command that dumps tables and sequences."""
        product = read.flavour
        lines = without_views(read.name, read.tables, product)
        file = write_options(self.address, place.directory / OPTIONS, lines, flavour=product)
        options = LIST if self.tool.inside else str(file)
        history = read.history
        argv = dump_words(self.tool, options, read.name, history=history, flavour=product)
        command = Command(argv, name=product.dump)
        return inside(command, self.tool.inside, listed=file, forget=VARIABLES)

    def _await(self, dump: HeldDump) -> None:
        """Return when mariadb-dump has its snapshot."""
        end = time.monotonic() + BEGIN_S
        while dump.exit_code is None:
            process.check_cancelled()
            if dump.has_snapshot:
                return
            if time.monotonic() > end:
                raise DumpFailed(
                    f"{self.control.flavour.dump} did not begin within {BEGIN_S:.0f} s",
                    hint="check the load of the server, then try again.",
                )
            time.sleep(0.01)
        if dump.exit_code != 0:
            raise DumpFailed(
                f"{self.control.flavour.dump} of {escaped(self.address.database)} failed: "
                f"{dump.said().strip()}",
                hint="correct the cause, then try again.",
            )


class MariadbCapture:
    """One state of the database; two transactions hold it until the capture is closed."""

    def __init__(
        self,
        name: str,
        settings: MariadbSettings,
        moment: _Moment,
        read: Read,
        dump: HeldDump,
    ) -> None:
        self._name = name
        self._settings = settings
        self._reader = moment.reader
        self._moment = moment
        self._read = read
        self.payload: Payload = Stream(dump.payload, filename_of(name), read.bytes)
        self.facts: Mapping[str, Any] = {
            **facts_of(moment.tool.inside),
            "filename": filename_of(name),
            "server_version": version_text(moment.reader),
            "dump_version": moment.tool.version,
            **read.facts,
        }
        self.private: Mapping[str, Any] = read.private

    @property
    def data_time(self) -> datetime:
        return self._moment.at

    def fingerprint(self) -> Fingerprint | None:
        wanted = self._settings.fingerprint
        if wanted.mode == "off":
            return None
        database = self._moment.address.database
        try:
            with interruptible(self._reader):
                return describe(self._reader, database, mode=wanted.mode, budget_s=wanted.budget)
        except ServerError as error:
            raise SourceError(
                f"cannot read the tables of {self._name}: {words(error)}",
                hint="check the server's log.",
            ) from error

    def observe(self, queries: Mapping[str, str]) -> Mapping[str, Any]:
        answers = {}
        for name, query in queries.items():
            with suppress(SourceError, DrdError), interruptible(self._reader):
                answers[name] = jsonable(ask(self._reader, query, timeout_s=OBSERVE_S))
        return answers

    def verify(self, stored: StoredSnapshot, fingerprint: Fingerprint | None) -> Fingerprint | None:
        """Check the dump's size. Compare tables that have no snapshots with their present state:
        drd can compare them later only if nobody changed them."""
        if stored.bytes == 0:
            raise ImplausibleDump(
                f"the dump of {self._name} is empty", hint="check the server's log, and try again."
            )
        if not isinstance(fingerprint, DatabaseFingerprint):
            return fingerprint
        rows = sum(t.rows for t in fingerprint.tables.values())
        if stored.bytes < rows:
            raise ImplausibleDump(
                f"the dump of {self._name} has only {stored.bytes} bytes for {rows} rows",
                hint="check whether a program emptied a table at that moment, and try again.",
            )
        return self._without_moved(fingerprint)

    def _without_moved(self, fingerprint: DatabaseFingerprint) -> DatabaseFingerprint:
        moving = [name for name in self._read.tables.moving if name in fingerprint.tables]
        if not moving or fingerprint.mode == "off":
            return fingerprint
        wanted = self._settings.fingerprint
        database = self._moment.address.database
        now = describe(
            self._reader, database, mode=fingerprint.mode, budget_s=wanted.budget, only=moving
        )
        changed = [n for n in moving if now.tables.get(n) != fingerprint.tables[n]]
        why = "changed during the backup, and its storage engine has no snapshots"
        return replace(
            fingerprint,
            tables={n: t for n, t in fingerprint.tables.items() if n not in changed},
            not_reached={**fingerprint.not_reached, **dict.fromkeys(changed, why)},
        )
