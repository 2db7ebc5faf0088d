"""Fingerprint the tables of a database: row counts and digests, within a time budget.

The same code reads a source and a restored database, so only the data can differ.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from drd import process
from drd.errors import SourceUnreachable
from drd.kinds.postgres.connection import Connection, words
from drd.kinds.postgres.server_text import as_spelled, encoded
from drd.model.snapshot import DatabaseFingerprint, TableState
from drd.model.units import format_duration

# Ordinary tables, leaf partitions and materialised views: whatever holds rows of its own that a
# dump brings back. Of an extension's tables those that it declared as configuration, with the
# condition under which pg_dump takes their rows. Columns by name: what inherits can come back with
# its columns in another order. The smallest first, so that a budget reaches most of them.
_TABLES = """
SELECT c.oid, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname),
       c.relkind = 'm', c.relispopulated, c.relpersistence = 'u',
       coalesce(e.condition, ''),
       ARRAY(SELECT format('%I', a.attname) FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
              ORDER BY a.attname COLLATE "C")
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT u.oid, u.condition FROM pg_catalog.pg_extension x,
                    unnest(x.extconfig, x.extcondition) u(oid, condition)) e ON e.oid = c.oid
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND (e.oid IS NOT NULL OR NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_depend d
         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
           AND d.objid = c.oid AND d.deptype = 'e'))
 ORDER BY c.relpages, 2, 3"""

# What has a name like a table and no rows of its own. From the catalogue alone: the functions about
# partitions would lock them all.
_OTHERS = """
WITH RECURSIVE below(root, oid) AS (
    SELECT oid, oid FROM pg_catalog.pg_class WHERE relkind = 'p'
    UNION SELECT b.root, i.inhrelid
      FROM below b JOIN pg_catalog.pg_inherits i ON i.inhparent = b.oid)
SELECT format('%I.%I', n.nspname, c.relname), c.relkind::text,
       ARRAY(SELECT format('%I.%I', pn.nspname, p.relname)
               FROM below b
               JOIN pg_catalog.pg_class p ON p.oid = b.oid AND p.relkind = 'r'
               JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
              WHERE b.root = c.oid ORDER BY 1)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('p', 'v', 'f')
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 ORDER BY 1"""
_KINDS = {"v": "view", "f": "foreign table"}

_DAMAGES = (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted)

_LISTING_S = 30
"""The time limit for listing the tables; the budget is for reading them."""

_NO_BUDGET_S = 20 * 86400.0
"""The largest time limit that a server accepts in milliseconds."""


class Damage(str):
    """Why a table cannot be read: the server says that its data is damaged."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class DescribedTable:
    """One table to describe; `name` is its quoted name in SQL, `key` identifies it."""

    key: tuple[str, str]
    name: str
    columns: tuple[str, ...]
    condition: str
    unreadable: str | None
    materialised: bool


def tables_of(connection: Connection) -> list[DescribedTable]:
    """Return all tables that contain rows, the smallest first."""
    connection.execute(f"SET LOCAL statement_timeout = '{_LISTING_S}s'".encode())
    row = connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
    standby = bool(row and row[0])
    return [_table(row, standby) for row in connection.execute(_TABLES.encode()).fetchall()]


def _table(row: Sequence[Any], standby: bool) -> DescribedTable:
    _, schema, name, quoted, materialised, populated, unlogged, condition, columns = row
    unreadable = None
    if materialised and not populated:
        unreadable = "a materialised view that is not populated"
    elif unlogged and standby:
        unreadable = "an unlogged table, which a standby cannot read"
    return DescribedTable(
        (schema, name), quoted, tuple(columns), condition, unreadable, materialised
    )


