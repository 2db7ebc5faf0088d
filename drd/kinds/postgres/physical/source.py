"""A running PostgreSQL server as a source: its files are copied into the workplace, and stored from
there as a directory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from typing import Any

import psycopg

from drd import process
from drd.errors import DrdError, ImplausibleDump, SourceError
from drd.kinds.file_system import fresh, remove
from drd.kinds.postgres.address import Address, address_of
from drd.kinds.postgres.connection import Connection, connect, interruptible, password_file, words
from drd.kinds.postgres.described import version_text
from drd.kinds.postgres.inspect import ask, jsonable
from drd.kinds.postgres.physical import contents
from drd.kinds.postgres.physical.base_backup import Order
from drd.kinds.postgres.physical.examine import Examination, size_of
from drd.kinds.postgres.physical.increments import COPY, PLACE, Made, copied
from drd.kinds.postgres.physical.programs import programs_of_server
from drd.kinds.postgres.physical.settings import ClusterSettings
from drd.kinds.postgres.physical.wal import transactions
from drd.kinds.postgres.roles import bootstrap_role
from drd.model.snapshot import DatabaseFingerprint, Fingerprint, StoredSnapshot
from drd.ports import Earlier, Finding, NoEarlier, Payload, Probe, Tree, Workplace
from drd.ports.sources import DatabaseQuery

OBSERVE_S = 60.0
_FLUSHED_S = 11.0
"""Seconds after which the server's statistics contain the changes of a session that is idle."""

_SPACES = """
SELECT oid::text, spcname::text, pg_catalog.pg_tablespace_location(oid)
  FROM pg_catalog.pg_tablespace WHERE pg_catalog.pg_tablespace_location(oid) LIKE '/%'
 ORDER BY oid"""
_LIBRARIES = """
SELECT DISTINCT l FROM pg_catalog.pg_settings,
       unnest(string_to_array(reset_val, ',')) w, trim(both ' "' from w) l
 WHERE name IN ('shared_preload_libraries', 'session_preload_libraries', 'local_preload_libraries')
   AND l <> '' ORDER BY 1"""
_CONFIGURED = """
SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings
 WHERE source = 'configuration file' ORDER BY 1"""
_STANDBY = """
SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_last_xact_replay_timestamp(),
       coalesce(pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn(),
                false)"""
_AROUND = """
SELECT pg_catalog.pg_snapshot_xmin(s)::text, pg_catalog.pg_snapshot_xmax(s)::text
  FROM pg_catalog.pg_current_snapshot() s"""


class ClusterSource:
    """A running server that others use: drd changes nothing in it."""

    def __init__(self, name: str, settings: ClusterSettings, place: Workplace) -> None:
        self._name = name
        self._settings = settings
        self._place = place
        self._examination = Examination(name, settings, place)
        self._given: Address | None = None
        self._earlier: Earlier | NoEarlier = NoEarlier("it is the first copy in this repository")

    def _address(self) -> Address:
        if self._given is None:
            self._given = address_of(self._settings.dsn)
        return self._given

    def probe(self) -> Probe:
        with connect(self._address()) as connection:
            findings = list(self._examination.of_backup(connection, self._address()))
            for finding in findings:
                if finding.failed:
                    raise SourceError(finding.text, hint=finding.remedy)
            warnings = tuple(f for f in findings if f.severity == "warning")
            facts = {"server_version": version_text(connection)}
            return Probe(size_of(connection), facts, findings=warnings)

    def doctor(self) -> list[Finding]:
        try:
            with connect(self._address()) as connection:
                examined = list(self._examination.of_backup(connection, self._address()))
                return [*examined, *self._examination.of_wal(connection, examined)]
        except DrdError as error:
            return [Finding("reachable", "error", self._name, error.message, error.hint)]

    def build_on(self, earlier: Earlier | NoEarlier) -> None:
        self._earlier = earlier

    def now(self) -> tuple[datetime, Fingerprint | None]:
        wanted = self._settings.fingerprint
        try:
            with closing(connect(self._address())) as connection:
                row = connection.execute("SELECT pg_catalog.clock_timestamp()").fetchone()
                assert row is not None
                if wanted.mode == "off":
                    return row[0], None
                return row[0], contents.of_server(
                    self._address(), connection, mode=wanted.mode, budget_s=wanted.budget
                )
        except psycopg.Error as error:
            raise SourceError(
                f"cannot read the server: {words(error)}",
                hint="check that the server runs, and check its log.",
            ) from error

    @contextmanager
    def open(self) -> Iterator[ClusterCapture]:
        into = self._place.directory / COPY
        with ExitStack() as stack:
            holder = stack.enter_context(closing(connect(self._address())))
            address = self._address().pinned(holder)
            programs = programs_of_server(holder, self._settings.bin_dir)
            environment = stack.enter_context(password_file(address, self._place.directory))
            stack.callback(remove, into)
            fresh(into)
            before = _Before(holder, address, fingerprint=self._settings.fingerprint.mode != "off")
            spaces = before.spaces
            order = Order(
                address,
                environment,
                programs,
                {oid: location for oid, _, location in spaces},
                self._settings.checkpoint,
                into,
                self._place.mark,
                left_s=self._place.left_s,
                limits=self._place.limits,
            )
            made = copied(holder, self._settings, order, self._earlier)
            yield ClusterCapture(self._settings, order, before, made, _following(holder))


