"""The users and roles that have rights in a database, or are definers of its code.

drd restores only their rights in this database. It names the rights on the whole server, which a
person has to grant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from drd.kinds.mariadb import roles
from drd.kinds.mariadb.connection import Connection, ServerError, code, words
from drd.kinds.mariadb.flavour import Flavour
from drd.kinds.mariadb.quoting import account, db_pattern, ident
from drd.kinds.mariadb.roles import parts_of
from drd.model.text import escaped, some

User = Mapping[str, Any]
"""`user`, `host` (empty for a role), `create` (a CREATE USER or CREATE ROLE statement), `grants`
(each with `rights`, `what`, `object`, `option`), `roles` (each [name, with admin option]), and
`server` (rights that concern more than this database); `default_role`, empty for none, and with
MySQL `default_roles`."""

_EVERYBODY = ("PUBLIC", "")
"""The role that every user has. Every server has this role already."""

_NOT_LOADED = 1524

_ON_ROUTINES = """
SELECT User, Host, Routine_type, Routine_name, Proc_priv FROM mysql.procs_priv WHERE Db = %s"""
_NAME = r"`((?:[^`]|``)+)`"
_GRANT = re.compile(
    rf"GRANT (.+) ON (?:(PROCEDURE|FUNCTION|PACKAGE|PACKAGE BODY) )?(?:(\*)|{_NAME})\."
    rf"(?:(\*)|{_NAME}) TO .+?( WITH GRANT OPTION)?",
    re.DOTALL,
)
_COLUMN = r"`(?:[^`]|``)+`"
_RIGHT = rf"[A-Z]+(?: [A-Z]+)*(?: \({_COLUMN}(?:, {_COLUMN})*\))?"
RIGHTS = re.compile(rf"{_RIGHT}(?:, {_RIGHT})*")
WHAT = ("", "PROCEDURE", "FUNCTION", "PACKAGE", "PACKAGE BODY")


def read(connection: Connection, database: str, definers: Iterable[str]) -> list[dict[str, Any]]:
    """Return the users and roles of the database, roles first. Raises ServerError."""
    flavour = connection.flavour
    every = {
        (name, host): _user(connection, name, host, database)
        for name, host in _everybody(connection)
        if name and name not in flavour.own_users
    }
    wanted = {key for key, user in every.items() if user["grants"]}
    wanted |= {key for key in every if f"{key[0]}@{key[1]}".rstrip("@") in set(definers)}
    has = {
        key: {roles.key_of(flavour, role) for role, _ in user["roles"]}
        for key, user in every.items()
    }
    while more := {role for key in wanted for role in has[key] if role in every} - wanted:
        wanted |= more
    wanted |= {key for key in every if has[key] & wanted}  # who gets the rights only by a role
    wanted |= {role for key in wanted for role in has[key] if role in every}
    return [user for key, user in every.items() if key in wanted]


def _user(connection: Connection, name: str, host: str, database: str) -> dict[str, Any]:
    who = _who(name, host)
    create = (
        f"CREATE ROLE {ident(name)}"
        if not host
        else roles.without_defaults(str(connection.value(f"SHOW CREATE USER {who}") or ""))
    )
    grants, server = [], []
    for (line,) in connection.rows(f"SHOW GRANTS FOR {who}"):
        grant = _grant(str(line), database)
        if isinstance(grant, dict):
            grants.append(grant)
        elif grant:
            server.append(grant)
    default = roles.as_saved(connection.flavour, roles.defaults(connection, name, host))
    return {
        "user": name, "host": host, "create": create, "grants": grants,
        "roles": roles.granted(connection, name, host), "server": server, **default,
    }  # fmt: skip


def _who(user: str, host: str) -> str:
    return "PUBLIC" if (user, host) == _EVERYBODY else account(user, host)


def _grant(line: str, database: str) -> dict[str, Any] | str:
    """Return the parts of a grant on the database, the rights (as text) of a grant on the whole
    server, or an empty text for every other line."""
    match = _GRANT.fullmatch(line)
    if match is None:
        return ""
    rights, what, _, db, all_objects, name, option = match.groups()
    if db is None:
        return "" if rights == "USAGE" else rights
    if all_objects and not _fits(db.replace("``", "`"), database):
        return ""
    if not all_objects and db.replace("``", "`") != database:
        return ""
    named = "" if all_objects else name.replace("``", "`")
    return {"rights": rights, "what": what or "", "object": named, "option": bool(option)}


def _fits(pattern: str, database: str) -> bool:
    """Return whether a pattern of GRANT (`shop\\_%`) covers the database."""
    expression = "".join(
        re.escape(part[1:])
        if part.startswith("\\") and len(part) > 1
        else {"%": ".*", "_": "."}.get(part, re.escape(part))
        for part in re.findall(r"\\.|.", pattern, re.DOTALL)
    )
    return re.fullmatch(expression, database, re.DOTALL) is not None


def create_missing(connection: Connection, saved: Iterable[User], *, own: bool) -> list[str]:
    """Create the missing users and roles, without any rights. Returns sentences about users and
    roles that exist already, and about those that the server refused. If the server is drd's `own`,
    it may lack the plugin for a login: then drd creates the user locked. Raises ServerError."""
    here = set(_everybody(connection))
    notes: list[str] = []
    existed = []
    for user in saved:
        key = (user["user"], user["host"])
        if key == _EVERYBODY:
            continue
        shown = escaped(account(*key))
        if key in here:
            existed.append(shown)
            continue
        refusal = _try(connection, user["create"], f"create {shown}", notes)
        if own and refusal == _NOT_LOADED:
            _try(connection, f"CREATE USER {account(*key)} ACCOUNT LOCK", f"create {shown}", notes)
    if existed:
        notes.append(
            f"these users and roles exist already, so drd did not change their logins: "
            f"{some(existed)}"
        )
    return notes


def grant_rights(connection: Connection, saved: Iterable[User], database: str) -> list[str]:
    """Grant each of the saved users the rights in the database. Returns sentences about what drd
    did not do. Raises ServerError."""
    here = set(_everybody(connection))
    notes: list[str] = []
    for user in saved:
        key = (user["user"], user["host"])
        if key not in here and key != _EVERYBODY:
            continue  # a note says why it could not be created
        who, shown = _who(*key), escaped(account(*key))
        for grant in user["grants"]:
            sql = _grant_sql(grant, database, who)
            _try(connection, sql, f"grant {shown} its rights in the database", notes)
        flavour = connection.flavour
        for role, admin in user["roles"]:
            if roles.key_of(flavour, role) not in here:
                continue
            option = " WITH ADMIN OPTION" if admin else ""
            sql = f"GRANT {roles.quoted(flavour, role)} TO {who}{option}"
            if _reaches_beyond(connection, role, database):
                notes.append(
                    f"drd did not grant {shown} the role {escaped(role)}, because on this server "
                    f"this role has rights outside this database. If {shown} should have these "
                    f"rights, run as an administrator: {escaped(sql)}"
                )
            else:
                _try(connection, sql, f"grant {shown} the role {escaped(role)}", notes)
        if default := roles.saved_defaults(user):
            sql = roles.set_defaults(flavour, default, who)
            named = escaped(", ".join(default))
            _try(connection, sql, f"give {shown} its default role {named}", notes)
    return notes


def differences(connection: Connection, saved: Iterable[User], database: str) -> list[str]:
    """Return sentences about users that are missing, or have fewer rights than at the backup.
    Raises ServerError."""
    here = set(_everybody(connection))
    sentences = []
    for user in saved:
        key = (user["user"], user["host"])
        shown = escaped(account(*key))
        if key not in here:
            sentences.append(f"user or role {shown} is missing")
            continue
        now = _user(connection, *key, database)
        fewer = {role for role, _ in user["roles"]} - {role for role, _ in now["roles"]}
        lost = [*_lost(user["grants"], now["grants"]), *(f"role {ident(r)}" for r in sorted(fewer))]
        default = roles.saved_defaults(user)
        if sorted(default) != sorted(roles.saved_defaults(now)):
            lost.append(f"default role {', '.join(default) or 'none'}")
        if lost:
            named = some([escaped(what) for what in lost])
            sentences.append(f"{shown} does not have what it had at backup: {named}")
    return sentences


def _lost(saved: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the rights of `saved` that are not in `now`."""
    there = _single(now)
    return [
        f"{right} on {name or 'the database'}"
        for (what, name, right) in _single(saved)
        if (what, name, right) not in there and (what, name, "ALL PRIVILEGES") not in there
    ]


