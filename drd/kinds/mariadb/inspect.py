"""Query a restored database: scalar queries of checks, and its fingerprint."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from drd.errors import DeadlineExceeded, NotSupported, SourceError, SourceUnreachable
from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.connection import (
    Connection,
    ServerError,
    connect,
    interruptible,
    is_late,
    is_lost,
    words,
)
from drd.kinds.mariadb.fingerprint import describe, properties
from drd.kinds.mariadb.quoting import pieces
from drd.model.snapshot import DatabaseFingerprint, Fingerprint
from drd.model.units import format_duration
from drd.ports import Inspector

_SELECTS = re.compile(r"\s*(\(\s*)*(SELECT|VALUES|TABLE|WITH)\b", re.IGNORECASE)
_WRITES = re.compile(r"\b(INTO|PROCEDURE|FOR\s+UPDATE|LOCK\s+IN)\b", re.IGNORECASE)
_ONE_SELECT = (
    "a check can only read: give one SELECT, VALUES or TABLE; use a step `sql` of the runbook to "
    "write."
)


@contextmanager
def _bounded(connection: Connection, timeout_s: float, what: str, late_hint: str) -> Iterator[None]:
    """In the body, the server ends each statement after `timeout_s` seconds. Errors of the database
    become the errors of `Inspector.scalar`; `what` names the statement in their text or hint."""
    try:
        connection.limit(max(0.01, timeout_s))
        try:
            with connection.ended_after(timeout_s):
                yield
        finally:
            with suppress(ServerError):
                connection.limit(0)
    except ServerError as error:
        if is_late(error):
            raise DeadlineExceeded(
                f"the {what} did not finish within {format_duration(timeout_s)}: {words(error)}",
                hint=late_hint,
            ) from error
        if is_lost(error):
            raise SourceUnreachable(
                f"lost the connection to the database: {words(error)}"
            ) from error
        hint = f"run the {what} with the program {connection.flavour.client} to see the error."
        raise SourceError(words(error), hint=hint) from error


def require_select(query: str) -> str:
    """Return the query without a semicolon at its end, if it only selects. Raises SourceError for
    every other query.

    A read-only transaction does not prevent `INTO OUTFILE`. So the query's parentheses must be
    balanced, and it must not contain a word that stores a result.
    """
    text = query.strip().rstrip(";").rstrip()
    code, depth = [], 0
    for kind, piece in pieces(text):
        if kind == "comment" and piece.startswith(("/*!", "/*M!")):
            raise SourceError("the query has a comment that the server executes", hint=_ONE_SELECT)
        code.append(piece if kind == "code" else " ")
        depth += (piece == "(") - (piece == ")") if kind == "code" else 0
        if depth < 0 or (kind == "code" and piece == ";"):
            raise SourceError("the query is not one SELECT", hint=_ONE_SELECT)
    plain = "".join(code)
    if depth or not _SELECTS.match(plain) or _WRITES.search(plain):
        raise SourceError("the query is not one SELECT", hint=_ONE_SELECT)
    return text


def ask(connection: Connection, query: str, *, timeout_s: float) -> Any:
    """Return the single value of a query, in the connection's current transaction. Raises the
    errors of `Inspector.scalar`."""
    late = "raise the check's timeout, or add an index for the query."
    text = require_select(query)
    with _bounded(connection, timeout_s, "query", late):
        rows = connection.rows(f"({text}\n) LIMIT 2" if _can_limit(text) else text)
    if len(rows) != 1 or len(rows[0]) != 1:
        raise SourceError(
            f"the query returns {'no row' if not rows else 'more than one value'}",
            hint="write a query that returns a single value.",
        )
    value = rows[0][0]
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _can_limit(text: str) -> bool:
    """Return whether drd can put the query in parentheses with a LIMIT behind them, so that the
    server returns at most two rows."""
    return re.match(r"SELECT\b", text, re.IGNORECASE) is not None


def jsonable(value: Any) -> Any:
    """Convert an answer for the manifest: numbers stay numbers, times become ISO 8601."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else str(value)


KEY_TEXT = "varchar(700) character set utf8mb4 collate utf8mb4_bin"
"""The type of a text that is a key: MariaDB does not accept a column of type TEXT as a key."""


class MariadbInspector(Inspector):
    """Asks one database read-only questions; connects at the first question. `environment` are the
    variables that a command needs to log in, in addition to those of the address."""

    def __init__(self, address: Address, environment: Mapping[str, str] | None = None) -> None:
        self._address = address
        self._environment = dict(environment or {})
        self._known: Connection | None = None
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
        socket = self._address.parts.socket
        return (socket.rpartition("/")[0],) if socket else ()

    @property
    def key_text(self) -> str:
        return KEY_TEXT

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        with self._lock:
            connection = self._connection()
            try:
                connection.execute("START TRANSACTION READ ONLY")
            except ServerError as error:
                raise SourceUnreachable(f"cannot query the database: {words(error)}") from error
            try:
                with interruptible(connection):
                    return ask(connection, query, timeout_s=timeout_s)
            finally:
                with suppress(ServerError):
                    connection.execute("ROLLBACK")

    def execute(self, statements: str, *, timeout_s: float) -> int:
        changed = 0
        with connect(self._address) as connection, interruptible(connection):
            late = "raise the step's timeout."
            with _bounded(connection, timeout_s, "statements", late):
                # Also what follows CREATE TABLE, which ends a transaction, is one transaction.
                connection.execute("SET SESSION autocommit = 0")
                for statement in split(statements):
                    changed += max(0, connection.execute(statement))
                connection.execute("COMMIT")
        return changed

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        if not isinstance(like, DatabaseFingerprint):
            raise NotSupported("a database cannot be compared with a tree of files")
        with self._lock:
            connection = self._connection()
            return describe_now(connection, self._address.database, like, budget_s)

    def close(self) -> None:
        known, self._known = self._known, None
        if known is not None:
            known.close()

    def _connection(self) -> Connection:
        if self._known is not None:
            try:
                self._known.value("SELECT 1")
            except ServerError:
                self.close()
        if self._known is None:
            self._known = connect(self._address)
        return self._known


def describe_now(
    connection: Connection, database: str, like: DatabaseFingerprint, budget_s: float
) -> DatabaseFingerprint:
    """Return a fingerprint of the present state, in the same mode as `like`. Raises SourceError."""
    try:
        if like.mode == "off":
            return DatabaseFingerprint("off", properties=properties(connection, database))
        with interruptible(connection):
            connection.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            try:
                return describe(connection, database, mode=like.mode, budget_s=budget_s)
            finally:
                connection.execute("ROLLBACK")
    except ServerError as error:
        raise SourceError(
            f"cannot describe database {database}: {words(error)}", hint="check the server's log."
        ) from error


def split(statements: str) -> Iterator[str]:
    """Split SQL at its semicolons, because the driver accepts one statement at a time."""
    current: list[str] = []
    for kind, piece in pieces(statements):
        if kind == "code" and piece == ";":
            if "".join(current).strip():
                yield "".join(current).strip()
            current = []
        else:
            current.append(piece)
    if rest := "".join(current).strip():
        yield rest
