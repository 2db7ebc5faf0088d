"""The programs that copy a running server, or receive its WAL."""

from __future__ import annotations

from drd.errors import SourceError
from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.tools import PostgresPrograms, programs_for

OLDEST = 17
"""The oldest major version that drd backs up: from it on, manifests identify the server."""


def programs_of_server(
    connection: Connection, bin_dir: str | None, tool: str = "pg_basebackup"
) -> PostgresPrograms:
    """Return pg_basebackup, or another tool, for the server of a connection. Raises ToolError, and
    SourceError for a server that is too old."""
    major = connection.info.server_version // 10000
    if major < OLDEST:
        raise SourceError(
            f"the server is PostgreSQL {major}, and drd backs up whole servers only from version "
            f"{OLDEST}",
            hint="back up its databases with components of kind postgres, or adopt the backups of "
            "pgBackRest (docs/adopted.md).",
            permanent=True,
        )
    return programs_for(major, tool, bin_dir=bin_dir)
