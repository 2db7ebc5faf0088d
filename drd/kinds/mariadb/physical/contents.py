"""What all databases of a server contain: the tables with their rows.

Tables of InnoDB are read in a snapshot that begins while mariadb-backup holds all commits, so they
have the state of the copy. Others have no snapshots: they are read in that moment itself."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from drd import process
from drd.kinds.databases import Mode
from drd.kinds.mariadb.connection import Connection, ServerError, is_late, words
from drd.kinds.mariadb.fingerprint import Table, Tables, describe, state_of, tables_of
from drd.kinds.mariadb.naming import in_database, plain
from drd.model.snapshot import DatabaseFingerprint, TableState
from drd.model.units import format_duration

_NAMES = """
SELECT SCHEMA_NAME FROM information_schema.SCHEMATA
 WHERE SCHEMA_NAME NOT IN ('information_schema', 'performance_schema', 'sys', 'mysql')
 ORDER BY 1"""

SYSTEM = "mysql"
_OF_THE_SYSTEM = (
    "columns_priv", "db", "event", "func", "global_priv", "plugin", "proc", "procs_priv",
    "proxies_priv", "roles_mapping", "servers", "tables_priv",
)  # fmt: skip
"""The tables of the server with users, rights, code and plugins. The others are statistics, logs
and what each server has of itself."""

EMPTY = {
    "MEMORY": "a table of the engine MEMORY, whose rows no file contains",
    "BLACKHOLE": "a table of the engine BLACKHOLE, which keeps no rows",
    "FEDERATED": "a table of the engine FEDERATED, whose rows are on another server",
}
"""Why the rows of an engine are not in a copy."""

COPIED = ("InnoDB", "Aria", "MyISAM", "MRG_MyISAM", "CSV", "ARCHIVE")
"""The engines whose files mariadb-backup copies."""


class Found(NamedTuple):
    """The tables of one database that are compared: `frozen` have snapshots, `moving` do not;
    `without` are tables whose rows are not in a copy, with the reason."""

    frozen: Collection[str]
    moving: Collection[Table]
    without: Mapping[str, str]


def names(connection: Connection) -> list[str]:
    """Return the databases that people have made."""
    return [str(name) for (name,) in connection.rows(_NAMES)]


def find(connection: Connection, database: str) -> Found:
    return found_in(tables_of(connection, database), database)


def found_in(tables: Tables, database: str) -> Found:
    """Divide the tables of a database by what a copy has of them."""
    frozen, moving, without = [], [], {}
    for table in tables.with_rows:
        if database == SYSTEM and table.name not in _OF_THE_SYSTEM:
            continue
        if table.engine not in COPIED:
            without[table.name] = EMPTY.get(
                table.engine.upper(), f"a table of the engine {table.engine or '-'}"
            )
        elif table.name in tables.moving:
            moving.append(table)
        else:
            frozen.append(table.name)
    return Found(tuple(frozen), tuple(moving), without)


def find_all(connection: Connection, databases: Sequence[str], limit_s: float) -> dict[str, Found]:
    """Find the tables of these databases. The result lacks databases for which `limit_s` seconds
    were too short. Raises ServerError."""
    by_database: dict[str, Found] = {}
    end = time.monotonic() + limit_s
    try:
        for name in databases:
            process.check_cancelled()
            if (left_s := end - time.monotonic()) <= 0:
                break
            connection.execute(f"SET SESSION max_statement_time = {max(0.01, left_s):.2f}")
            by_database[name] = find(connection, name)
    except ServerError as error:
        if not is_late(error):
            raise
    finally:
        connection.execute("SET SESSION max_statement_time = 0")
    return by_database


def everything(
    connection: Connection, databases: Sequence[str], *, mode: Mode, budget_s: float
) -> DatabaseFingerprint:
    """Describe all tables of a server that nobody else uses. Raises SourceUnreachable, Cancelled,
    ServerError."""
    by_database = {name: find(connection, name) for name in (*databases, SYSTEM)}
    part = {
        name: (*one.frozen, *(table.name for table in one.moving))
        for name, one in by_database.items()
    }
    whole = some_tables(connection, part, mode=mode, budget_s=budget_s)
    return without_rows(whole, by_database)


def some_tables(
    connection: Connection,
    tables: Mapping[str, Collection[str]],
    *,
    mode: Mode,
    budget_s: float,
) -> DatabaseFingerprint:
    """Describe these tables, by database."""
    whole = DatabaseFingerprint(mode)
    end = time.monotonic() + budget_s
    late = f"the time limit of the fingerprint (`budget: {format_duration(budget_s)}`) was reached"
    for name, only in tables.items():
        process.check_cancelled()
        left = max(0.0, end - time.monotonic())
        try:
            one = describe(connection, name, mode=mode, budget_s=left, only=only, late=late)
        except ServerError as error:
            # Without a count, the database is one thing that was not reached.
            whole = replace(whole, not_reached={**whole.not_reached, plain(name): words(error)})
            continue
        whole = joined(whole, name, one)
    return whole


def moving_tables(
    connection: Connection, found: Mapping[str, Found], *, mode: Mode, budget_s: float, late: str
) -> DatabaseFingerprint:
    """Describe the tables without snapshots, and ask the server nothing else: its commits wait.
    `late` is the reason for those that were not reached in time."""
    states, not_reached = {}, {}
    end = time.monotonic() + budget_s
    for name, one in found.items():
        for table in one.moving:
            process.check_cancelled()
            left_s = end - time.monotonic()
            state = state_of(connection, name, table, mode, left_s) if left_s > 0 else late
            if isinstance(state, TableState):
                states[in_database(name, table.name)] = state
            else:
                not_reached[in_database(name, table.name)] = state or late
    return DatabaseFingerprint(mode, states, not_reached)


def joined(whole: DatabaseFingerprint, name: str, one: DatabaseFingerprint) -> DatabaseFingerprint:
    """Add what was found in one database; the system's views are the server's own."""

    def within(known: Mapping[str, Any]) -> dict[str, Any]:
        return {in_database(name, table): value for table, value in known.items()}

    others = {} if name == SYSTEM else within(one.others)
    return replace(
        whole,
        tables={**whole.tables, **within(one.tables)},
        not_reached={**whole.not_reached, **within(one.not_reached)},
        others={**whole.others, **others},
    )


def without_rows(whole: DatabaseFingerprint, found: Mapping[str, Found]) -> DatabaseFingerprint:
    """Name the tables whose rows are not in a copy."""
    missing = {
        in_database(name, table): why
        for name, one in found.items()
        for table, why in one.without.items()
    }
    return replace(whole, not_reached={**whole.not_reached, **missing})


def merged(one: DatabaseFingerprint, other: DatabaseFingerprint) -> DatabaseFingerprint:
    """Return what two fingerprints of different tables say together."""
    return replace(
        one,
        tables={**one.tables, **other.tables},
        not_reached={**one.not_reached, **other.not_reached},
        others={**one.others, **other.others},
    )
