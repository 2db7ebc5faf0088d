"""What a plan can check in a dump of a database, by its tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from drd.model.text import counted, some


def tables_in_words(names: list[str]) -> str:
    """`3 tables: a, b and c`, as `FoundDump.holds`."""
    return f"{counted(len(names), 'table')}: {some(names, 4)}" if names else "no table"


def table_checks(
    tables: int, query: str, with_rows: Iterable[tuple[str, str]]
) -> Iterator[Mapping[str, Any]]:
    """Yield a check that `query` counts so many tables, and one for each table that has rows: its
    name, and its name in SQL."""
    said = f"all {tables} tables are restored" if tables > 1 else "the table is restored"
    yield {"name": said, "kind": "sql", "query": query, "expect": f">= {max(tables, 1)}"}
    for name, sql in with_rows:
        counting = f"select count(*) from {sql}"  # noqa: S608 - for a plan
        yield {"name": f"{name} has rows", "kind": "sql", "query": counting, "expect": "> 0"}


def recent(name: str, sql: str, column: str) -> Mapping[str, Any]:
    """Return a check of the newest row of a table: its name, and table and column in SQL."""
    return {
        "name": f"the newest of {name} is recent",
        "kind": "sql",
        "query": f"select max({column}) from {sql}",  # noqa: S608 - for a plan
        "expect": "within rpo",
    }
