"""Check whether the backup user may read everything that a dump needs; if not, name the exact
GRANT.

pg_dump and a fingerprint read as this user: a table without SELECT ends the dump, row security
would hide rows, and role passwords are left out silently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import psycopg

from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.foreign_code import run_by_reading
from drd.kinds.postgres.server_text import as_spelled, shown
from drd.model.text import counted, some
from drd.ports import Finding

_SHOWN = 5

UNREADABLE = """
SELECT format('%I.%I', n.nspname, c.relname), c.relkind, format('%I', n.nspname),
       pg_catalog.pg_get_userbyid(CASE WHEN may.read THEN n.nspowner ELSE c.relowner END)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,
       LATERAL (SELECT pg_catalog.has_schema_privilege({reader}, n.oid, 'USAGE') AS find,
                CASE WHEN c.relkind = 'S'
                     THEN pg_catalog.has_sequence_privilege({reader}, c.oid, 'SELECT')
                     ELSE pg_catalog.has_table_privilege({reader}, c.oid, 'SELECT') END AS read) may
 WHERE c.relkind IN ('r', 'p', 'm', 'S') AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND (NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                       AND d.objid = c.oid AND d.deptype = 'e')
        OR EXISTS (SELECT 1 FROM pg_catalog.pg_extension e WHERE c.oid = ANY (e.extconfig)))
   AND NOT (may.find AND may.read)
 ORDER BY 1"""
"""What pg_dump reads and `reader` cannot: name, kind, schema, and the role that can give the right.

