"""Limit the query of a check to reading its database.

A read-only connection does not prevent `VACUUM INTO` and `ATTACH` from creating other files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from drd.errors import SourceError

_READS = {
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE,
}  # fmt: skip

_ROWS = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
"""Actions that virtual tables prepare on their own tables even when they are only read. The
connection is read-only and does not execute them.
"""

_PRAGMAS = frozenset({
    "application_id", "auto_vacuum", "data_version", "encoding", "freelist_count", "journal_mode",
    "max_page_count", "page_count", "page_size", "schema_version", "user_version",
})  # fmt: skip
"""Pragmas that only report a value if they are used without one."""

_PRAGMAS_ABOUT = frozenset({
    "collation_list", "compile_options", "database_list", "foreign_key_check", "foreign_key_list",
    "function_list", "index_info", "index_list", "index_xinfo", "integrity_check", "module_list",
    "pragma_list", "quick_check", "table_info", "table_list", "table_xinfo",
})  # fmt: skip
"""Pragmas that only report, even about a given name."""

_WORDS = {
    sqlite3.SQLITE_ATTACH: "ATTACH or VACUUM",
    sqlite3.SQLITE_DETACH: "DETACH",
    sqlite3.SQLITE_TRANSACTION: "a transaction",
    sqlite3.SQLITE_SAVEPOINT: "a savepoint",
}

_FUNCTIONS = {"load_extension", "fts3_tokenizer"}
"""Functions that load code."""


@contextmanager
def only_reading(connection: sqlite3.Connection) -> Iterator[None]:
    """Limit the statements in the body to reading the database of this read-only connection. Raises
    SourceError for any other statement.
    """
    refused: list[str] = []

    def judge(
        action: int, first: str | None, second: str | None, schema: str | None, _: object
    ) -> int:
        if _is_read(action, first, second, schema):
            return sqlite3.SQLITE_OK
        refused.append(_called(action, first, second))
        return sqlite3.SQLITE_DENY

    connection.set_authorizer(judge)
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        if not refused and not _is_about_writing(error):
            raise
        raise SourceError(
            f"the query is not read-only: {refused[0] if refused else error}",
            hint="a check can only read: give one SELECT; use a step `sql` of the "
            "runbook to write.",
        ) from error
    finally:
        connection.set_authorizer(None)


def _is_read(action: int, first: str | None, second: str | None, schema: str | None) -> bool:
    if action == sqlite3.SQLITE_FUNCTION:
        return str(second).lower() not in _FUNCTIONS
    if action == sqlite3.SQLITE_PRAGMA:
        name = str(first).lower()
        return name in _PRAGMAS_ABOUT or (name in _PRAGMAS and second is None)
    return action in _READS or (action in _ROWS and schema == "main")


def _called(action: int, first: str | None, second: str | None) -> str:
    if action == sqlite3.SQLITE_FUNCTION:
        return f"{second}()"
    if action == sqlite3.SQLITE_PRAGMA:
        return f"PRAGMA {first}" + ("" if second is None else " with a value")
    return _WORDS.get(action, "a change of tables or of the schema")


def _is_about_writing(error: Exception) -> bool:
    return str(getattr(error, "sqlite_errorname", "")) == "SQLITE_READONLY"
