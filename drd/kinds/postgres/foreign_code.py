"""Find code of other users in a database that a superuser would run by restoring or by reading.

COPY evaluates CHECK constraints and generated columns, and later steps of a restore run partition
keys and event triggers: all as the user who restores. The planner runs the constant parts of an
index expression as the user who queries. The owner of a database decides which functions these
call, and a superuser may do everything on the server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drd.kinds.postgres import foreign_calls
from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.manifest import OTHERS_CODE
from drd.kinds.postgres.server_text import shown
from drd.model.text import counted, some
from drd.ports import Finding

_SHOWN = 5
_KEPT = 1000

_BY_READING = ("pg_class", "pg_rewrite", "pg_operator", "pg_cast")
_BY_RESTORING = (
    *_BY_READING, "pg_constraint", "pg_attrdef", "pg_trigger", "pg_event_trigger", "pg_type",
    "pg_opclass",
)  # fmt: skip
"""Catalogues whose objects call functions."""

_OTHERS = """
WITH other AS (SELECT oid, rolname::text AS name FROM pg_catalog.pg_roles WHERE NOT rolsuper),
     uses AS (
  SELECT d.refobjid AS function, d.classid, d.objid, d.objsubid FROM pg_catalog.pg_depend d
   WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype IN ('n', 'a')
     AND d.classid = ANY (%s::pg_catalog.regclass[]))
SELECT format('%I.%I(%s)', n.nspname, p.proname,
pg_catalog.pg_get_function_identity_arguments(p.oid)),
       o.name,
       (ARRAY(SELECT DISTINCT pg_catalog.pg_describe_object(u.classid, u.objid, u.objsubid)
                FROM uses u WHERE u.function = p.oid ORDER BY 1))[1:5]
  FROM pg_catalog.pg_proc p
  JOIN other o ON o.oid = p.proowner
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
 WHERE EXISTS (SELECT 1 FROM uses u WHERE u.function = p.oid)
   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                      AND d.objid = p.oid AND d.deptype = 'e')
 ORDER BY 1 LIMIT %s"""

# What calls functions of the server itself is in no list of dependencies.
_EXPRESSIONS = """
WITH other AS (SELECT oid, rolname::text AS name FROM pg_catalog.pg_roles WHERE NOT rolsuper)
SELECT o.name, count(*) FROM (
  SELECT r.relowner AS owner FROM pg_catalog.pg_constraint c
    JOIN pg_catalog.pg_class r ON r.oid = c.conrelid WHERE c.contype = 'c'
  UNION ALL
  SELECT t.typowner FROM pg_catalog.pg_constraint c
    JOIN pg_catalog.pg_type t ON t.oid = c.contypid WHERE c.contype = 'c'
  UNION ALL
  SELECT r.relowner FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class r ON r.oid = a.attrelid
   WHERE {generated}
  UNION ALL
  SELECT r.relowner FROM pg_catalog.pg_partitioned_table p
    JOIN pg_catalog.pg_class r ON r.oid = p.partrelid WHERE p.partexprs IS NOT NULL) e
  JOIN other o ON o.oid = e.owner GROUP BY 1 ORDER BY 1"""


def read(connection: Connection) -> dict[str, Any]:
    """Read the facts for a backup: `functions` as [name, owner, uses], `expressions` as [owner, how
    many checks, generated columns and partition keys], and what `foreign_calls` reads.
    """
    generated = "a.attgenerated <> ''" if connection.info.server_version >= 120000 else "false"
    expressions = connection.execute(
        _EXPRESSIONS.replace("{generated}", generated).encode()
    ).fetchall()
    return {
        "functions": _used(connection, _BY_RESTORING),
        "expressions": [[owner, count] for owner, count in expressions],
        **foreign_calls.read(connection),
    }


def run_by_reading(connection: Connection) -> list[str]:
    """Describe the code of other users that a superuser may run by counting rows or by a query."""
    used, named = _used(connection, _BY_READING), foreign_calls.read(connection)
    return [*_functions(used), *foreign_calls.alike(named), *foreign_calls.paths(named)]


def _used(connection: Connection, by: Sequence[str]) -> list[list[Any]]:
    query = _OTHERS.replace("%I", "%%I").replace("(%s)'", "(%%s)'")
    rows = connection.execute(query.encode(), [list(by), _KEPT]).fetchall()
    return [[name, owner, list(uses)] for name, owner, uses in rows]


AS_OWNER = (
    "--as-owner restores with the rights of the database's owner, so that code of other users "
    "does not run as a superuser"
)
TABLES = (
    "to avoid this, restore the whole database beside this one: --into NAME --as-owner, "
    "without --table"
)
"""The remedy when single tables are restored."""


def finding(
    component: str, user: str, facts: Mapping[str, Any], hint: str = AS_OWNER
) -> Finding | None:
    """Return a finding about code of others that would run as `user`, a superuser; None if there is
    no such code.
    """
    known = facts.get(OTHERS_CODE)
    if known is None:
        told = (
            f"functions of other users may run as superuser {user} during the restore; the "
            "restore point does not list them"
        )
    elif hint == TABLES:
        told = _in_short(known, user)
    else:
        told = "; ".join(_sentences(known, user))
    if not told:
        return None
    return Finding("code-of-others", "warning", component, told, f"{hint}.")


def _in_short(known: Mapping[str, Any], user: str) -> str:
    """Return one line for a person who wants some tables, and meets it in each such command."""
    functions, expressions = known.get("functions", ()), known.get("expressions", ())
    owners = dict.fromkeys([*(owner for _, owner, _ in functions), *(o for o, _ in expressions)])
    if not owners:
        return ""
    of = some([shown(str(owner)) for owner in owners])
    return f"the dump contains code of {of}, which runs as superuser {user} during the restore"


def _sentences(known: Mapping[str, Any], user: str) -> Iterator[str]:
    """Return the sentences of the finding; the plan's own queries follow the restore."""
    parts = [*_functions(known.get("functions", ())), *_expressions(known.get("expressions", ()))]
    if parts:
        yield (
            f"this code of other users would run as superuser {user} during the restore: "
            f"{', '.join(parts)}"
        )
    lead = "" if parts else f"this code of other users would run as superuser {user} "
    where = f"{lead}if a check, a step or a command uses it: "
    where = f"also, {where}" if parts else where
    if foreign_calls.READ not in known:
        yield f"{where}views and functions of other users (the restore point does not list them)"
    elif met := foreign_calls.met(known):
        yield f"{where}{', '.join(met)}"
    yield from foreign_calls.paths(known)


def _functions(rows: Sequence[Any]) -> list[str]:
    told = [
        f"function {shown(str(name))} of {shown(str(owner))} ({', '.join(map(str, uses[:2]))})"
        for name, owner, uses in rows[:_SHOWN]
    ]
    more = len(rows) - _SHOWN
    return [*told, counted(more, "more function")] if more > 0 else told


def _expressions(rows: Sequence[Any]) -> list[str]:
    one, many = "CHECK constraint or computed column", "CHECK constraints or computed columns"
    return [f"{counted(count, one, many)} of {shown(str(owner))}" for owner, count in rows[:_SHOWN]]
