"""Recognise a copy of a SQLite database, and find out what a plan can check in it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from drd.kinds.dump_checks import NO_ROWS, needs_no_quotes, recent, table_checks, tables_in_words
from drd.kinds.sqlite import SPEC
from drd.kinds.sqlite.database import connect, quoted
from drd.model.dump_names import base_of
from drd.ports.dumps import DumpFile, FirstChecks, FoundDump, ServerPlace, Unreadable

_MOST_TABLES, _MOST_CHECKS, _STEPS = 500, 5, 2_000_000
_MOST_COUNTED = 50
_TABLES = (
    "select name from sqlite_master where type = 'table' and name not like 'sqlite#_%' escape '#' "
    "order by rootpage"
)
_EVERY = "select count(*) from sqlite_master where type = 'table'"
_NOT_SEEN = (
    "drd did not read the tables of this file, so no drill proves its rows: add a check, for "
    "example `select count(*) from orders`"
)
_TIME = re.compile(r"date|time", re.IGNORECASE)


def recognise(file: DumpFile) -> FoundDump | None:
    """Implements `RecognisesOf`."""
    if file.packed or not file.head.startswith(SPEC.begins):
        return None
    if not file.whole:
        return FoundDump(*_named(file), (), unseen=_NOT_SEEN)
    try:
        with closing(connect(file.path, immutable=True)) as connection:
            # What is in the file must not make drd run on, or call functions.
            connection.execute("PRAGMA trusted_schema = OFF").close()
            connection.set_progress_handler(lambda: 1, _STEPS)
            return _found(file, connection)
    except sqlite3.Error as error:
        hint = "let the other tool copy the database with `sqlite3 FILE '.backup COPY'`."
        text = f"a SQLite file that cannot be read: {error}"
        raise Unreadable(text, hint=hint, better=True) from error


def _found(file: DumpFile, connection: sqlite3.Connection) -> FoundDump:
    names = [str(row[0]) for row in connection.execute(_TABLES).fetchmany(_MOST_TABLES)]
    names = [name for name in names if name.isprintable()]
    filled = [n for n in names if _has_rows(connection, n)][:_MOST_CHECKS]
    base, _, keys = _named(file)
    return FoundDump(
        base,
        tables_in_words(names),
        keys,
        tuple(table_checks(len(names), _EVERY, [(n, _sql(n)) for n in filled], _rows(names))),
        _suggested(connection, filled),
        unseen="" if filled else NO_ROWS,
    )


def _named(file: DumpFile) -> tuple[str, str, Sequence[tuple[str, Any]]]:
    """Return what the name of the file says: its base, what the file is, and the keys."""
    base = base_of(file.path.stem) or file.path.stem
    keys = (
        ("kind", "sqlite"),
        ("#", "CHANGE THIS to the path of the service's database. A drill does not use it."),
        ("path", f"/srv/CHANGE-THIS/{base}{file.path.suffix}"),
    )
    return base, "a SQLite file", keys


def _rows(names: list[str]) -> Mapping[str, Any]:
    """Return a check that one of the first tables has rows."""
    counts = [f"(select count(*) from {_sql(n)})" for n in names[:_MOST_COUNTED]]  # noqa: S608
    query = f"select {' + '.join(counts) or 0}"
    return {"name": "there are rows", "kind": "sql", "query": query, "expect": "> 0"}


def _suggested(connection: sqlite3.Connection, filled: list[str]) -> Mapping[str, Any] | None:
    for name in filled:
        for row in connection.execute(f"PRAGMA table_info({quoted(name)})").fetchmany(200):
            column, declared = str(row[1]), str(row[2])
            if _TIME.search(declared) or column.endswith("_at"):
                return recent(name, _sql(name), _sql(column))
    return None


def _has_rows(connection: sqlite3.Connection, name: str) -> bool:
    try:
        return connection.execute(f"select 1 from {quoted(name)} limit 1").fetchone() is not None  # noqa: S608 - quoted
    except sqlite3.OperationalError:  # a virtual table of a module that is not here
        return False


def _sql(name: str) -> str:
    return name if needs_no_quotes(name.lower()) else quoted(name)


def first_checks(_: ServerPlace | None) -> FirstChecks:
    """Implements `FirstChecksOf`. No query of SQLite counts the rows of all tables."""
    return FirstChecks((), unseen=_NOT_SEEN)
