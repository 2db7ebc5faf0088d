"""Find code of other users that a query can call: views, functions that it names, and functions
that are called instead of the server's own.

A view calls its functions with the rights of the user who reads it. A function, aggregate or
operator with the name of one of the server's own is called instead if its arguments fit better, or
if its schema precedes pg_catalog in the search path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.quoting import catalog_first
from drd.kinds.postgres.server_text import shown
from drd.model.text import counted

_SHOWN = 5
_KEPT = 1000

READ = "read"
"""A key that restore points of an older drd lack in their facts."""

_OTHER = (
    "WITH other AS (SELECT oid, rolname::text AS name FROM pg_catalog.pg_roles WHERE NOT rolsuper)"
)

_ALIKE = """
SELECT CASE WHEN a.aggfnoid IS NULL THEN 'function ' ELSE 'aggregate ' END
         || format('%I.%I(%s)', n.nspname, p.proname,
                   CASE WHEN a.aggfnoid IS NOT NULL AND p.pronargs = 0 THEN '*'
                        ELSE pg_catalog.pg_get_function_identity_arguments(p.oid) END),
       o.name
  FROM pg_catalog.pg_proc p
  JOIN other o ON o.oid = p.proowner
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  LEFT JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = p.oid
 WHERE EXISTS (SELECT 1 FROM pg_catalog.pg_proc s WHERE s.proname = p.proname
                  AND s.pronamespace = 'pg_catalog'::pg_catalog.regnamespace)
UNION ALL
SELECT format('operator %I.%s', n.nspname, p.oprname), o.name
  FROM pg_catalog.pg_operator p
  JOIN other o ON o.oid = p.oprowner
  JOIN pg_catalog.pg_namespace n ON n.oid = p.oprnamespace
 WHERE EXISTS (SELECT 1 FROM pg_catalog.pg_operator s WHERE s.oprname = p.oprname
                  AND s.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace)"""

# A foreign table connects to where its owner likes, as whoever reads it.
_READ = """
SELECT format('%s %I.%I', CASE c.relkind WHEN 'v' THEN 'view' ELSE 'foreign table' END,
              n.nspname, c.relname), o.name
  FROM pg_catalog.pg_class c
  JOIN other o ON o.oid = c.relowner
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'f') AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT format('rule %I of %I.%I', r.rulename, n.nspname, c.relname), o.name
  FROM pg_catalog.pg_rewrite r
  JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
  JOIN other o ON o.oid = c.relowner
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE r.ev_type <> '1'"""

# Not what triggers alone can call, what is an extension's and in no dump, or what is named above.
_CALLABLE = """
SELECT o.name, count(*)
  FROM pg_catalog.pg_proc p
  JOIN other o ON o.oid = p.proowner
 WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_proc s WHERE s.proname = p.proname
                      AND s.pronamespace = 'pg_catalog'::pg_catalog.regnamespace)
   AND p.prorettype <> ALL ('{trigger,event_trigger}'::pg_catalog.regtype[])
   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                      AND d.objid = p.oid AND d.deptype = 'e')
 GROUP BY 1 ORDER BY 1"""

_PATHS = """
SELECT CASE s.setrole WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(s.setrole)::text END,
       pg_catalog.substr(c, 13)
  FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c
 WHERE c LIKE 'search\\_path=%'
   AND (s.setrole = 0 OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE oid = s.setrole))
   AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database
                              WHERE datname = pg_catalog.current_database()))
 ORDER BY 1, 2"""


def read(connection: Connection) -> dict[str, Any]:
    """Read the facts for a backup: `alike` and `read` as [object, owner], `callable` as [owner,
    number of functions], `paths` as [role or nothing, search path that lists pg_catalog late].
    """

    def rows(query: str) -> list[list[Any]]:
        return [list(row) for row in connection.execute(query.encode()).fetchall()]

    return {
        "alike": rows(f"{_OTHER} {_ALIKE} ORDER BY 1 LIMIT {_KEPT}"),
        READ: rows(f"{_OTHER} {_READ} ORDER BY 1 LIMIT {_KEPT}"),
        "callable": rows(f"{_OTHER} {_CALLABLE}"),
        "paths": [row for row in rows(_PATHS) if catalog_first(str(row[1])) is not None],
    }


def alike(known: Mapping[str, Any]) -> list[str]:
    """Describe what can be called instead of the server's own functions."""
    return _some(known.get("alike", ()), ", which has the name of a function of the server")


def met(known: Mapping[str, Any]) -> list[str]:
    """Describe everything of other users that a query can call or read."""
    called = [
        f"{counted(count, 'function')} of {shown(str(owner))}"
        for owner, count in known.get("callable", ())[:_SHOWN]
    ]
    return [*alike(known), *_some(known.get(READ, ())), *called]


def paths(known: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each search path in which another schema precedes pg_catalog."""
    return [
        f"the search path{_for_role(role)} has {_first(path)} before pg_catalog, so that "
        "functions in this schema replace functions of the server"
        for role, path in known.get("paths", ())[:_SHOWN]
    ]


def _some(rows: Sequence[Any], more_of_it: str = "") -> list[str]:
    told = [f"{shown(str(w))} of {shown(str(o))}{more_of_it}" for w, o in rows[:_SHOWN]]
    more = len(rows) - _SHOWN
    return [*told, f"{more} more like these"] if more > 0 else told


def _first(path: str) -> str:
    return shown((catalog_first(path) or ("",))[0])


def _for_role(role: str) -> str:
    return f" for {shown(role)}" if role else ""
