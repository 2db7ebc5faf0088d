"""What all databases of a server contain: the tables with their rows, and what describes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, Literal

import psycopg

from drd import process
from drd.errors import DrdError, SourceUnreachable
from drd.kinds.postgres import database
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.connection import Connection, connect, interruptible
from drd.kinds.postgres.fingerprint import Damage, describe, said
from drd.kinds.postgres.server_text import as_stored
from drd.model.single_item import in_database
from drd.model.snapshot import DatabaseFingerprint

Reach = Callable[[str], Address]
"""Gives the address of a database by its name."""

Counters = Mapping[str, tuple[Any, ...]]

UNLOGGED = "an unlogged table, whose rows no base backup contains"
CHANGED = "it changed during the backup, so nobody knows its rows at the end of the backup"
REPLAYED = (
    "the standby replayed changes during the backup, and its statistics do not show which tables "
    "changed"
)

_NAMES = "SELECT datname::text FROM pg_catalog.pg_database WHERE datallowconn ORDER BY 1"

_UNLOGGED = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'u'"""

# The file of a table is another one after TRUNCATE and after everything that rewrites the table.
_COUNTERS = """
SELECT format('%I.%I', n.nspname, c.relname), pg_catalog.pg_relation_filenode(c.oid),
       s.n_tup_ins, s.n_tup_upd, s.n_tup_del
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid
 WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""

_ROLES = """
SELECT rolname::text, rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
       rolbypassrls, coalesce(array_to_string(rolconfig, E'\\n'), '')
  FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' ORDER BY 1"""
_RIGHTS = ("superuser", "createrole", "createdb", "login", "replication", "bypassrls")


def names(connection: Connection) -> list[str]:
    """Return the databases that accept connections."""
    with as_stored(connection):
        return [row[0] for row in connection.execute(_NAMES.encode()).fetchall()]


def unread(name: str) -> str:
    """Return the name under which a fingerprint has a database that could not be read."""
    return in_database(name, "").removesuffix(".")


def counters(reach: Reach, databases: list[str]) -> Counters:
    """Return for each table values that change whenever its rows change: the number of its file,
    and counters of the server's statistics. Tables of a database that cannot be read are missing.
    """
    values: dict[str, tuple[Any, ...]] = {}
    for name in databases:
        process.check_cancelled()
        try:
            with closing(connect(reach(name))) as connection:
                rows = connection.execute(_COUNTERS.encode()).fetchall()
        except (DrdError, psycopg.Error):
            continue
        values |= {in_database(name, row[0]): tuple(row[1:]) for row in rows}
    return values


def fingerprint(
    reach: Reach,
    databases: list[str],
    *,
    mode: Literal["counts", "digest"],
    budget_s: float,
    properties: Mapping[str, Any],
) -> DatabaseFingerprint:
    """Describe the tables of all databases. Each database is read in a transaction of its own."""
    whole = DatabaseFingerprint(mode, properties=properties)
    end = time.monotonic() + budget_s
    for name in databases:
        process.check_cancelled()
        try:
            with closing(connect(reach(name))) as connection, interruptible(connection):
                one = _described(connection, mode, max(0.0, end - time.monotonic()))
        except (DrdError, psycopg.Error) as error:
            if isinstance(error, SourceUnreachable):
                raise
            why = error.message if isinstance(error, DrdError) else said(error)
            # Without a count, the database is one thing that was not reached.
            whole = replace(
                whole,
                not_reached={**whole.not_reached, unread(name): why},
                damaged=whole.damaged | ({unread(name)} if isinstance(why, Damage) else set()),
            )
            continue
        whole = _joined(whole, name, one)
    return whole


def of_server(
    address: Address,
    connection: Connection,
    *,
    mode: Literal["counts", "digest"],
    budget_s: float,
) -> DatabaseFingerprint:
    """Describe all databases of the server of a connection, and its roles, as they are now."""
    reach = address.pinned(connection).to_database
    return fingerprint(
        reach,
        names(connection),
        mode=mode,
        budget_s=budget_s,
        properties=properties(reach, connection),
    )


def _described(
    connection: Connection, mode: Literal["counts", "digest"], budget_s: float
) -> DatabaseFingerprint:
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    unlogged = {row[0] for row in connection.execute(_UNLOGGED.encode()).fetchall()}
    one = describe(connection, mode=mode, budget_s=budget_s, properties={})
    tables = {n: t for n, t in one.tables.items() if n not in unlogged}
    missing = {**one.not_reached, **dict.fromkeys(unlogged, UNLOGGED)}
    return replace(one, tables=tables, not_reached=missing)


def _joined(whole: DatabaseFingerprint, name: str, one: DatabaseFingerprint) -> DatabaseFingerprint:
    """Add the fingerprint of one database. It leaves out `derived`: a copy of files contains the
    rows of materialised views, so a restore does not compute them anew."""

    def within(known: Mapping[str, Any]) -> dict[str, Any]:
        return {in_database(name, table): value for table, value in known.items()}

    leaves = {n: tuple(in_database(name, p) for p in parts) for n, parts in one.partitioned.items()}
    return replace(
        whole,
        tables={**whole.tables, **within(one.tables)},
        not_reached={**whole.not_reached, **within(one.not_reached)},
        partitioned={**whole.partitioned, **within(leaves)},
        others={**whole.others, **within(one.others)},
        damaged=whole.damaged | within(dict.fromkeys(one.damaged)).keys(),
    )


def without_changed(
    known: DatabaseFingerprint, before: Counters, after: Counters
) -> DatabaseFingerprint:
    """Return the fingerprint without the tables of which the counters differ, or are unknown."""
    changed = {n for n in known.tables if n not in before or before[n] != after.get(n)}
    return replace(
        known,
        tables={n: t for n, t in known.tables.items() if n not in changed},
        not_reached={**known.not_reached, **dict.fromkeys(changed, CHANGED)},
    )


def without_all(known: DatabaseFingerprint, why: str) -> DatabaseFingerprint:
    """Return the fingerprint without any table."""
    return replace(
        known, tables={}, not_reached={**known.not_reached, **dict.fromkeys(known.tables, why)}
    )


def properties(reach: Reach, connection: Connection) -> dict[str, Any]:
    """Read the roles of the server and the properties of each database. A database that refuses the
    login is left out."""
    with as_stored(connection):
        roles = connection.execute(_ROLES.encode()).fetchall()
    values: dict[str, Any] = {}
    for name in names(connection):
        try:
            with closing(connect(reach(name))) as one:
                values[name] = database.read(one)
        except (DrdError, psycopg.Error):
            continue
    return {"databases": values, "roles": {row[0]: list(row[1:]) for row in roles}}


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return sentences about properties that differ from the saved ones."""
    differing = []
    for name, properties_ in saved["databases"].items():
        if name not in now["databases"]:
            differing.append(f"database {name} is missing, or refuses connections")
            continue
        other = now["databases"][name]
        here = database.differences(properties_, other, with_owner=True)
        differing += [f"database {name}: {sentence}" for sentence in here]
    for name, was in saved["roles"].items():
        if name not in now["roles"]:
            differing.append(f"role {name} is missing")
        elif now["roles"][name] != was:
            differing.append(f"role {name} {_role_words(was, now['roles'][name])}")
    new = [n for n in now["roles"] if n not in saved["roles"]]
    return differing + [f"role {name} did not exist at backup" for name in new]


def _role_words(was: list[Any], now: list[Any]) -> str:
    for right, before, after in zip(_RIGHTS, was, now, strict=False):
        if before != after:
            return f"{'has' if after else 'does not have'} the right {right}, unlike at backup"
    return "has other settings than at backup"
