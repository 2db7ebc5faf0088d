"""Roles and other objects of the whole cluster: read them at backup, and make missing ones again.

Existing roles are never altered: replayed globals would overwrite passwords that are in use. The
one exception is a cluster that drd made itself for a sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.quoting import grantee, ident, literal, named, set_clause
from drd.kinds.postgres.rights import can_read_passwords
from drd.kinds.postgres.server_text import as_stored

Globals = Mapping[str, Any]

_ATTRIBUTES = {
    "superuser": "SUPERUSER",
    "inherit": "INHERIT",
    "createrole": "CREATEROLE",
    "createdb": "CREATEDB",
    "login": "LOGIN",
    "replication": "REPLICATION",
    "bypassrls": "BYPASSRLS",
}

# Predefined roles (pg_…) are the server's own; memberships in them are ours to keep.
_ROLES = """
SELECT r.rolname AS name, r.rolsuper AS superuser, r.rolinherit AS inherit,
       r.rolcreaterole AS createrole, r.rolcreatedb AS createdb, r.rolcanlogin AS login,
       r.rolreplication AS replication, r.rolbypassrls AS bypassrls,
       r.rolconnlimit AS connection_limit, r.rolvaliduntil::text AS valid_until,
       {password} AS password,
       coalesce(pg_catalog.shobj_description(r.oid, 'pg_authid'), '') AS comment,
       ARRAY(SELECT c FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c
              WHERE s.setrole = r.oid AND s.setdatabase = 0) AS settings
  FROM {roles} r WHERE r.rolname !~ '^pg_' ORDER BY 1"""

_MEMBERSHIPS = """
SELECT g.rolname AS role, m.rolname AS member, a.admin_option AS admin,
       {inherit} AS inherit, {set} AS set, coalesce(o.rolname, '') AS grantor
  FROM pg_catalog.pg_auth_members a
  JOIN pg_catalog.pg_roles g ON g.oid = a.roleid
  JOIN pg_catalog.pg_roles m ON m.oid = a.member
  LEFT JOIN pg_catalog.pg_roles o ON o.oid = a.grantor
 WHERE m.rolname !~ '^pg_' ORDER BY 1, 2, 6"""

# The first superuser (10) stands in every list, and may do it anyway.
_PARAMETERS = """
SELECT p.parname AS parameter,
       CASE a.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END AS grantee,
       a.privilege_type AS privilege, a.is_grantable AS grantable
  FROM pg_catalog.pg_parameter_acl p, pg_catalog.aclexplode(p.paracl) a
 WHERE a.grantee <> 10 ORDER BY 1, 2, 3"""

_EVERYONE = """
SELECT c AS setting FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c
 WHERE s.setrole = 0 AND s.setdatabase = 0 ORDER BY 1"""

_TABLESPACES = """
SELECT spcname AS name, pg_catalog.pg_get_userbyid(spcowner) AS owner,
       pg_catalog.pg_tablespace_location(oid) AS location
  FROM pg_catalog.pg_tablespace WHERE spcname !~ '^pg_' ORDER BY 1"""


def read(connection: Connection) -> dict[str, Any]:
    """Read everything that belongs to the cluster, as JSON. A role's `password` is its verifier;
    None if it has none, or if `passwords` is false, because the backup user may not read them.
    `everyone` are the settings of ALTER ROLE ALL; if the grantee of a parameter is PUBLIC, its name
    is empty.
    """
    version = connection.info.server_version
    passwords = can_read_passwords(connection)
    roles = _ROLES.format(
        password="r.rolpassword" if passwords else "NULL",
        roles="pg_catalog.pg_authid" if passwords else "pg_catalog.pg_roles",
    )
    new = version >= 160000
    memberships = _MEMBERSHIPS.format(
        inherit="a.inherit_option" if new else "NULL::boolean",
        set="a.set_option" if new else "NULL::boolean",
    )
    with as_stored(connection):
        return {
            "version": version,
            "passwords": passwords,
            "bootstrap": bootstrap_role(connection),
            "roles": _dicts(connection, roles),
            "memberships": _dicts(connection, memberships),
            "parameters": _dicts(connection, _PARAMETERS) if version >= 150000 else [],
            "everyone": [row["setting"] for row in _dicts(connection, _EVERYONE)],
            "tablespaces": _dicts(connection, _TABLESPACES),
        }


def bootstrap_role(connection: Connection) -> str:
    """Return the superuser that initdb made; its oid is fixed."""
    row = connection.execute("SELECT pg_catalog.pg_get_userbyid(10)").fetchone()
    assert row is not None
    return str(row[0])


def _dicts(connection: Connection, query: str) -> list[dict[str, Any]]:
    cursor = connection.execute(query.encode())
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of the globals. If it fails and is `required`, the restore ends; otherwise a note
    says that `subject` could not be set.
    """

    sql: str
    subject: str
    required: bool = False