def _single(grants: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], None]:
    """Return each single right as (what, object, right), in order. A right on columns becomes one
    for each column."""
    statements: dict[tuple[str, str, str], None] = {}
    for grant in grants:
        where = (grant["what"], grant["object"])
        for one in re.findall(_RIGHT, grant["rights"]):
            right, _, columns = one.partition(" (")
            each = [f"{right} ({c})" for c in re.findall(_COLUMN, columns)] or [right]
            statements.update({(*where, name): None for name in each if name != "USAGE"})
        if grant["option"]:
            statements[(*where, "GRANT OPTION")] = None
    return statements


def _reaches_beyond(connection: Connection, role: str, database: str) -> bool:
    """Return whether a role has rights outside the database, by itself or by other roles."""
    waiting, seen = [role], {role}
    while waiting:
        one = waiting.pop()
        user, host = roles.key_of(connection.flavour, one)
        shown = connection.rows(f"SHOW GRANTS FOR {account(user, host)}")
        lines = [str(line) for (line,) in shown]
        if any(_is_beyond(line, database) for line in lines):
            return True
        more = {role for role, _ in roles.granted(connection, user, host)} - seen
        seen |= more
        waiting += more
    return False


def _is_beyond(line: str, database: str) -> bool:
    match = _GRANT.fullmatch(line)
    if match is None:
        return False  # a role, which is looked at by itself
    rights, _, _, db, _, _, _ = match.groups()
    if db is None:
        return rights != "USAGE"
    return f"`{db}`" not in (ident(database), db_pattern(database))


