"""Databases without contents, which a new plan leaves out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from drd.model.text import escaped, noun, some

PLAIN_NAMES = "set search_path = pg_catalog"
"""So that a database's own operators and functions are not used."""
IS_EMPTY = """
select not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and n.nspname !~ '^pg_'
       and n.nspname <> 'information_schema' and not exists (
           select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::regclass
              and d.objid = c.oid and d.deptype = 'e'))
   and not exists (
    select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (
           select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::regclass
              and d.objid = p.oid and d.deptype = 'e'))
   and not exists (select from pg_catalog.pg_largeobject_metadata)"""
"""Asks whether a database has no relation, function or large object, except those of extensions."""


def left_out(empty: Sequence[str], where: str, example: str = "") -> list[str]:
    """Name the databases without contents: a drill of one would prove nothing."""
    if not empty:
        return []
    what, why = noun(len(empty), "database"), noun(len(empty), "it contains", "they contain")
    if example:
        hint = f"add it with --postgres {shlex.quote(escaped(example))}"
    else:
        hint = "add the database to the plan by hand (docs/containers.md)"
    text = (
        f"{escaped(where)}: drd left out the {what} {escaped(some(empty, 20))}, because {why} no "
        f"table, function or large object. If one of your programs will fill it, {hint}."
    )
    return [text]


def connecting_to(database: str) -> str:
    """Return the name for a program of PostgreSQL that takes a connection string as well."""
    quoted = re.sub(r"(['\\])", r"\\\1", database)
    return f"dbname='{quoted}'"