def statements(
    saved: Globals, *, existing: Sequence[str], version: int, whole: bool
) -> Iterator[Statement]:
    """Return the statements that make the missing roles as saved, in an order that works. A
    membership is made if either role was missing. Settings for all roles are only for a cluster
    that nobody else uses (`whole`).
    """
    missing = [r for r in saved["roles"] if r["name"] not in existing]
    names = {r["name"] for r in missing}
    for role in missing:
        yield Statement(_create(role), f"role {named(role['name'])}", required=True)
    for role in missing:
        yield from _details(role)
    for entry in in_order(saved["memberships"], saved["bootstrap"]):
        if names & {entry["role"], entry["member"]}:
            subject = f"membership of {named(entry['member'])} in {named(entry['role'])}"
            yield Statement(_grant(entry, saved["bootstrap"], version), subject)
    if version >= 150000:
        for entry in saved["parameters"]:
            if whole or entry["grantee"] in names:
                yield Statement(*_parameter(entry))
    for setting in saved.get("everyone", ()) if whole else ():
        yield Statement(*_for_everyone(setting))


def _details(role: Mapping[str, Any]) -> Iterator[Statement]:
    for setting in role["settings"]:
        yield Statement(
            f"ALTER ROLE {ident(role['name'])} {set_clause(setting)}",
            f"setting {setting.partition('=')[0]} of role {named(role['name'])}",
        )
    if role["comment"]:
        yield Statement(
            f"COMMENT ON ROLE {ident(role['name'])} IS {literal(role['comment'])}",
            f"the comment of role {named(role['name'])}",
        )


def _for_everyone(setting: str) -> tuple[str, str]:
    return f"ALTER ROLE ALL {set_clause(setting)}", f"setting {setting} of every role"


def _create(role: Mapping[str, Any], verb: str = "CREATE") -> str:
    words = [key if role[name] else f"NO{key}" for name, key in _ATTRIBUTES.items()]
    if role["connection_limit"] != -1:
        words.append(f"CONNECTION LIMIT {role['connection_limit']}")
    if role["password"] is not None:
        words.append(f"PASSWORD {literal(role['password'])}")
    if role["valid_until"] is not None:
        words.append(f"VALID UNTIL {literal(role['valid_until'])}")
    return f"{verb} ROLE {ident(role['name'])} WITH {' '.join(words)}"


def alter_sql(role: Mapping[str, Any]) -> list[str]:
    """Return the SQL that makes the initial role of drd's own cluster as saved, except for what
    could lock out drd's own sessions: its right to log in, and its settings.
    """
    comment = literal(role["comment"]) if role["comment"] else "NULL"
    return [
        _create({**role, "login": True, "superuser": True}, "ALTER"),
        f"COMMENT ON ROLE {ident(role['name'])} IS {comment}",
    ]


def in_order(memberships: Sequence[Mapping[str, Any]], bootstrap: str) -> list[Mapping[str, Any]]:
    """Sort grants, so that each grantor has the right before granting it; grants for which this is
    impossible come last.
    """
    left, ordered = list(memberships), []
    may: set[tuple[str, str]] = set()
    while left:
        ready = [m for m in left if m["grantor"] in (bootstrap, "")]
        ready += [m for m in left if m not in ready and (m["grantor"], m["role"]) in may]
        ordered += ready or left
        may |= {(m["member"], m["role"]) for m in ready if m["admin"]}
        left = [m for m in left if m not in ordered]
    return ordered


