"""The command that dumps a database from an exported snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import psycopg

from drd.errors import DumpFailed, ToolTooOld
from drd.kinds.postgres.address import VARIABLES, Address
from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.tools import PostgresPrograms
from drd.model.units import format_duration
from drd.process import Command, inside

LOCK_WAIT_MS = 60_000
"""How long pg_dump waits for a table that somebody changes; then the dump fails and is retried."""

_SAID = 400
# The statement that locks thousands of tables would fill the screen.

Compression = Literal["none", "zstd", "gzip"]


@dataclass(frozen=True, slots=True)
class DumpOrder:
    """Which database to dump, from which snapshot. A standby cannot read unlogged tables."""

    address: Address
    snapshot: str
    compression: Compression
    standby: bool
    environment: Mapping[str, str]


def dump_command(programs: PostgresPrograms, order: DumpOrder) -> Command:
    """Return the command: pg_dump in custom format to stdout, with owners, grants and large
    objects.
    """
    argv = [
        programs.path("pg_dump"),
        "--format=custom",
        f"--compress={_compression(programs, order.compression)}",
        f"--snapshot={order.snapshot}",
        f"--lock-wait-timeout={LOCK_WAIT_MS}",
    ]
    if order.standby:
        argv.append("--no-unlogged-table-data")
    argv.append(f"--dbname={order.address.conninfo}")
    command = Command(argv, env=order.environment, name="pg_dump")
    return inside(command, programs.inside, forget=VARIABLES)


_HOLDERS = """
SELECT DISTINCT format('%I.%I by session %s of %s', n.nspname, c.relname, l.pid, a.usename)
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p', 'm')
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_'
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND l.database =
       (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
 ORDER BY 1 LIMIT 5"""


_LOCKING = "LOCK TABLE"
"""The statement that pg_dump names when a lock was not granted."""


def explained(error: DumpFailed, component: str, holder: Connection) -> DumpFailed:
    """Convert the failure of pg_dump to an error with a remedy: who locks the table that it waited
    for in vain, or that a table may have been dropped between the snapshot and its lock.
    """
    if _LOCKING not in error.output:
        return DumpFailed(error.message, hint="check the server's log, and try again.")
    with suppress(psycopg.Error):
        holders = [str(row[0]) for row in holder.execute(_HOLDERS.encode()).fetchall()]
        if holders:
            return DumpFailed(
                f"pg_dump of {component} waited {format_duration(LOCK_WAIT_MS / 1000)} for locked "
                f"tables: {', '.join(holders)}",
                hint="end the sessions that lock these tables (ALTER TABLE, VACUUM FULL, an open "
                "transaction), or back up at another time.",
            )
    said = error.message if len(error.message) <= _SAID else f"{error.message[:_SAID]} …"
    return DumpFailed(
        said,
        hint="check whether a table was altered, dropped or locked when the dump "
        "began; then try again.",
    )


def _compression(programs: PostgresPrograms, wanted: Compression) -> str:
    if wanted == "none":
        return "0"
    if wanted == "gzip":
        return "5"
    if programs.major < 16:
        raise ToolTooOld(
            f"pg_dump {programs.version} does not know the compression zstd",
            hint="install a newer pg_dump: apt-get install postgresql-client-17; or set "
            "`compression` to none or gzip.",
        )
    return "zstd:1"
