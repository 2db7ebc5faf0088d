"""Fingerprint the tables of a database: row counts and digests, within a time budget.

The same code reads a source and a restored database, so only the data can differ.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple

from drd import process
from drd.errors import SourceUnreachable
from drd.kinds.mariadb.connection import Connection, ServerError, is_late, is_lost, words
from drd.kinds.mariadb.flavour import Flavour
from drd.kinds.mariadb.quoting import ident
from drd.model.snapshot import DatabaseFingerprint, TableState
from drd.model.text import escaped, some
from drd.model.units import format_duration

_TABLES = """
SELECT TABLE_NAME, TABLE_TYPE, ENGINE, COALESCE(DATA_LENGTH, 0) FROM information_schema.TABLES
 WHERE TABLE_SCHEMA = %s AND TABLE_TYPE <> 'TEMPORARY' ORDER BY 4, 1"""
_COLUMNS = """
SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS
 WHERE TABLE_SCHEMA = %s ORDER BY TABLE_NAME, COLUMN_NAME"""

FROZEN = ("InnoDB",)
"""The storage engines that have snapshots: a reader sees all their tables as of one moment."""

_BYTES = frozenset({"bit", "binary", "varbinary"})
_LONG = frozenset({"tinyblob", "blob", "mediumblob", "longblob", "tinytext", "text", "mediumtext",
                   "longtext", "json"})  # fmt: skip
_SHAPES = frozenset({"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring",
                     "multipolygon", "geometrycollection", "geomcollection", "vector"})  # fmt: skip


class Table(NamedTuple):
    """A table with its columns; `versioned`: it keeps its former rows as well."""

    name: str
    engine: str
    columns: tuple[tuple[str, str], ...]
    versioned: bool = False


class Tables(NamedTuple):
    """The tables that have rows, the smallest first; `others`: the names of views and sequences,
    with their type."""

    with_rows: tuple[Table, ...]
    others: Mapping[str, str]

    @property
    def moving(self) -> tuple[str, ...]:
        """The tables that can change while drd reads them: their engine has no snapshots."""
        return tuple(t.name for t in self.with_rows if t.engine not in FROZEN)


def properties(connection: Connection, database: str) -> dict[str, Any]:
    """Return the character set, collation and comment of a database; empty if it is missing."""
    row = connection.one(connection.flavour.properties, [database])
    return {"charset": row[0], "collation": row[1], "comment": row[2] or ""} if row else {}


def tables_of(connection: Connection, database: str) -> Tables:
    columns: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in connection.rows(_COLUMNS, [database]):
        columns.setdefault(str(table), []).append((str(column), str(kind).lower()))
    with_rows, others = [], {}
    for name, kind, engine, _ in connection.rows(_TABLES, [database]):
        if "VIEW" in kind:
            others[str(name)] = "view"
        elif kind == "SEQUENCE":
            others[str(name)] = "sequence"
        else:
            keys = tuple(columns.get(str(name), ()))
            versioned = kind == "SYSTEM VERSIONED"
            with_rows.append(Table(str(name), str(engine or ""), keys, versioned))
    return Tables(tuple(with_rows), others)


def describe(
    connection: Connection,
    database: str,
    *,
    mode: Literal["counts", "digest"],
    budget_s: float,
    only: Collection[str] | None = None,
    late: str = "",
) -> DatabaseFingerprint:
    """Describe every table (of `only`, if given) in the current transaction of `connection`.

    Tables that the budget or a missing right excludes are named with the reason; `late` is the one
    for those that were not reached in time, if it is not the limit in the plan. Raises
    SourceUnreachable if the connection is lost, ServerError, Cancelled."""
    late = late or (
        f"the time limit of the fingerprint (`budget: {format_duration(budget_s)}`) was reached"
    )
    end = time.monotonic() + budget_s
    states: dict[str, TableState] = {}
    not_reached: dict[str, str] = {}
    tables = tables_of(connection, database)
    for table in tables.with_rows:
        if only is not None and table.name not in only:
            continue
        process.check_cancelled()
        left_s = end - time.monotonic()
        state = state_of(connection, database, table, mode, left_s) if left_s > 0 else ""
        if isinstance(state, TableState):
            states[table.name] = state
        else:
            not_reached[table.name] = state or late
    saved = properties(connection, database)
    rewritten = _rewritten(connection.flavour, tables) if mode == "digest" else {}
    return DatabaseFingerprint(
        mode, states, not_reached, saved, others=tables.others, rewritten=rewritten
    )


def _rewritten(flavour: Flavour, tables: Tables) -> dict[str, str]:
    """Say of each table with columns of which a dump may change values why it may."""
    reasons = {}
    for table in tables.with_rows:
        columns = [(name, kind) for name, kind in table.columns if kind in flavour.rewrites]
        if columns:
            why = dict.fromkeys(flavour.rewrites[kind] for _, kind in columns)
            names = some([escaped(name) for name, _ in columns])
            reasons[table.name] = f"perhaps only in {names}: {'; '.join(why)}"
    return reasons


def state_of(
    connection: Connection,
    database: str,
    table: Table,
    mode: Literal["counts", "digest"],
    left_s: float,
) -> TableState | str:
    """Return the table's state, or the reason why drd has none: an empty text means that the time
    limit was reached."""
    try:
        row = connection.one(_query(connection.flavour, database, table, mode, max(0.01, left_s)))
    except ServerError as error:
        if is_lost(error):
            raise SourceUnreachable(
                f"lost the connection while reading {table.name}: {words(error)}",
                hint="check the server's log.",
            ) from error
        process.check_cancelled()
        return "" if is_late(error) else words(error)
    assert row is not None
    if mode == "counts":
        return TableState(int(row[0]))
    return TableState(int(row[0]), f"{int(row[1]) % 2**64:016x}")


def _query(
    flavour: Flavour,
    database: str,
    table: Table,
    mode: Literal["counts", "digest"],
    limit_s: float,
) -> str:
    """Return a query that counts rows and sums 64 bits of a digest of every row's text. The sum is
    independent of the order, and a changed, missing or repeated row changes it. It includes the
    former rows of a system-versioned table, which are not counted."""
    source = f"FROM {ident(database)}.{ident(table.name)}"
    wanted = f"COUNT(*) {source}"
    if mode == "digest":
        texts = ", ".join(_text(flavour, *c) for c in table.columns)
        row = flavour.digest.format(f"CONCAT_WS('|', {texts})")
        total = f"COALESCE(SUM(CAST(CONV(LEFT({row}, 16), 16, 10) AS UNSIGNED)), 0) {source}"
        wanted = f"COUNT(*), {total}"
        if table.versioned:
            wanted = f"(SELECT COUNT(*) {source}), {total} FOR SYSTEM_TIME ALL"
    return flavour.bounded(wanted, limit_s)


def _text(flavour: Flavour, column: str, kind: str) -> str:
    """Return SQL that makes a text of a column: another value gives another text, and NULL gives
    `-`. The text of a row stays far below `max_allowed_packet`: the server replaces a longer text
    by NULL."""
    name = ident(column)
    if kind in _SHAPES:
        value = flavour.digest.format(f"HEX({name})")
    elif kind in _LONG:
        value = flavour.digest.format(name)
    elif kind in _BYTES:
        value = f"HEX({name})"
    elif kind == "float":
        value = f"CONCAT({name} + 0e0)"  # its own text is rounded to six digits
    else:
        value = f"CONCAT(LENGTH({name}), ':', CONVERT({name} USING utf8mb4))"
    return f"IFNULL({value}, '-')"
