"""Read from a server the facts about a database that drd writes into a manifest."""

from __future__ import annotations

from typing import Any

from drd.kinds.postgres import database, foreign_code, roles
from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.manifest import OTHERS_CODE, SESSION_SETTINGS
from drd.kinds.postgres.server_text import as_stored

_SPACES = """
SELECT DISTINCT t.spcname FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace
 WHERE t.spcname <> 'pg_global' ORDER BY 1"""

_SETTINGS = "SELECT name, reset_val FROM pg_catalog.pg_settings WHERE name = ANY(%s)"

# What belongs to the database itself is in no database, but names it.
_NEEDED = """
SELECT DISTINCT r.rolname::text FROM pg_catalog.pg_shdepend s
  JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid
  JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
 WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND r.rolname !~ '^pg_'
   AND (s.dbid = d.oid
        OR s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND s.objid = d.oid)
 UNION
SELECT r.rolname::text FROM pg_catalog.pg_db_role_setting s
  JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
  JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
 WHERE d.datname = pg_catalog.current_database() AND r.rolname !~ '^pg_'"""


def facts(
    connection: Connection, properties: database.Properties, cluster: roles.Globals
) -> dict[str, Any]:
    """Read the facts of the connection's database. Raises psycopg.Error."""
    spaces = connection.execute(_SPACES.encode()).fetchall()
    settings = connection.execute(_SETTINGS, [list(SESSION_SETTINGS)]).fetchall()
    return {
        "tablespaces": [row[0] for row in spaces],
        "settings": dict(settings),
        "server_version": version_text(connection),
        "server_major": connection.info.server_version // 10000,
        "database": properties["name"],
        "database_bytes": size(connection),
        "locale": {key: properties[key] for key in database.LOCALE},
        "tablespace": properties["tablespace"],
        "extensions": properties["extensions"],
        "bootstrap_role": cluster["bootstrap"],
        "roles": [r["name"] for r in cluster["roles"]],
        OTHERS_CODE: foreign_code.read(connection),
    }


def version_text(connection: Connection) -> str:
    """Return `17.12`, without the packager's addition."""
    return (connection.info.parameter_status("server_version") or "").split(" ", 1)[0]


def size(connection: Connection) -> int:
    """Return the size in bytes of the connection's database."""
    query = "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())"
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def needed_roles(connection: Connection, cluster: roles.Globals) -> dict[str, Any]:
    """Return the roles of a server that the connection's database names: as owners, or in grants,
    policies or settings. drd does not restore the other roles: somebody may have removed them on
    purpose."""
    with as_stored(connection):
        rows = connection.execute(_NEEDED.encode()).fetchall()
    names = {row[0] for row in rows} | {cluster["bootstrap"]}
    return {
        **cluster,
        "roles": [r for r in cluster["roles"] if r["name"] in names],
        "memberships": [m for m in cluster["memberships"] if m["member"] in names],
        "parameters": [p for p in cluster["parameters"] if p["grantee"] in names],
        "everyone": [],
    }