def held(connection: Connection, database: str) -> set[str]:
    """Return the rights of this session's login on the whole database, including rights from its
    roles. Raises ServerError."""
    on_server: set[str] = set()
    by_name: dict[bool, set[str]] = {True: set(), False: set()}
    for (line,) in connection.rows(_own_grants(connection)):
        match = _GRANT.fullmatch(str(line))
        if match is None:
            continue
        rights, _, every, db, all_objects, _, _ = match.groups()
        if every:
            on_server |= set(re.split(", ?", rights))  # MySQL's newer rights are without spaces
        elif all_objects and _fits(db.replace("``", "`"), database):
            named = f"`{db}`" in (ident(database), db_pattern(database))
            by_name[named] |= set(rights.split(", "))
    # The server uses the rights of the name, if there are some, and not those of a pattern as well.
    return on_server | (by_name[True] or by_name[False])


def _own_grants(connection: Connection) -> str:
    """Return the statement that shows the rights of this login, with those of its roles."""
    if not connection.flavour.roles_have_hosts:
        return "SHOW GRANTS"
    active = str(connection.value("SELECT CURRENT_ROLE()") or "NONE")
    return "SHOW GRANTS" if active == "NONE" else f"SHOW GRANTS FOR CURRENT_USER() USING {active}"


