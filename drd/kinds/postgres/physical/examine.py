"""Examine what a backup of a whole server needs, and what the receiver of its WAL needs besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from psycopg import conninfo, pq

from drd.errors import DrdError, SourceError
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.described import version_text
from drd.kinds.postgres.physical import contents, increments
from drd.kinds.postgres.physical.programs import programs_of_server
from drd.kinds.postgres.physical.settings import ClusterSettings
from drd.kinds.postgres.physical.wal.needs import needs
from drd.kinds.postgres.pooler import require_own_session
from drd.kinds.servers import room_for_copy
from drd.log import mask
from drd.model.text import counted
from drd.model.units import format_size
from drd.ports import Finding, Workplace

_SENDERS = 2
_WAL = 512 << 20
"""Bytes of WAL that the check of the free space adds to the size of the databases."""

_SIZE = """
SELECT sum(pg_catalog.pg_database_size(oid))::bigint FROM pg_catalog.pg_database
 WHERE pg_catalog.has_database_privilege(oid, 'CONNECT')
    OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')"""
_LIMITS = """
SELECT pg_catalog.current_setting('wal_level'),
       pg_catalog.current_setting('max_wal_senders')::int,
       (SELECT count(*) FROM pg_catalog.pg_stat_replication),
       pg_catalog.current_setting('data_checksums'),
       (SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)"""


class Examination:
    """Examines a running server for `drd doctor`, and for backups."""

    def __init__(self, name: str, settings: ClusterSettings, place: Workplace) -> None:
        self._name = name
        self._settings = settings
        self._place = place

    def of_backup(self, connection: Connection, given: Address) -> Iterator[Finding]:
        """Yield a finding for each thing that a backup needs. `given` is the address in the
        plan."""
        size = size_of(connection)
        said = f"PostgreSQL {version_text(connection)}"
        databases = counted(len(contents.names(connection)), "database")
        of_size = f", {format_size(size)}" if size is not None else ""
        yield Finding("reachable", "ok", self._name, f"{said}, {databases}{of_size}")
        address = given.pinned(connection)
        yield self._found("own-session", lambda: _own_session(address, connection))
        yield self._found("pg_basebackup", lambda: self._version(connection, "pg_basebackup"))
        yield from self._limits(connection)
        yield increments.finding(connection, self._settings, self._name)
        yield self._found("replication", lambda: _replication(address))
        if size is not None:
            yield room_for_copy(self._name, self._place, size + _WAL)

    def of_wal(self, connection: Connection, found: list[Finding]) -> Iterator[Finding]:
        """Yield a finding for each thing that only the receiver of the WAL needs. `found` are the
        findings of the backup: what failed there is not reported again."""
        if self._settings.wal is None:
            return
        told = {f.code for f in found if f.failed}
        yield from (f for f in needs(connection, self._name) if f.code not in told)
        yield self._found("pg_receivewal", lambda: self._version(connection, "pg_receivewal"))

    def _version(self, connection: Connection, tool: str) -> str:
        return f"version {programs_of_server(connection, self._settings.bin_dir, tool).version}"

    def _found(self, code: str, examine: Callable[[], str]) -> Finding:
        try:
            return Finding(code, "ok", self._name, examine())
        except DrdError as error:
            return Finding(code, "error", self._name, error.message, error.hint)

    def _limits(self, connection: Connection) -> Iterator[Finding]:
        row = connection.execute(_LIMITS.encode()).fetchone()
        assert row is not None
        level, senders, used, checksums, may = row
        user = connection.info.user
        if not may:
            yield Finding(
                "rights", "error", self._name, f"role {user} does not have the right REPLICATION",
                f'run as a superuser: ALTER ROLE "{user}" REPLICATION;',
            )  # fmt: skip
        if level == "minimal":
            yield Finding(
                "wal-level", "error", self._name, "wal_level of the server is minimal",
                "run as a superuser: ALTER SYSTEM SET wal_level = replica; then restart the "
                "server.",
            )  # fmt: skip
        if senders - used < _SENDERS:
            yield Finding(
                "max-wal-senders", "error", self._name,
                f"max_wal_senders of the server is {senders}, and {used} are in use: a backup "
                f"needs {_SENDERS}",
                f"run as a superuser: ALTER SYSTEM SET max_wal_senders = {used + 2 * _SENDERS}; "
                "then restart the server.",
            )  # fmt: skip
        if checksums == "off":
            yield Finding(
                "data-checksums", "warning", self._name,
                "data checksums are off on the server: if its disk damages a page, nobody notices, "
                "and backups contain the damaged page",
                "stop the server, then run, with its data directory as DIRECTORY: pg_checksums "
                "--enable --pgdata=DIRECTORY. Then start the server.",
            )  # fmt: skip


def _own_session(address: Address, connection: Connection) -> str:
    return (
        require_own_session(address, connection)
        or "drd is connected to the server itself, without a pooler"
    )


def _replication(address: Address) -> str:
    """Log in as pg_basebackup does. Raises SourceError."""
    password = address.password
    if password:
        mask(password)
    params = {**address.params, **({"password": password} if password else {})}
    params |= {"replication": "true"}
    params.pop("dbname", None)
    server = pq.PGconn.connect(conninfo.make_conninfo("", **params).encode())
    try:
        if server.status == pq.ConnStatus.OK:
            return "the server accepts connections for replication"
        said = server.error_message.decode("utf-8", "replace").strip().splitlines()
    finally:
        server.finish()
    user = address.params.get("user", "USER")
    raise SourceError(
        f"the server refuses connections for replication: {' '.join(said)[:400]}",
        hint=f"add a line to pg_hba.conf of the server: host replication {user} ADDRESS "
        f"scram-sha-256 (for a socket: local replication {user} peer). Then reload the "
        "configuration: SELECT pg_reload_conf(); The role also needs this right; run as a "
        f'superuser: ALTER ROLE "{user}" REPLICATION;',
    )


def size_of(connection: Connection) -> int | None:
    """Return the bytes of all databases; None if the login may not read their size."""
    row = connection.execute(_SIZE.encode()).fetchone()
    return int(row[0]) if row and row[0] is not None else None
