"""Distinguish a session that belongs to drd alone from a session that a pooler shares.

An exported snapshot, a session setting and a lock all belong to one server process. Behind a pooler
in transaction mode, each statement may be executed by another process.
"""

from __future__ import annotations

import psycopg

from drd.errors import SourceError
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.connection import Connection, connect, words

_HINT = "use the server's own host and port in dsn, not the pooler's."


def require_own_session(address: Address, first: Connection) -> str | None:
    """Return a note if a pooler in session mode is in between, None without a pooler. Raises
    SourceError if a statement may reach another server process than the one before, or if one
    connection does not see the snapshot that another exported.
    """
    with connect(address) as second:
        # In this order neither a pooler that takes the last idle process nor one that takes them
        # in turn gives every connection a process of its own by chance.
        asked = [first, first, second, first, second, second, first]
        pids = [(c is second, _pid(c)) for c in asked]
        if len(set(pids)) != 2 or len({pid for _, pid in pids}) != 2:
            raise SourceError(
                f"{address.named} is the address of a connection pooler in transaction mode: "
                "two statements of one connection reach different server processes",
                hint=_HINT,
            )
        _share_snapshot(address, first, second)
    if first.info.backend_pid != pids[0][1]:
        return (
            f"{address.named} is the address of a connection pooler in session mode: use the "
            "server's own port"
        )
    return None


def _pid(connection: Connection) -> int:
    row = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def _share_snapshot(address: Address, first: Connection, second: Connection) -> None:
    try:
        first.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = first.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
        assert row is not None
        second.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        second.execute(f"SET TRANSACTION SNAPSHOT '{row[0]}'".encode())
        second.execute("ROLLBACK")
        first.execute("ROLLBACK")
    except psycopg.Error as error:
        raise SourceError(
            f"one connection to {address.named} does not see the snapshot of another: "
            f"{words(error)}",
            hint=_HINT,
        ) from error