class _Before:
    """What is read from the server before its files are copied."""

    def __init__(self, holder: Connection, address: Address, *, fingerprint: bool) -> None:
        self.address = address
        try:
            self.oldest, self.following = _around(holder)
            self.databases = contents.names(holder)
            self.spaces = [tuple(row) for row in holder.execute(_SPACES.encode()).fetchall()]
            libraries = holder.execute(_LIBRARIES.encode()).fetchall()
            configured = holder.execute(_CONFIGURED.encode()).fetchall()
            standby = holder.execute(_STANDBY.encode()).fetchone()
            self.bootstrap = bootstrap_role(holder)
            reach = address.to_database
            self.counters = contents.counters(reach, self.databases) if fingerprint else {}
            self.properties = contents.properties(reach, holder) if fingerprint else {}
        except psycopg.Error as error:
            raise SourceError(
                f"cannot read the server: {words(error)}",
                hint="check that the server runs, and check its log.",
            ) from error
        assert standby is not None
        self.standby, self.replayed, self.current = standby
        self.libraries = [row[0] for row in libraries]
        self.settings = {str(name): str(value) for name, value in configured}
        self.version = version_text(holder)
        self.major = holder.info.server_version // 10000
        self.database = holder.info.dbname


def _around(connection: Connection) -> tuple[int, int]:
    """Return the number of the oldest transaction that writes and has not ended, and that of the
    next one. They are the same while no such transaction runs."""
    row = connection.execute(_AROUND.encode()).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _following(connection: Connection) -> int | None:
    """Return the number of the next transaction that writes; None if the server does not say it."""
    with suppress(psycopg.Error):
        return _around(connection)[1]
    return None


class ClusterCapture:
    """The copy of a server: its state is the one at the end of the copying."""

    def __init__(
        self,
        settings: ClusterSettings,
        order: Order,
        before: _Before,
        made: Made,
        following: int | None,
    ) -> None:
        self._settings = settings
        self._address = order.address
        self._before = before
        self._made = made
        self._following = following
        self._into = order.into
        self._programs = order.programs
        self._read_at = time.monotonic()

    @property
    def data_time(self) -> datetime:
        replayed: datetime | None = self._before.replayed
        if self._before.standby and not self._before.current and replayed is not None:
            return min(self._made.newest.still_at, replayed)
        return self._made.newest.still_at

    @property
    def payload(self) -> Payload:
        return Tree(
            (self._into.name,),
            expected_bytes=self._made.bytes,
            below=str(self._into.parent),
            earlier=self._made.earlier,
        )

    @property
    def facts(self) -> Mapping[str, Any]:
        before, made = self._before, self._made.newest
        return {
            **self._made.facts,
            **transactions.facts(before.oldest, self._following),
            "place": PLACE,
            "system_identifier": made.system_identifier,
            "timeline": made.timeline,
            "start_lsn": made.start_lsn,
            "end_lsn": made.end_lsn,
            "manifest_digest": made.manifest_digest,
            "cluster_bytes": made.whole,
            "server_version": before.version,
            "server_major": before.major,
            "pg_basebackup_version": self._programs.version,
            "bootstrap_role": before.bootstrap,
            "database": before.database,
            "databases": before.databases,
            "tablespaces": {oid: called for oid, called, _ in before.spaces},
            "libraries": before.libraries,
            "standby": before.standby,
        }

    @property
    def private(self) -> Mapping[str, Any]:
        return {"settings": self._before.settings}

    def fingerprint(self) -> Fingerprint | None:
        wanted = self._settings.fingerprint
        if wanted.mode == "off":
            return None
        try:
            return contents.fingerprint(
                self._address.to_database,
                self._before.databases,
                mode=wanted.mode,
                budget_s=wanted.budget,
                properties=self._before.properties,
            )
        finally:
            self._read_at = time.monotonic()

    def observe(self, queries: Mapping[str, str]) -> Mapping[str, Any]:
        answers = {}
        for name, query in queries.items():
            there = query.database if isinstance(query, DatabaseQuery) else self._before.database
            with suppress(DrdError):
                answers[name] = self._answer(there, query)
        return answers

    def _answer(self, database: str, query: str) -> Any:
        address = self._address.to_database(database)
        with closing(connect(address, pinned=False)) as reader, interruptible(reader):
            reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return jsonable(ask(reader, query, timeout_s=OBSERVE_S))

    def verify(self, stored: StoredSnapshot, fingerprint: Fingerprint | None) -> Fingerprint | None:
        """Leave out of the fingerprint what changed between the beginning of the copying and the
        time when it was read: nobody knows its state at the end of the copying."""
        if stored.bytes < self._made.bytes:
            raise ImplausibleDump(
                f"restic stored {stored.bytes:,} of {self._made.bytes:,} bytes of the server",
                hint="check whether another program removes files in work_dir, and try again.",
            )
        if not isinstance(fingerprint, DatabaseFingerprint):
            return fingerprint
        with closing(connect(self._address)) as connection:
            oldest, following = _around(connection)
        if oldest == following == self._before.oldest == self._before.following:
            return fingerprint  # nothing wrote all the time
        if self._before.standby:
            return contents.without_all(fingerprint, contents.REPLAYED)
        while (left := self._read_at + _FLUSHED_S - time.monotonic()) > 0:
            process.check_cancelled()
            time.sleep(min(0.2, left))
        after = contents.counters(self._address.to_database, self._before.databases)
        return contents.without_changed(fingerprint, self._before.counters, after)
