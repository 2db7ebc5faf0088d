"""Read one SQLite database file: connections, errors in words, fingerprints."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from drd.errors import DeadlineExceeded, SourceError, SourceUnreachable
from drd.kinds.sqlite.read_only_query import only_reading
from drd.masking import beginning
from drd.model.snapshot import DatabaseFingerprint, Fingerprint, TableState
from drd.model.text import counted
from drd.model.units import format_duration
from drd.process.cancel import cancelled, check_cancelled

_STEPS = 20_000
"""Virtual machine steps between two checks of the clock: some milliseconds."""

_VIRTUAL = re.compile(r"\s*CREATE\s+VIRTUAL\s", re.IGNORECASE)

_REMEDIES = {
    "NOTADB": "check `path`: it must be an SQLite database that is not encrypted.",
    "CORRUPT": "run `PRAGMA integrity_check` in sqlite3; use a restore point from before the "
    "damage.",
    "READONLY_ROLLBACK": "the last writer was killed: open the database once as a user who may "
    "write to it, for example by `sqlite3 FILE .tables`, so that SQLite undoes the interrupted "
    "transaction.",
    "READONLY_DIRECTORY": "readers of a WAL database need its -shm file: give this user the right "
    "to write to the directory, or to read NAME-shm and NAME-wal.",
    "CANTOPEN": "let this user read the file and, in WAL mode, NAME-wal and NAME-shm.",
    "FULL": "free space in work_dir.",
}


def connect(path: Path, *, immutable: bool = False, timeout_s: float = 5.0) -> sqlite3.Connection:
    """Open a read-only connection; an `immutable` one takes no locks and leaves no files behind.
    Texts that are not UTF-8 become surrogate escapes.
    """
    uri = f"file:{quote(os.fsencode(path))}?mode=ro" + ("&immutable=1" if immutable else "")
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=timeout_s, check_same_thread=False
    )
    connection.text_factory = as_text
    return connection


def connect_to_write(
    path: Path, *, timeout_s: float, spills: bool = True, removes: bool = True
) -> sqlite3.Connection:
    """Open a database for writing; call it through `shared_directory.for_writing`, which sets the
    rights. Without `spills`, data that is too large for the cache stays in memory; without
    `removes`, a rollback journal is kept after use. Raises sqlite3.Error.
    """
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode=rw",
        uri=True,
        isolation_level=None,
        timeout=timeout_s,
        check_same_thread=False,
    )
    try:
        if not spills:
            connection.execute("PRAGMA temp_store = MEMORY").close()
        if not removes and _pragma(connection, "journal_mode") == "delete":
            connection.execute("PRAGMA journal_mode = PERSIST").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def peek(path: Path) -> sqlite3.Connection | None:
    """Open a read-only connection to a database that may be in use, which creates and changes no
    file; None if the committed data cannot be read so.
    """
    if _holds_something(path, "-journal"):
        return connect(path)
    if not _holds_something(path, "-wal"):
        return connect(path, immutable=True)
    if not _holds_something(path, "-shm"):
        return None
    uri = f"file:{quote(os.fsencode(path))}?mode=ro&readonly_shm=1"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)
    connection.text_factory = as_text
    return connection


def _holds_something(path: Path, suffix: str) -> bool:
    try:
        return path.with_name(f"{path.name}{suffix}").lstat().st_size > 0
    except OSError:
        return False


def as_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def error_name(error: sqlite3.Error) -> str:
    """Return SQLite's name without its prefix, `BUSY`; empty for errors of the module's own."""
    name: str = getattr(error, "sqlite_errorname", None) or ""
    return name.removeprefix("SQLITE_")


def is_about(error: sqlite3.Error, *names: str) -> bool:
    """Return whether the error is one of these errors, or a more detailed form of one."""
    name = error_name(error)
    return any(name == n or name.startswith(n + "_") for n in names)


def in_words(error: sqlite3.Error, path: Path) -> SourceError:
    """Return SQLite's message with a remedy."""
    if is_about(error, "BUSY", "LOCKED"):
        return SourceUnreachable(
            f"database {path} is locked: {error}",
            hint=f"end the process that locks the database. To find it: fuser -v {path}",
        )
    name = error_name(error)
    hint = _REMEDIES.get(name) or _REMEDIES.get(name.partition("_")[0], "")
    return SourceError(f"cannot read {path}: {error}", hint=hint)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def bounded(connection: sqlite3.Connection, deadline: float) -> Iterator[None]:
    """Interrupt statements in the body at `deadline` (monotonic) and when the run is cancelled."""
    connection.set_progress_handler(lambda: time.monotonic() > deadline or cancelled(), _STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def check_integrity(path: Path, *, called: Path, quick: bool = False) -> None:
    """Raise SourceError with SQLite's findings if the database, which nobody writes to, is damaged;
    messages name it `called`. `quick` does not compare indexes with their tables.
    """
    pragma = "quick_check" if quick else "integrity_check"
    connection = connect(path, immutable=True)
    try:
        with bounded(connection, float("inf")):
            errors = [str(row[0]) for row in connection.execute(f"PRAGMA {pragma}(5)")]
    except sqlite3.Error as error:
        check_cancelled()
        if error_name(error) != "ERROR":
            raise in_words(error, called) from error
        # A collation or module of the application's own, which only it can check.
        return
    finally:
        connection.close()
    if errors != ["ok"]:
        said = "; ".join(" ".join(error.split()) for error in errors)
        raise SourceError(
            f"{called} is damaged: {beginning(said, 300)}",
            hint=_REMEDIES["CORRUPT"],
        )


def table_names(connection: sqlite3.Connection) -> list[str]:
    """Return the tables with rows. SQLite's own tables are left out, and so are virtual tables:
    their data is in ordinary tables, which can be read without an extension.
    """
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
    )
    return [n for n, sql in rows if not n.startswith("sqlite_") and not _VIRTUAL.match(sql or "")]


