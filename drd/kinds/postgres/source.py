"""A PostgreSQL database as a source: examined, then frozen in one snapshot while it is dumped.

A connection of drd exports the snapshot; pg_dump, the fingerprint and the answers for checks all
read from this snapshot, so they describe the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from typing import Any

import psycopg

from drd.errors import DrdError, DumpFailed, ImplausibleDump, SourceError, SourceUnreachable
from drd.kinds.inside import facts_of, one_container, pinned, runs
from drd.kinds.postgres import database, described, rights, roles
from drd.kinds.postgres.address import Address, address_of
from drd.kinds.postgres.connection import Connection, connect, interruptible, password_file, words
from drd.kinds.postgres.dump import DumpOrder, dump_command, explained
from drd.kinds.postgres.exported_snapshot import Moment, export_snapshot
from drd.kinds.postgres.fingerprint import describe
from drd.kinds.postgres.inspect import ask, jsonable
from drd.kinds.postgres.manifest import filename as filename_of
from drd.kinds.postgres.pooler import require_own_session
from drd.kinds.postgres.settings import PostgresSettings
from drd.kinds.postgres.tools import PostgresPrograms, programs_for
from drd.model.snapshot import DatabaseFingerprint, Fingerprint, StoredSnapshot
from drd.model.units import format_size
from drd.ports import Finding, Payload, Probe, Stream, Workplace
from drd.process import container_of

OBSERVE_S = 60.0
"""Time limit for each query whose answer is kept for a later comparison."""


class PostgresSource:
    """One database of a server that others use; nothing in it is changed."""

    def __init__(self, name: str, settings: PostgresSettings, place: Workplace) -> None:
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
        with _asked(self._address()), connect(self._address()) as connection:
            address = self._address().pinned(connection)
            note = require_own_session(address, connection)
            programs = self._programs(connection)
            findings = rights.examine(connection, self._name, connection.info.user)
            for finding in findings:
                if finding.failed:
                    raise SourceError(finding.text, hint=finding.remedy)
            warnings = tuple(f for f in findings if f.severity == "warning")
            version = described.version_text(connection)
            facts = {"server_version": version, "pg_dump": programs.version}
            return Probe(described.size(connection), facts, (note,) if note else (), warnings)

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
                size = format_size(described.size(held[0]))
                version = described.version_text(held[0])
                return f"PostgreSQL {version}, database {held[0].info.dbname}, {size}"

            inside = self._container
            if inside is not None and not examined("container", lambda: runs(inside)):
                return findings
            if not examined("reachable", reach):
                return findings
            connection = held[0]
            address = self._address().pinned(connection)
            examined(
                "own-session",
                lambda: (
                    require_own_session(address, connection)
                    or "drd is connected to the server itself, without a pooler"
                ),
            )
            examined(
                "pg_dump", lambda: f"pg_dump {self._programs(connection).version} fits the server"
            )
            user = connection.info.user
            try:
                with _asked(address):
                    findings += rights.examine(connection, self._name, user)
                    findings += rights.login_of_application(connection, self._name, user)
            except SourceUnreachable as error:
                findings.append(Finding("rights", "error", self._name, error.message, error.hint))
        return findings

    @contextmanager
    def open(self) -> Iterator[PostgresCapture]:
        self._container = pinned(self._container)
        with one_container(self._container), _asked(self._address()), ExitStack() as stack:
            holder = stack.enter_context(connect(self._address()))
            address = self._address().pinned(holder)
            programs = self._programs(holder)
            environment = stack.enter_context(password_file(address, self._place.directory))
            moment = _exported(holder)
            capture = PostgresCapture(self._name, self._settings, address, holder, moment)
            capture.prepare(programs, environment)
            stack.callback(capture.close)
            try:
                yield capture
            except DumpFailed as error:
                raise explained(error, self._name, holder) from error

    def _programs(self, connection: Connection) -> PostgresPrograms:
        major = connection.info.server_version // 10000
        return programs_for(
            major,
            "pg_dump",
            bin_dir=self._settings.bin_dir,
            inside=self._container,
        )


@contextmanager
def _asked(address: Address) -> Iterator[None]:
    """Raise SourceUnreachable if the server does not answer a query, for example because it
    restarts."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise SourceUnreachable(
            f"a query of drd failed at {address.named}: {words(error)}",
            hint="if the server ended the connection, its log has the reason. Then try again.",
        ) from error


