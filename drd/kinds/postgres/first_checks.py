"""What a new plan can check in a database that another tool backs up: if the server runs, the
tables that it names, else the rows of all tables together."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import ToolError
from drd.kinds.dump_checks import needs_no_quotes, recent, rows_of
from drd.kinds.postgres.quoting import ident
from drd.ports.dumps import FirstChecks, ServerPlace

_OF_USERS = (
    "c.relpersistence = 'p' and c.relnamespace::regnamespace::text !~ "
    "'^(pg_|information_schema$)' and not exists "
    "(select from pg_depend d where d.objid = c.oid and d.deptype = 'e')"
)
"""Selects the tables of users: not those of the system or of an extension, and not unlogged tables,
whose rows a backup of a whole server does not contain."""

_COUNTED = "query_to_xml(format('select count(*) n from %s', c.oid::regclass), true, false, '')"
ALL_ROWS = (
    f"select coalesce(sum(substring({_COUNTED}::text from '<n>([0-9]+)</n>')::bigint), 0) "  # noqa: S608 - constants
    f"from pg_class c where c.relkind = 'r' and {_OF_USERS}"
)
"""The statistics of a server that was just restored count no rows: this counts the rows."""

ROWS: Mapping[str, Any] = {
    "name": "there are rows",
    "kind": "sql",
    "query": ALL_ROWS,
    "expect": "> 0",
    "timeout": "30m",
}

_MOST_TABLES = 3
_ASKS_S = 15.0
_TABLES = f"""
select json_build_object('system', (select system_identifier::text from pg_control_system()),
 'tables', (select coalesce(json_agg(t order by size desc), '[]') from (
  select s, name, size, (select attname from pg_attribute a where attrelid = oid and attnum > 0
   and not attisdropped and atttypid in ('timestamptz'::regtype, 'timestamp'::regtype)
   order by attnum limit 1) as at from (
    select c.oid, c.relnamespace::regnamespace::text as s, c.relname as name,
     (select sum(pg_total_relation_size(relid)) from pg_partition_tree(c.oid)) as size
    from pg_class c where c.relkind in ('r', 'p') and not c.relispartition and {_OF_USERS}
    order by size desc nulls last limit 50) largest
  where query_to_xml(format('select 1 from %s limit 1', oid::regclass), true, false, '')::text
   ~ '<row'
  order by size desc nulls last limit {_MOST_TABLES}) t))"""  # noqa: S608 - constants


def first_checks(place: ServerPlace | None) -> FirstChecks:
    """Implements `FirstChecksOf`."""
    tables = _asked(place) if place is not None else None
    if not tables:
        return FirstChecks((ROWS,), is_empty=tables is not None)
    names = [_sql(table) for table in tables]
    suggested = next(
        (
            recent(name, name, ident(table["at"]))
            for name, table in zip(names, tables, strict=True)
            if table["at"] is not None
        ),
        None,
    )
    return FirstChecks((ROWS, *(rows_of(name, name) for name in names)), suggested)


def _sql(table: Mapping[str, Any]) -> str:
    name = table["name"] if needs_no_quotes(table["name"]) else ident(table["name"])
    return name if table["s"] == "public" else f"{table['s']}.{name}"


def _asked(place: ServerPlace) -> list[Mapping[str, Any]] | None:
    """Return the largest tables that have rows, by the server at this place of this host; None if
    it does not answer, or is another server than the one that was backed up."""
    socket = Path(place.directory, f".s.PGSQL.{place.port}")
    if not place.directory.startswith("/") or not socket.is_socket():
        return None
    env = {
        "PGHOST": place.directory,
        "PGPORT": str(place.port),
        "PGDATABASE": place.database,
        "PGCONNECT_TIMEOUT": "3",
        "PGCLIENTENCODING": "UTF8",
        "PGPASSFILE": os.devnull,  # whoever listens there gets no password
        "PGOPTIONS": "-c default_transaction_read_only=on -c statement_timeout=10s",
        **({"PGUSER": place.user} if place.user else {}),
    }
    for user in _users(socket):
        try:
            psql = process.find_tool("psql", package="postgresql-client")
            words = [psql, "-X", "-A", "-t", "-w", "-c", _TABLES]
            done = process.run(
                process.Command(words, env=env, user=user, cwd=Path("/"), deadline_s=_ASKS_S)
            )
            if done.exit_code == 0:
                said = json.loads(done.stdout)
                return list(said["tables"]) if said["system"] == place.system else None
        except (ToolError, ValueError, KeyError, TypeError):
            continue
    return None


def _users(socket: Path) -> Iterator[str | None]:
    """Yield whose login to try: this user's, and as root that of the server."""
    yield None
    if os.geteuid() == 0:
        with suppress(KeyError):
            yield pwd.getpwuid(socket.stat().st_uid).pw_name
