"""A SQLite file that somebody else may have made. drd only reads it, and only copies values from it
into its own tables. The schema of the file, which is code (triggers, views, generated columns), has
no effect here."""

from __future__ import annotations

import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Table

from drd.catalogue import trouble
from drd.catalogue.columns import metadata
from drd.catalogue.malformed import judge

LONGEST_S = 600.0
"""The time limit for all work with one file."""

MOST_ROWS = 20_000_000
_LARGEST_VALUE = 64 << 20
_BATCH = 500
_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ)

_NAMES = frozenset({"plan", "repository", "copy_of", "component", "scenario"})
_OTHER_NAMES = frozenset({("plans", "name"), ("plan_repositories", "name")})
_NAME = re.compile(r"[A-Za-z0-9_.:-]{0,100}")
_STEPS = frozenset({("steps", "name"), ("decisions", "step")})
_STEP = re.compile(r"[A-Za-z0-9_.:/ -]{0,200}")
"""drd prints names in commands, which a person copies into a shell of root's. The names that drd
writes have no other letters."""

Row = tuple[Any, ...]


@contextmanager
def opened(path: Path, within_s: float = LONGEST_S) -> Iterator[sqlite3.Connection]:
    """Open the file for reading, for at most so many seconds. Only columns of tables can be
    read."""
    ends = time.monotonic() + within_s
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
            connection.execute(f"PRAGMA {pragma}").close()
        if sys.version_info >= (3, 12):
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
        connection.text_factory = _text
        connection.set_progress_handler(lambda: time.monotonic() > ends, 10_000)
        yield connection


def read_only_columns(connection: sqlite3.Connection) -> None:
    """From now on, a statement that does more than read columns is an error (a pragma, the function
    of a generated column)."""

    def may(action: int, *_: object) -> int:
        return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY

    connection.set_authorizer(may)


def columns_of(connection: sqlite3.Connection, table: str) -> list[str]:
    """Return the stored columns of an ordinary table; empty when there is no such table."""
    known = connection.execute(
        # A view and a virtual table have no page of their own, whatever their text says.
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND name = ?",
        (table,),
    ).fetchone()
    if known is None:
        return []
    columns = connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,))
    return [name for name, hidden in columns if hidden == 0]


def copy_rows(path: Path, into: Path, leave: Sequence[str]) -> int:
    """Copy from the file at `path` the rows that the tables of the catalogue at `into` can take,
    except for the tables in `leave`, which stay empty. Returns how many rows were left out because
    drd writes no such values.

    Raises CatalogueError, and sqlite3.Error about either file.
    """
    with opened(path) as source, closing(sqlite3.connect(into)) as target:
        for pragma in ("journal_mode=DELETE", "synchronous=OFF", "foreign_keys=OFF"):
            target.execute(f"PRAGMA {pragma}").close()
        wanted = _wanted(source, target, leave)
        read_only_columns(source)
        # The triggers of the new catalogue: what they would count is copied.
        triggers = target.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        kept = triggers.fetchall()
        for name, _ in kept:
            target.execute(f'DROP TRIGGER "{name}"')
        left_out, room = 0, MOST_ROWS
        for table, columns in wanted:
            read, written = _copy_table(source, target, table, columns, room)
            left_out, room = left_out + read - written, room - read
            if room < 0:
                raise trouble.damaged(path, f"the file has more than {MOST_ROWS:,} rows")
        left_out += _without_orphans(target)
        for _, sql in kept:
            target.execute(sql)
        target.commit()
    return left_out


def _wanted(
    source: sqlite3.Connection, target: sqlite3.Connection, leave: Sequence[str]
) -> list[tuple[str, list[str]]]:
    tables = []
    for table in metadata.sorted_tables:
        ours, theirs = columns_of(target, table.name), columns_of(source, table.name)
        both = [c for c in ours if c in theirs]
        if both and table.name not in leave:
            tables.append((table.name, both))
    return tables


def _copy_table(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    room: int,
) -> tuple[int, int]:
    """Return how many rows were read, and how many of them were copied."""
    names = ", ".join(f'"{name}"' for name in columns)
    places = ", ".join("?" * len(columns))
    known = metadata.tables[table]
    judges = [_judge(known, c) if c in known.columns else _plain for c in columns]
    # OR IGNORE: a duplicate key, or NULL in a column that needs a value.
    insert = f'INSERT OR IGNORE INTO "{table}" ({names}) VALUES ({places})'  # noqa: S608 - ours
    rows = source.execute(f'SELECT {names} FROM "{table}" LIMIT {room + 1}')  # noqa: S608 - ours
    read = written = 0
    while batch := rows.fetchmany(_BATCH):
        read += len(batch)
        sound = [row for row in batch if _is_sound(row, judges)]
        written += target.executemany(insert, sound).rowcount if sound else 0
    return read, written


def _judge(table: Table, column: str) -> Callable[[Any], str | None]:
    where, judges = (table.name, column), judge(table, table.columns[column])
    names = _NAME if column in _NAMES or where in _OTHER_NAMES else None
    names = _STEP if where in _STEPS else names
    if names is None:
        return judges
    form = names
    return lambda value: judges(value) or (None if form.fullmatch(value) else "not a name")


def _is_sound(row: Row, judges: Sequence[Callable[[Any], str | None]]) -> bool:
    return all(v is None or why(v) is None for v, why in zip(row, judges, strict=True))


def _plain(value: Any) -> str | None:
    """Check the value of a column that newer catalogues do not have."""
    return "neither text nor a number" if isinstance(value, bytes) else None


def _without_orphans(target: sqlite3.Connection) -> int:
    """Also remove the rows that belong to a row that was left out."""
    removed = 0
    while lost := target.execute("PRAGMA foreign_key_check").fetchall():
        rows = {(table, rowid) for table, rowid, *_ in lost}
        for table, rowid in rows:
            target.execute(f'DELETE FROM "{table}" WHERE rowid = ?', (rowid,))  # noqa: S608 - ours
        removed += len(rows)
    return removed


def _text(raw: bytes) -> str | bytes:
    """Decode text. Text that is not UTF-8 stays bytes, which are not text for drd."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