def _grant(entry: Mapping[str, Any], bootstrap: str, version: int) -> str:
    grant = f"GRANT {ident(entry['role'])} TO {ident(entry['member'])}"
    if version < 160000:
        option = " WITH ADMIN OPTION" if entry["admin"] else ""
    else:
        words = [f"ADMIN {str(entry['admin']).upper()}"]
        words += [
            f"{key.upper()} {str(entry[key]).upper()}"
            for key in ("inherit", "set")
            if entry[key] is not None
        ]
        option = f" WITH {', '.join(words)}"
    by = entry["grantor"]
    return grant + option + ("" if by in (bootstrap, "") else f" GRANTED BY {ident(by)}")


def _parameter(entry: Mapping[str, Any]) -> tuple[str, str]:
    option = " WITH GRANT OPTION" if entry["grantable"] else ""
    grant = f"GRANT {entry['privilege']} ON PARAMETER {ident(entry['parameter'])}"
    return (
        f"{grant} TO {grantee(entry['grantee'])}{option}",
        f"the right of {entry['grantee'] or 'PUBLIC'} to set {entry['parameter']}",
    )


def script(saved: Globals) -> str:
    """Return the SQL that makes the roles in an empty cluster, for a recovery by hand with psql.
    The bootstrap superuser is left out, since every cluster has one.
    """
    bootstrap, version = saved["bootstrap"], saved["version"]
    made = statements(saved, existing=[bootstrap], version=version, whole=True)
    lines = [f"{s.sql};\n" for s in made]
    for space in saved["tablespaces"]:
        location = literal(space["location"])
        owner = ident(space["owner"])
        create = f"CREATE TABLESPACE {ident(space['name'])} OWNER {owner} LOCATION {location};"
        lines.append(f"-- if its directory exists: {create}\n")
    return "".join(lines)


def differences(saved: Globals, now: Globals, *, existed: Sequence[str]) -> list[str]:
    """Return sentences about existing roles that differ from the saved ones, and about what would
    affect other databases as well.
    """
    here = {r["name"]: r for r in now["roles"]}
    sentences = []
    for role in saved["roles"]:
        if role["name"] in existed and role["name"] in here:
            words = _attribute_differences(role, here[role["name"]], saved, now)
            if words:
                sentences.append(
                    f"role {named(role['name'])} existed already, and drd did not change it; at "
                    f"backup it had {words}"
                )
    member = {(m["role"], m["member"]) for m in now["memberships"]}
    sentences += [
        f"role {named(entry['member'])} is not a member of {named(entry['role'])}, but was at "
        "backup"
        for entry in saved["memberships"]
        if (entry["role"], entry["member"]) not in member
    ]
    missing = [_for_everyone(s) for s in saved.get("everyone", ()) if s not in now["everyone"]]
    if now["version"] >= 150000:
        missing += [_parameter(p) for p in saved["parameters"] if p not in now["parameters"]]
    return sentences + [
        f"{subject} existed at backup and is missing on this server: {sql};"
        for sql, subject in missing
    ]


def _attribute_differences(
    role: Mapping[str, Any], here: Mapping[str, Any], saved: Globals, now: Globals
) -> str:
    words = [
        key if role[name] else f"NO{key}"
        for name, key in _ATTRIBUTES.items()
        if role[name] != here[name]
    ]
    if role["connection_limit"] != here["connection_limit"]:
        words.append(f"CONNECTION LIMIT {role['connection_limit']}")
    if role["valid_until"] != here["valid_until"]:
        words.append(f"VALID UNTIL {role['valid_until'] or 'infinity'}")
    if saved["passwords"] and now["passwords"] and role["password"] != here["password"]:
        words.append("another password" if role["password"] else "no password")
    if sorted(role["settings"]) != sorted(here["settings"]):
        words.append(f"settings {', '.join(sorted(role['settings'])) or 'none'}")
    return ", ".join(words)