def others(connection: sqlite3.Connection) -> dict[str, str]:
    """Return relations without rows of their own, each with its type."""
    rows = connection.execute(
        "SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
    )
    return {
        name: "view" if kind == "view" else "virtual table"
        for name, kind, sql in rows
        if kind == "view" or _VIRTUAL.match(sql or "")
    }


def properties(connection: sqlite3.Connection) -> dict[str, Any]:
    """Return the database's own settings, and a digest of its schema."""
    schema = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master"
        " WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name"
    )
    digest = hashlib.sha256()
    for row in schema:
        digest.update(ascii(row).encode("ascii"))
    return {
        "encoding": _pragma(connection, "encoding"),
        "user_version": _pragma(connection, "user_version"),
        "application_id": _pragma(connection, "application_id"),
        "schema": digest.hexdigest(),
    }


def _pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def storage_facts(connection: sqlite3.Connection) -> dict[str, Any]:
    return {
        "sqlite": sqlite3.sqlite_version,
        "page_size": _pragma(connection, "page_size"),
        "user_version": _pragma(connection, "user_version"),
        "journal_mode": _pragma(connection, "journal_mode"),
    }


def wants_digests(like: Fingerprint) -> bool:
    """Return whether a fingerprint to compare with `like` needs digests of the tables."""
    return isinstance(like, DatabaseFingerprint) and like.mode == "digest"


def take_fingerprint(
    connection: sqlite3.Connection,
    path: Path,
    *,
    digests: bool,
    budget_s: float,
    only: Collection[str] | None = None,
) -> DatabaseFingerprint:
    """Count the rows (and compute digests) of every table (of `only`, if given) within `budget_s`;
    tables that were not reached are named. Raises SourceError if the database turns out to be
    damaged.
    """
    deadline = time.monotonic() + budget_s
    tables: dict[str, TableState] = {}
    not_reached: dict[str, str] = {}
    late = f"the time limit of the fingerprint (`budget: {format_duration(budget_s)}`) was reached"
    try:
        for name in table_names(connection):
            if only is not None and name not in only:
                continue
            check_cancelled()
            if time.monotonic() > deadline:
                not_reached[name] = late
                continue
            try:
                with bounded(connection, deadline):
                    tables[name] = _table_state(connection, name, digests=digests)
            except sqlite3.Error as error:
                check_cancelled()
                if error_name(error) not in ("INTERRUPT", "ERROR"):
                    raise
                not_reached[name] = late if error_name(error) == "INTERRUPT" else str(error)
        known = properties(connection)
        no_tables = others(connection)
    except sqlite3.Error as error:
        raise in_words(error, path) from error
    mode: Literal["digest", "counts"] = "digest" if digests else "counts"
    return DatabaseFingerprint(mode, tables, not_reached, known, others=no_tables)