def missing_definers(
    connection: Connection, definers: Iterable[str], database: str, *, own: bool
) -> list[str]:
    """Return a sentence about definers that do not exist on this server: their code does not work.
    On a server that is drd's `own`, create the definers with all rights in the database: users such
    as root belong to each server, and no backup contains them. Raises ServerError."""
    here = set(_everybody(connection))
    missing = [d for d in definers if d and parts_of(d) not in here]
    if not own:
        names = some([escaped(d) for d in missing])
        text = (
            f"code does not work on this server, because its definer does not exist here: {names}"
        )
        return [text] if missing else []
    for definer in missing:
        user, host = parts_of(definer)
        who = account(user, host)
        if host:
            connection.execute(f"CREATE USER {who} ACCOUNT LOCK")
        else:
            connection.execute(f"CREATE ROLE {who}")
        connection.execute(f"GRANT ALL PRIVILEGES ON {db_pattern(database)}.* TO {who}")
    return []


def rights_on_routines(connection: Connection, database: str) -> list[list[str]]:
    """Return user, host, type, name and rights for each grant on a procedure or function: the
    server forgets the grant when the procedure or function is dropped. Raises ServerError."""
    return [[str(value) for value in row] for row in connection.rows(_ON_ROUTINES, [database])]


def give_rights_on_routines(
    connection: Connection, database: str, rights: Iterable[Sequence[str]]
) -> None:
    """Grant what `rights_on_routines` has returned. Raises ServerError."""
    here = set(_everybody(connection))
    for user, host, kind, name, held in rights:
        if (user, host) in here:
            each = [right for right in held.upper().split(",") if right not in ("", "GRANT")]
            grant = {
                "rights": ", ".join(each) or "USAGE",
                "what": kind,
                "object": name,
                "option": "GRANT" in held.upper().split(","),
            }
            connection.execute(_grant_sql(grant, database, account(user, host)))


def _everybody(connection: Connection) -> list[tuple[str, str]]:
    """Return user and host of all users and roles of the server. A role of MariaDB has no host."""
    rows = connection.rows(connection.flavour.everybody)
    return [(str(u), "" if r == "Y" else str(h)) for u, h, r in rows]


def _grant_sql(grant: Mapping[str, Any], database: str, who: str) -> str:
    place = f"{ident(database)}.{ident(grant['object'])}" if grant["object"] else (
        f"{db_pattern(database)}.*")  # fmt: skip
    what = f"{grant['what']} " if grant["what"] else ""
    option = " WITH GRANT OPTION" if grant["option"] else ""
    return f"GRANT {grant['rights']} ON {what}{place} TO {who}{option}"


def _try(connection: Connection, statement: str, what: str, notes: list[str]) -> int:
    """Run the statement; a failure becomes a sentence in `notes`. Returns the number of the
    server's error, 0 if there is none."""
    try:
        connection.execute(statement)
    except ServerError as error:
        notes.append(f"drd could not {what}: {words(error)}")
        return code(error)
    return 0


def not_granted(saved: Iterable[User]) -> list[str]:
    """Return a text for each user who has rights on the whole server: drd does not grant these."""
    return [
        f"rights of {escaped(account(u['user'], u['host']))} on the whole server "
        f"({escaped(', '.join(u['server']))[:200]})"
        for u in saved
        if u["server"]
    ]


def script(saved: Iterable[User], database: str, flavour: Flavour) -> str:
    """Return the SQL that makes the users again, for a recovery by hand."""
    users = list(saved)
    lines = []
    for user in users:
        if (user["user"], user["host"]) == _EVERYBODY:
            continue
        head, _, rest = user["create"].partition(" ")
        what, _, end = rest.partition(" ")
        lines.append(f"{head} {what} IF NOT EXISTS {end}")
    for user in users:
        who = _who(user["user"], user["host"])
        lines += [_grant_sql(grant, database, who) for grant in user["grants"]]
        for role, admin in user["roles"]:
            option = " WITH ADMIN OPTION" if admin else ""
            lines.append(f"GRANT {roles.quoted(flavour, role)} TO {who}{option}")
        if default := roles.saved_defaults(user):
            lines.append(roles.set_defaults(flavour, default, who))
    return "".join(f"{line};\n" for line in lines)