def _exported(holder: Connection) -> Moment:
    try:
        return export_snapshot(holder)
    except psycopg.Error as error:
        raise SourceUnreachable(
            f"the server could not export a snapshot for pg_dump: {words(error)}",
            hint="check the server's log.",
        ) from error


class PostgresCapture:
    """One state of the database; a transaction holds it until the capture is closed."""

    def __init__(
        self,
        name: str,
        settings: PostgresSettings,
        address: Address,
        holder: Connection,
        moment: Moment,
    ) -> None:
        self._name = name
        self._settings = settings
        self._address = address
        self._holder = holder
        self._moment = moment
        self._payload: Stream | None = None
        self._facts: Mapping[str, Any] = {}
        self._private: Mapping[str, Any] = {}
        self._properties: Mapping[str, Any] = {}

    def prepare(self, programs: PostgresPrograms, environment: Mapping[str, str]) -> None:
        """Read what describes the database, and make the command of the dump."""
        holder = self._holder
        try:
            self._properties = database.read(holder)
            cluster = roles.read(holder)
            facts = described.facts(holder, self._properties, cluster)
        except psycopg.Error as error:
            raise SourceError(
                f"cannot read the properties of database {self._address.dbname}: {words(error)}",
                hint="check the server's log.",
            ) from error
        version = holder.info.server_version
        self._private = {
            "database": self._properties,
            "globals": cluster,
            "globals_sql": roles.script(cluster),
            "database_sql": database.script(self._properties, version=version),
        }
        filename = filename_of(self._name)
        self._facts = {
            **self._moment.facts,
            **facts,
            **facts_of(programs.inside),
            "filename": filename,
            "pg_dump_version": programs.version,
            "pg_dump_major": programs.major,
            "compression": self._settings.compression,
        }
        order = DumpOrder(
            self._address,
            self._moment.snapshot,
            self._settings.compression,
            self._moment.standby,
            environment,
        )
        size = facts["database_bytes"]
        self._payload = Stream(dump_command(programs, order), filename, size)

    @property
    def data_time(self) -> datetime:
        return self._moment.data_time

    @property
    def payload(self) -> Payload:
        assert self._payload is not None
        return self._payload

    @property
    def facts(self) -> Mapping[str, Any]:
        return self._facts

    @property
    def private(self) -> Mapping[str, Any]:
        return self._private

    def fingerprint(self) -> Fingerprint | None:
        wanted = self._settings.fingerprint
        if wanted.mode == "off":
            return None
        with self._reader(pinned=True) as reader, interruptible(reader):
            return describe(
                reader, mode=wanted.mode, budget_s=wanted.budget, properties=self._properties
            )

    def observe(self, queries: Mapping[str, str]) -> Mapping[str, Any]:
        if not queries:
            return {}
        answers = {}
        with self._reader(pinned=False) as reader, interruptible(reader):
            for name, query in queries.items():
                with suppress(SourceError, DrdError):
                    answers[name] = jsonable(ask(reader, query, timeout_s=OBSERVE_S))
        return answers

    def verify(self, stored: StoredSnapshot, fingerprint: Fingerprint | None) -> Fingerprint | None:
        """Check the dump's size: an uncompressed dump has at least a byte for each counted row."""
        if stored.bytes == 0:
            raise ImplausibleDump(
                f"the dump of {self._name} is empty", hint="check the server's log, and try again."
            )
        if isinstance(fingerprint, DatabaseFingerprint) and self._settings.compression == "none":
            derived = fingerprint.derived
            rows = sum(t.rows for name, t in fingerprint.tables.items() if name not in derived)
            if stored.bytes < rows:
                raise ImplausibleDump(
                    f"the dump of {self._name} has only {stored.bytes} bytes for {rows} rows",
                    hint="check whether a program emptied a table at that moment, and try again.",
                )
        return fingerprint

    @contextmanager
    def _reader(self, *, pinned: bool) -> Iterator[Connection]:
        """Return another connection that sees the exported snapshot."""
        with connect(self._address, pinned=pinned) as reader:
            try:
                reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                reader.execute(f"SET TRANSACTION SNAPSHOT '{self._moment.snapshot}'".encode())
            except psycopg.Error as error:
                raise SourceUnreachable(
                    f"the snapshot of the backup is gone: {words(error)}",
                    hint="the server ended a connection of drd. Find the reason in the "
                    "log of the server, then try again.",
                ) from error
            yield reader

    def close(self) -> None:
        """End the transaction that holds the snapshot."""
        with suppress(psycopg.Error):
            self._holder.execute("ROLLBACK")
