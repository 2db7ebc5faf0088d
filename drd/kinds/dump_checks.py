"""What a plan can check in a dump of a database, by its tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drd.model.text import counted, some


def tables_in_words(names: list[str]) -> str:
    """`3 tables: a, b and c`, as `FoundDump.holds`."""
    return f"{counted(len(names), 'table')}: {some(names, 4)}" if names else "no table"


_RESERVED = frozenset(
    re.findall(
        r"\w+",
        "add all alter analyse analyze and any array as asc asymmetric authorization "
        "autoincrement between binary both case cast check collate collation column commit "
        "concurrently constraint create cross current_catalog current_date current_role "
        "current_schema current_time current_timestamp current_user default deferrable delete "
        "desc distinct do drop else end escape except exists false fetch for foreign freeze from "
        "full grant group having ilike in index initially inner insert intersect into is isnull "
        "join lateral leading left like limit localtime localtimestamp natural not nothing "
        "notnull null offset on only or order outer overlaps placing primary references returning "
        "right select session_user set similar some symmetric system_user table tablesample then "
        "to trailing transaction true union unique update user using values variadic verbose when "
        "where window with ",
    )
)
"""Words that cannot be the name of a table in PostgreSQL or SQLite unless they are quoted. In
PostgreSQL, `select count(*) from user` asks a function, and always counts one row."""


def needs_no_quotes(name: str) -> bool:
    """Return whether a name of small letters means itself in SQL."""
    return bool(re.fullmatch(r"[a-z_][a-z0-9_]*", name)) and name not in _RESERVED


NO_ROWS = (
    'all tables of the newest dump are empty. The check "there are rows" fails until a table '
    "has a row. If the database may be empty, replace this check by a query whose answer you "
    "know"
)

ONLY_BEGINNING = (
    "the newest dump is large, so drd read only its beginning, and wrote no check for the rows of "
    "single tables: add queries whose answers you know"
)


def table_checks(
    tables: int, query: str, with_rows: Sequence[tuple[str, str]], otherwise: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Yield a check that `query` counts so many tables, and a check for each table that has rows
    (its name, and its name in SQL). If no table has rows, yield the check `otherwise`, which
    requires rows: a drill must not pass only because the tables exist."""
    said = f"all {tables} tables are restored" if tables > 1 else "the table is restored"
    yield {"name": said, "kind": "sql", "query": query, "expect": f">= {max(tables, 1)}"}
    for name, sql in with_rows:
        yield rows_of(name, sql)
    if not with_rows:
        yield otherwise


def rows_of(name: str, sql: str) -> Mapping[str, Any]:
    """Return a check that a table has rows: its name, and its name in SQL."""
    counting = f"select count(*) from {sql}"  # noqa: S608 - for a plan
    return {"name": f"{name} has rows", "kind": "sql", "query": counting, "expect": "> 0"}


def recent(name: str, sql: str, column: str) -> Mapping[str, Any]:
    """Return a check of the newest row of a table: its name, and table and column in SQL."""
    return {
        "name": f"the newest row of {name} is recent",
        "kind": "sql",
        "query": f"select max({column}) from {sql}",  # noqa: S608 - for a plan
        "expect": "within rpo",
    }
