"""Query a restored database: scalar queries of checks, and its fingerprint."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg

from drd.errors import DeadlineExceeded, NotSupported, SourceError, SourceUnreachable
from drd.kinds.postgres import database
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.connection import Connection, connect, interruptible, words
from drd.kinds.postgres.fingerprint import describe, names_of
from drd.model.snapshot import DatabaseFingerprint, Fingerprint
from drd.model.units import format_duration, to_rfc3339
from drd.ports import Inspector

_SHOW = re.compile(r"\s*show\s+[a-z_][\w.]*\s*;?\s*", re.IGNORECASE | re.ASCII)
"""Matches SHOW and the name of a setting: a cursor cannot return its value."""


@contextmanager
def _bounded(connection: Connection, timeout_s: float, what: str, late_hint: str) -> Iterator[None]:
    """Run the body in a transaction, or a savepoint in one, in which each statement ends after
    `timeout_s`; errors of the database about `what` are converted. Raises the errors of
    `Inspector.scalar`.
    """
    try:
        with connection.transaction():
            connection.execute(
                f"SET LOCAL statement_timeout = {max(1, int(timeout_s * 1000))}".encode()
            )
            yield
    except psycopg.errors.QueryCanceled as error:
        raise DeadlineExceeded(
            f"the {what} did not finish within {format_duration(timeout_s)}: {words(error)}",
            hint=late_hint,
        ) from error
    except psycopg.Error as error:
        if connection.closed or connection.broken:
            raise SourceUnreachable(
                f"lost the connection to the database: {words(error)}"
            ) from error
        raise SourceError(words(error), hint=f"run the {what} in psql to see the error.") from error


def ask(connection: Connection, query: str, *, timeout_s: float) -> Any:
    """Return the single value of a query, in the connection's current transaction (in a new one
    otherwise), which stays usable. Raises the errors of `Inspector.scalar`.
    """
    late = "raise the check's timeout, or add an index for the query."
    with _bounded(connection, timeout_s, "query", late):
        if not _SHOW.fullmatch(query):
            _must_select(connection, query)
        cursor = connection.execute(query.encode(), prepare=False)
        rows = cursor.fetchmany(2) if cursor.description else []
    if len(rows) != 1 or len(rows[0]) != 1:
        raise SourceError(
            f"the query returns {'no row' if not rows else 'more than one value'}",
            hint="write a query that returns a single value.",
        )
    return rows[0][0]


def _must_select(connection: Connection, query: str) -> None:
    """Raise SourceError unless the server accepts the whole text as one query that changes nothing.

    A read-only transaction does not prevent COPY from running a program. A cursor accepts only what
    selects, and no CTE that changes data; asking for binary answers makes the client use the
    protocol that carries a single statement. The cursor is closed before it runs, so that the
    server can use several processes for the query itself.
    """
    try:
        connection.execute(
            f"DECLARE drd_query CURSOR FOR\n{query}".encode(), prepare=False, binary=True
        )
    except (
        psycopg.errors.SyntaxError,
        psycopg.errors.InvalidCursorDefinition,
        psycopg.errors.FeatureNotSupported,
    ) as error:
        raise SourceError(
            f"the query is not one SELECT: {words(error)}",
            hint="a check can only read: give one SELECT, VALUES, TABLE or SHOW; use a step "
            "`sql` of the runbook to write.",
        ) from error
    connection.execute("CLOSE drd_query", prepare=False)


def execute_statements(connection: Connection, statements: str, *, timeout_s: float) -> int:
    """Run all of the statements, or none of them. Raises the errors of `Inspector.execute`."""
    with _bounded(connection, timeout_s, "statements", "raise the step's timeout."):
        cursor = connection.execute(statements.encode())
        rows = max(0, cursor.rowcount)
        while cursor.nextset():
            rows += max(0, cursor.rowcount)
    return rows


def jsonable(value: Any) -> Any:
    """Convert an answer for the manifest: numbers stay numbers, times become RFC 3339."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return to_rfc3339(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


class PostgresInspector(Inspector):
    """Asks one database read-only questions; connects at the first question. `environment` are the
    variables that a command needs to log in, in addition to those of the address.
    """

    def __init__(self, address: Address, environment: Mapping[str, str] | None = None) -> None:
        self._address = address
        self._environment = dict(environment or {})
        self._connections: dict[bool, Connection] = {}
        self._lock = threading.Lock()

    @property
    def location(self) -> str:
        return self._address.uri

    @property
    def environment(self) -> Mapping[str, str]:
        return {**self._address.environment(), **self._environment}

    @property
    def places(self) -> Sequence[str]:
        return ()

    @property
    def sockets(self) -> Sequence[str]:
        host = self.environment.get("PGHOST", "")
        return (host,) if host.startswith("/") else ()

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        with self._lock:
            connection = self._connection(pinned=False)
            with interruptible(connection):
                return ask(connection, query, timeout_s=timeout_s)

    def execute(self, statements: str, *, timeout_s: float) -> int:
        connection = connect(self._address, pinned=False)
        try:
            with interruptible(connection):
                return execute_statements(connection, statements, timeout_s=timeout_s)
        finally:
            connection.close()

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        if not isinstance(like, DatabaseFingerprint):
            raise NotSupported("a database cannot be compared with a tree of files")
        with self._lock:
            connection = self._connection(pinned=True)
            properties = database.read(connection)
            if like.mode == "off":
                return DatabaseFingerprint("off", properties=properties)
            with interruptible(connection), connection.transaction():
                return describe(
                    connection,
                    mode=like.mode,
                    budget_s=budget_s,
                    properties=properties,
                    names=names_of(like),
                )

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _connection(self, *, pinned: bool) -> Connection:
        """Return a connection with the application's own search path; fingerprints have everything
        pinned.
        """
        known = self._connections.get(pinned)
        if known is not None and not (known.closed or known.broken):
            return known
        connection = connect(self._address, pinned=pinned)
        connection.execute("SET default_transaction_read_only = on")
        connection.execute("SET default_transaction_isolation = 'repeatable read'")
        self._connections[pinned] = connection
        return connection