pg_dump does not read system or temporary schemas; of the tables of an extension, it reads only
those that the extension declared as configuration. It locks partitioned tables as well and asks
sequences for their value.
"""

_ROW_SECURITY = """
SELECT format('%I.%I', n.nspname, c.relname), c.relforcerowsecurity
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND pg_catalog.row_security_active(c.oid)
 ORDER BY 1"""

_LARGE_OBJECTS = """
SELECT l.oid, EXISTS (
       SELECT 1 FROM pg_catalog.aclexplode(l.lomacl) a
        WHERE a.privilege_type = 'SELECT'
          AND CASE WHEN a.grantee = 0 THEN true
                   ELSE pg_catalog.pg_has_role(a.grantee, 'USAGE') END)
  FROM pg_catalog.pg_largeobject_metadata l
 WHERE NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
   AND NOT pg_catalog.pg_has_role(l.lomowner, 'USAGE')
   AND pg_catalog.current_setting('lo_compat_privileges') = 'off'
 ORDER BY 1"""
"""The large objects that the user can read only by a grant on each, or cannot read."""

_SUPERUSER_ONLY = """
SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
       ARRAY(SELECT format('%I', subname) FROM pg_catalog.pg_subscription
              WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database
                                WHERE datname = pg_catalog.current_database()) ORDER BY 1),
       (SELECT count(*) FROM pg_catalog.pg_user_mappings
         WHERE umoptions IS NULL AND usename IS DISTINCT FROM current_user)"""

_GRANT_LARGE_OBJECTS = (
    "DO $$ DECLARE o oid; BEGIN FOR o IN SELECT oid FROM pg_largeobject_metadata LOOP "
    "EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO ROLE', o); END LOOP; END $$;"
)


_AS_OWNER = "run the script that `drd doctor PLAN --grants` prints, as the owner of the tables."


def examine(connection: Connection, name: str, role: str) -> list[Finding]:
    """Return a finding for each kind of right; `role` is the user that reads, `name` the component.
    An error would end the backup; a warning names what would silently be left out. A hint of SQL
    can be pasted whole: its other text is comments.
    """
    findings = []
    examinations: Sequence[tuple[str, Callable[[Connection, str], Finding]]] = (
        ("rights", _tables),
        ("row-security", _row_security),
        ("large-objects", _large_objects),
        ("role-passwords", _role_passwords),
        ("subscriptions", _superuser_only),
        ("code-of-others", _code_of_others),
        *((("standby", _standby),) if _in_recovery(connection) else ()),
    )
    for code, examine in examinations:
        try:
            finding = examine(connection, role)
        except psycopg.Error as error:
            finding = Finding(code, "error", "", str(error.diag.message_primary or error))
        findings.append(replace(finding, subject=name))
    return findings


def _in_recovery(connection: Connection) -> bool:
    return bool(_rows(connection, "SELECT pg_catalog.pg_is_in_recovery()")[0][0])


def _rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    with as_spelled(connection):
        return connection.execute(query.encode()).fetchall()


def _quoted(connection: Connection, name: str) -> str:
    row = connection.execute("SELECT pg_catalog.quote_ident(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def _few(names: Sequence[str]) -> str:
    return shown(some(names, _SHOWN))


def _tables(connection: Connection, role: str) -> Finding:
    rows = _rows(connection, UNREADABLE.format(reader="current_user"))
    if not rows:
        return Finding("rights", "ok", "", "every table and sequence can be read")
    user = _quoted(connection, role)
    if connection.info.server_version >= 140000:
        hint = f"GRANT pg_read_all_data TO {user}; -- If no role may give this: {_AS_OWNER}"
    else:
        schemas = dict.fromkeys(row[2] for row in rows)
        hint = " ".join(f"GRANT USAGE ON SCHEMA {schema} TO {user};" for schema in schemas)
        hint += "".join(
            f" GRANT SELECT ON {'SEQUENCE ' if kind == 'S' else ''}{table} TO {user};"
            for table, kind, *_ in rows
        )
    return Finding(
        "rights", "error", "", f"user {role} cannot read {_few([r[0] for r in rows])}", hint
    )


def _row_security(connection: Connection, role: str) -> Finding:
    rows = _rows(connection, _ROW_SECURITY)
    if not rows:
        return Finding("row-security", "ok", "", "no policy hides rows from this user")
    forced = [table for table, force in rows if force]
    hint = f"ALTER ROLE {_quoted(connection, role)} BYPASSRLS;"
    if forced:
        hint += f" -- also if this user owns the table: row security is forced on {_few(forced)}"
    tables = _few([table for table, _ in rows])
    return Finding(
        "row-security", "error", "", f"row security hides rows of {tables} from user {role}", hint
    )


def _large_objects(connection: Connection, role: str) -> Finding:
    rows = _rows(connection, _LARGE_OBJECTS)
    if not rows:
        return Finding("large-objects", "ok", "", "every large object can be read")
    user, database = _quoted(connection, role), _quoted(connection, connection.info.dbname)
    hint = (
        f"ALTER ROLE {user} IN DATABASE {database} SET lo_compat_privileges = on; "
        "-- as a superuser, once, also for later large objects"
    )
    oids = [str(oid) for oid, granted in rows if not granted]
    if not oids:
        text = (
            f"user {role} can read the existing large objects, but not new ones: as soon as there "
        )
        text += "is a new one, every backup is incomplete"
        return Finding("large-objects", "warning", "", text, hint)
    if len(oids) <= _SHOWN:
        once = f"GRANT SELECT ON LARGE OBJECT {', '.join(oids)} TO {user};"
    else:
        once = _GRANT_LARGE_OBJECTS.replace("ROLE", user)
    return Finding(
        "large-objects",
        "error",
        "",
        f"user {role} cannot read {counted(len(oids), 'large object')}: {_few(oids)}",
        f"{hint}. Or, as the owner of the large objects, and again after each new large "
        f"object: {once}",
    )


def can_read_passwords(connection: Connection) -> bool:
    row = connection.execute(
        "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')"
    ).fetchone()
    return bool(row and row[0])


def _role_passwords(connection: Connection, role: str) -> Finding:
    if can_read_passwords(connection):
        return Finding(
            "role-passwords", "ok", "", "the passwords of roles are saved with the roles"
        )
    return Finding(
        "role-passwords",
        "warning",
        "",
        f"user {role} cannot read pg_authid: roles are saved without their passwords",
        f"GRANT SELECT ON pg_catalog.pg_authid TO {_quoted(connection, role)};"
        f" -- in database {connection.info.dbname}",
    )


def _superuser_only(connection: Connection, role: str) -> Finding:
    """Warn of objects that pg_dump leaves out for anybody but a superuser, with exit 0."""
    ((superuser, subscriptions, hidden),) = _rows(connection, _SUPERUSER_ONLY)
    if superuser or not (subscriptions or hidden):
        return Finding("subscriptions", "ok", "", "no objects exist that only a superuser can dump")
    parts = []
    if subscriptions:
        parts.append(f"subscriptions {_few(subscriptions)}")
    if hidden:
        parts.append(f"options of {hidden} user mappings that this user cannot see")
    return Finding(
        "subscriptions",
        "warning",
        "",
        f"user {role} is not a superuser, so the backup lacks {' and '.join(parts)}",
        "back up as a superuser, or keep the definitions of these objects elsewhere.",
    )


def _code_of_others(connection: Connection, role: str) -> Finding:
    """Warn of code of other users that runs as drd's own superuser. Only another login helps: in a
    superuser's session, code can revert whatever drd sets.
    """
    code = run_by_reading(connection) if _is_superuser(connection, role) else []
    if not code:
        return Finding(
            "code-of-others", "ok", "", "no code of other users runs as a superuser when drd reads"
        )
    return Finding(
        "code-of-others",
        "warning",
        "",
        f"user {role} is a superuser, and drd's counts and queries at each backup may run code of "
        f"other users as this superuser: {', '.join(code)}",
        "CREATE ROLE drd_backup LOGIN; -- then write this user into dsn, and run drd doctor: it "
        "lists the rights that the user lacks. In the script of `drd doctor PLAN --grants`, leave "
        "out the statement that makes this user a superuser: recover in place with --no-owner, or "
        "give the plan a target",
    )


def _is_superuser(connection: Connection, login: str) -> bool:
    """Return whether the login or the current role is a superuser. A setting of the database may
    make the session begin as another role, which code can revert.
    """
    query = b"SELECT bool_or(rolsuper) FROM pg_catalog.pg_roles WHERE rolname IN (%s, current_user)"
    row = connection.execute(query, [login]).fetchone()
    return bool(row and row[0])


_OWNED = """
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND r.rolname = current_user AND NOT r.rolsuper
 ORDER BY 1"""


def login_of_application(connection: Connection, name: str, role: str) -> list[Finding]:
    """Warn about a role that owns tables. It is probably the login of the application, which would
    then get all rights that drd needs."""
    code = "login-of-application"
    tables = [row[0] for row in _rows(connection, _OWNED)]
    if not tables:
        return [Finding(code, "ok", name, f"user {role} does not own tables in this database")]
    return [
        Finding(
            code,
            "warning",
            name,
            f"user {role} owns {_few(tables)}, so this seems to be the login of the application: "
            "whoever breaks into the application would have all rights that drd gets",
            "CREATE ROLE drd_backup LOGIN; -- then write this user into dsn: `drd doctor PLAN "
            "--grants` prints a script that gives this user its rights",
        )
    ]


def _standby(connection: Connection, role: str) -> Finding:
    """Warn if the user may not see whether a standby is streaming. Its data then counts as old as
    its last transaction, however idle the primary is.
    """
    query = "SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')"
    if _rows(connection, query)[0][0]:
        return Finding("standby", "ok", "", "drd can see whether this standby is up to date")
    return Finding(
        "standby",
        "warning",
        "",
        f"user {role} cannot see whether this standby is up to date, so drd takes the time of the "
        "last replayed transaction as the time of its data",
        f"GRANT pg_read_all_stats TO {_quoted(connection, role)}; -- on the primary",
    )