def _table_state(connection: sqlite3.Connection, name: str, *, digests: bool) -> TableState:
    table = quoted(name)
    if not digests:
        return TableState(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
    digest = hashlib.sha256()
    rows = 0
    for row in connection.execute(f"SELECT * FROM {table}{_order(connection, name)}"):  # noqa: S608
        # ascii() tells 1, 1.0, '1' and b'1' apart, exactly, and the same in every Python.
        digest.update(ascii(row).encode("ascii"))
        rows += 1
    return TableState(rows, digest.hexdigest())


def table_state(connection: sqlite3.Connection, name: str) -> TableState:
    """Return rows and digest of one table, without a time limit."""
    factory = connection.text_factory
    connection.text_factory = as_text
    try:
        return _table_state(connection, name, digests=True)
    finally:
        connection.text_factory = factory


def columns(connection: sqlite3.Connection, name: str) -> list[tuple[Any, ...]]:
    """Return the columns as SQLite describes them: name, type, NOT NULL, default, place in the key,
    hidden.
    """
    return [tuple(c[1:]) for c in connection.execute(f"PRAGMA table_xinfo({quoted(name)})")]


def stored_columns(connection: sqlite3.Connection, name: str) -> list[str]:
    """Return the columns whose values are stored, as written in SQL, including the row's number if
    the table has one and no column has its name.
    """
    known = columns(connection, name)
    kept = [quoted(c[0]) for c in known if not c[5]]
    alias = _order(connection, name).removeprefix(" ORDER BY ")
    return [alias, *kept] if alias in ("rowid", "_rowid_", "oid") else kept


def _order(connection: sqlite3.Connection, name: str) -> str:
    """Return the order in which SQLite keeps the rows, as an explicit clause."""
    columns = list(connection.execute(f"PRAGMA table_xinfo({quoted(name)})"))
    taken = {c[1].lower() for c in columns}
    alias = next((a for a in ("rowid", "_rowid_", "oid") if a not in taken), None)
    if alias is None:
        return ""
    try:
        connection.execute(f"SELECT {alias} FROM {quoted(name)} LIMIT 0")  # noqa: S608
    except sqlite3.OperationalError:
        # WITHOUT ROWID: kept in the order of the primary key.
        key = sorted((c[5], c[1]) for c in columns if c[5])
        return " ORDER BY " + ", ".join(quoted(column) for _, column in key)
    return f" ORDER BY {alias}"


def execute(
    path: Path, statements: str, *, timeout_s: float, spills: bool = True, removes: bool = True
) -> int:
    """Run statements in one transaction. Raises the errors of `Inspector.execute`."""
    check_cancelled()
    connection = None
    try:
        connection = connect_to_write(path, timeout_s=timeout_s, spills=spills, removes=removes)
        with bounded(connection, time.monotonic() + timeout_s):
            connection.executescript(f"BEGIN IMMEDIATE;\n{statements}\n;COMMIT;")
            return connection.total_changes
    except (sqlite3.Error, sqlite3.Warning) as error:
        check_cancelled()
        if isinstance(error, sqlite3.Error) and is_about(error, "INTERRUPT"):
            raise DeadlineExceeded(
                f"the statements did not finish within {format_duration(timeout_s)}",
                hint="raise the step's timeout.",
            ) from error
        if isinstance(error, sqlite3.Error) and is_about(error, "BUSY", "LOCKED", "CANTOPEN"):
            raise SourceUnreachable(str(error)) from error
        raise SourceError(str(error)) from error
    finally:
        if connection is not None:
            connection.close()  # which takes back what was not committed


def single_value(connection: sqlite3.Connection, query: str, *, timeout_s: float) -> Any:
    """Return the single value of a query; None if there is no row. The connection must be
    read-only; the query can only read. Raises the errors of `Inspector.scalar`.
    """
    check_cancelled()
    try:
        with bounded(connection, time.monotonic() + timeout_s), only_reading(connection):
            cursor = connection.execute(query)
            columns = len(cursor.description or ())
            rows = cursor.fetchmany(2)
    except (sqlite3.Error, sqlite3.Warning) as error:
        check_cancelled()
        if isinstance(error, sqlite3.Error) and is_about(error, "INTERRUPT"):
            raise DeadlineExceeded(
                f"the query did not finish within {format_duration(timeout_s)}",
                hint="raise the check's timeout, or add an index for the query.",
            ) from error
        if isinstance(error, sqlite3.Error) and is_about(error, "BUSY", "LOCKED", "CANTOPEN"):
            raise SourceUnreachable(str(error)) from error
        raise SourceError(str(error)) from error
    if columns != 1 or len(rows) > 1:
        given = counted(columns, "column") if columns != 1 else "several rows"
        raise SourceError(
            f"the query returned {given}, not a single value",
            hint="write a query that returns a single value.",
        )
    value = rows[0][0] if rows else None
    if isinstance(value, bytes):
        raise SourceError(
            "the query returned a blob, which drd cannot compare",
            hint="write a query that returns text, for example hex(COLUMN).",
        )
    return value