def describe(
    connection: Connection,
    *,
    mode: Literal["counts", "digest"],
    budget_s: float,
    properties: Mapping[str, Any],
    names: Mapping[tuple[str, str], str] | None = None,
    only: Collection[tuple[str, str]] | None = None,
) -> DatabaseFingerprint:
    """Describe every table (of `only`, if given) in the current transaction of `connection`
    (pinned).

    Tables that the budget or a missing right excludes are named with the reason. `names` gives
    names to use instead of the server's (another major version may quote others). Raises
    SourceUnreachable if the connection is lost, Cancelled.
    """
    names = names or {}
    end = time.monotonic() + budget_s
    states: dict[str, TableState] = {}
    not_reached: dict[str, str] = {}
    derived = set()
    with as_spelled(connection):
        tables = tables_of(connection)
        partitioned, others = others_of(connection)
    for table in tables:
        if only is not None and table.key not in only:
            continue
        process.check_cancelled()
        name = names.get(table.key, table.name)
        if table.materialised:
            derived.add(name)
        state = table.unreadable or _table_state(connection, table, mode, end)
        if isinstance(state, TableState):
            states[name] = state
        else:
            not_reached[name] = (
                state
                or f"the time limit of the fingerprint (`budget: {format_duration(budget_s)}`) was "
                "reached"
            )
    return DatabaseFingerprint(
        mode,
        states,
        not_reached,
        dict(properties),
        frozenset(derived),
        partitioned,
        others,
        damaged=frozenset(name for name, why in not_reached.items() if isinstance(why, Damage)),
    )


def others_of(connection: Connection) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Return partitioned tables with the partitions that have rows, and relations that are no
    tables.
    """
    partitioned: dict[str, tuple[str, ...]] = {}
    others: dict[str, str] = {}
    for name, kind, leaves in connection.execute(_OTHERS.encode()).fetchall():
        if kind == "p":
            partitioned[name] = tuple(leaves)
        else:
            others[name] = _KINDS[kind]
    return partitioned, others


def _table_state(
    connection: Connection, table: DescribedTable, mode: Literal["counts", "digest"], end: float
) -> TableState | str:
    """Return the table's state, or why it has none: an empty text if the time was over. Locks of
    the table and its indexes are released at once: thousands of tables would fill the server's lock
    table, which other sessions need too.
    """
    left_ms = int((end - time.monotonic()) * 1000)
    if left_ms <= 0:
        return ""
    try:
        with as_spelled(connection), connection.transaction(force_rollback=True):
            connection.execute(f"SET LOCAL statement_timeout = {left_ms}".encode())
            row = connection.execute(encoded(_query(table, mode))).fetchone()
    except psycopg.errors.QueryCanceled:
        process.check_cancelled()
        return ""
    except psycopg.Error as error:
        if connection.closed or connection.broken:
            raise SourceUnreachable(
                f"lost the connection while reading {table.name}: {words(error)}",
                hint="check the server's log.",
            ) from error
        return said(error)
    assert row is not None
    if mode == "counts":
        return TableState(int(row[0]))
    return TableState(int(row[0]), format(int(row[1]) % 2**64, "016x"))


def said(error: psycopg.Error) -> str:
    """Return the server's own message, as Damage if it is about damaged data."""
    return Damage(words(error)) if isinstance(error, _DAMAGES) else words(error)


def state_of(
    connection: Connection, table: DescribedTable, mode: Literal["counts", "digest"]
) -> TableState | str:
    """Return the state of one table, without a time limit; or why it cannot be read."""
    return _table_state(connection, table, mode, time.monotonic() + _NO_BUDGET_S)


def _query(table: DescribedTable, mode: Literal["counts", "digest"]) -> str:
    """Return a query that counts rows and sums a 64-bit hash of every row's text. The sum is
    independent of the order, and a changed, missing or repeated row changes it. The hash is that of
    hash partitions, the same in every server since version 11 on hosts of one byte order.
    """
    source = f"FROM ONLY {table.name} {table.condition}"
    if mode == "counts":
        return f"SELECT count(*) {source}"
    row = f"ROW({', '.join(table.columns)})::pg_catalog.text"
    return f'SELECT count(*), coalesce(sum(hashtextextended({row} COLLATE "C", 0)), 0) {source}'


def names_of(like: DatabaseFingerprint) -> dict[tuple[str, str], str]:
    """Return the names that a fingerprint uses, by schema and table."""
    return {split_name(name): name for name in (*like.tables, *like.not_reached)}


_NAME_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


def split_name(name: str) -> tuple[str, str]:
    """Split a name, quoted where necessary, into schema and table."""
    parts = [quoted.replace('""', '"') or plain for quoted, plain in _NAME_PART.findall(name)]
    return parts[0], ".".join(parts[1:])
