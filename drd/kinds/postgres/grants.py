"""Write the rights that roles need for backups, drills and recoveries, as one script for psql."""

from __future__ import annotations

import pwd
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote, split

from psycopg.conninfo import make_conninfo

from drd.errors import NotSupported, SourceError
from drd.kinds.postgres.address import Address, address_of
from drd.kinds.postgres.dsn import LOOPBACK
from drd.kinds.postgres.grants_sql import (
    END,
    IF_THERE,
    LOGIN_CHECK,
    LOOK,
    NO_DATABASE,
    READ,
    READ_EACH,
    ROLE,
    SUPERUSER,
    TRY,
)
from drd.kinds.postgres.quoting import ident, literal
from drd.kinds.postgres.rights import UNREADABLE
from drd.kinds.postgres.settings import PostgresSettings, PostgresTarget
from drd.model.plan import Component
from drd.ports.grants import Grants, Logins
from drd.process import container_of

_OWN_LOGIN = """\
-- Use a separate role for drd in each dsn, never the login of the application: whoever breaks into
-- the application would get the rights of this role. If a role owns tables, this script treats the
-- role as the login of an application: the role does not become a superuser, and a warning says so.
"""

_SOCKETS = Path("/proc/net/unix")
_USUAL = Path("/var/run/postgresql")
"""Where psql searches a socket by default."""

_SERVER = ("host", "hostaddr", "port", "sslmode", "sslrootcert")


@dataclass(slots=True)
class Role:
    """A role that a script creates. `uses` lists what drd needs the role for. With `recovers`, the
    role must be a superuser; with `optional`, the script only proposes to make it a superuser."""

    uses: dict[str, None] = field(default_factory=dict)
    recovers: bool = False
    optional: bool = False
    password: bool = False


@dataclass(slots=True)
class Server:
    """A server on which a script creates roles."""

    where: Mapping[str, str]
    inside: str = ""
    enter: str = ""
    """The container of the server, and the words that start a program in it."""
    roles: dict[str, Role] = field(default_factory=dict)
    databases: dict[tuple[str, str], str] = field(default_factory=dict)
    """The component, by the database and the role that reads it."""

    def role(self, name: str, use: str, address: Address) -> Role:
        role = self.roles.setdefault(name, Role())
        role.uses[use] = None
        role.password |= bool(address.password)
        return role


def grants(
    components: Sequence[Component], targets: Mapping[str, Sequence[object]], logins: Logins
) -> Grants:
    servers: dict[tuple[str, ...], Server] = {}
    for component in components:
        assert isinstance(component.settings, PostgresSettings)
        placed = targets.get(component.name, ())
        address = address_of(component.settings.dsn, container_of(component.settings))
        server = server_of(servers, address)
        reader = address.params.get("user") or logins.service
        server.role(reader, "backups and drills", address)
        server.databases[address.dbname or reader, reader] = component.name
        person = address.params.get("user") or logins.person
        role = server.role(person, "recoveries in place", address)
        role.recovers |= not placed or person != reader
        role.optional |= not role.recovers
        for target in placed:
            assert isinstance(target, PostgresTarget)
            there = address_of(target.dsn, container_of(target))
            name = there.params.get("user") or logins.person
            role = server_of(servers, there).role(name, "recoveries to a target", there)
            role.recovers = True
    many = list(servers.values())
    _require_reachable(many)
    parts = [part for server in many for part in _of_server(server, alone=len(many) == 1)]
    text = "\n".join([_OWN_LOGIN, r"\set drd_is_incomplete false", *parts, END])
    return for_psql(program(many[0].where, many[0].enter), text, tuple(_lacks(many)))


def _require_reachable(servers: Sequence[Server]) -> None:
    """Raise NotSupported for several servers of which one is in a container: psql, which runs the
    script, would have to be in several places."""
    places = [server.inside for server in servers if server.inside]
    if places and len(servers) > 1:
        raise NotSupported(
            f"one script cannot reach several PostgreSQL servers if one is in a container "
            f"({places[0]})",
            hint="write a plan for the components of each server, or give the rights by hand "
            "(docs/containers.md).",
        )


_MANAGED = (
    "A managed server has no superuser: run this script as the administrator that the",
    "provider gives you (psql -U NAME). Warnings say which rights this administrator cannot",
    "give, and what to do instead.",
)


def for_psql(program: str, sql: str, lacks: tuple[str, ...] = ()) -> Grants:
    """Return a script that stops at the first error."""
    begins = r"\set ON_ERROR_STOP on"
    return Grants(program, sql, lacks, reader="psql", begins=begins, about=_MANAGED)


def _lacks(servers: Iterable[Server]) -> Iterator[str]:
    for server in servers:
        for name, role in server.roles.items():
            if role.optional and not role.recovers:
                yield f"Recoveries in place need more: role {ident(name)} must be a superuser. The"
                yield "statement for this stands below as a comment: remove its -- to allow them."


def server_of(servers: dict[tuple[str, ...], Server], address: Address) -> Server:
    """Return the server of an address; add it to `servers` if it is missing there. Raises
    SourceError."""
    for key in (*_SERVER, "user", "dbname"):
        if set(address.params.get(key, "")) & set("\n\r"):
            raise SourceError(
                f"the {key} in a dsn contains a line end, and psql does not accept such a name",
                hint="use a name without a line end.",
            )
    where = _where(address)
    inside = "" if address.inside is None else str(address.inside)
    server = (*(where.get(word, "") for word in ("host", "hostaddr", "port")), inside)
    enter = f"{address.inside.engine} exec -i {address.inside.name} " if address.inside else ""
    return servers.setdefault(server, Server(where, inside=inside, enter=enter))


def _where(address: Address) -> dict[str, str]:
    """Return how the server's own superuser reaches it: from this host through its socket."""
    if address.inside is not None or address.params.get("host") not in LOOPBACK:
        return {word: address.params[word] for word in _SERVER if word in address.params}
    port = address.params.get("port", "")
    directory = _socket_directory(port or "5432")
    return {word: value for word, value in (("host", directory), ("port", port)) if value}


def _socket_directory(port: str) -> str:
    """Return where a server of this host has its socket; empty where psql looks anyway, and if
    there is none of a user that is no stranger."""
    name = f".s.PGSQL.{port}"
    try:
        trusted = _trusted()
        lines = _SOCKETS.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, KeyError):
        return ""
    places = [Path(f"/{line.partition(' /')[2]}") for line in lines if line.endswith(f"/{name}")]
    own = [place.parent for place in places if _belongs_to(place, trusted)]
    usual = any(directory.resolve() == _USUAL.resolve() for directory in own)
    return "" if usual or not own else str(own[0])


def _trusted() -> set[int]:
    return {0, pwd.getpwnam("postgres").pw_uid}


def _belongs_to(place: Path, trusted: Collection[int]) -> bool:
    try:
        info = place.lstat()
    except OSError:
        return False
    return stat.S_ISSOCK(info.st_mode) and info.st_uid in trusted and str(place).isprintable()


def _of_server(server: Server, *, alone: bool) -> Iterator[str]:
    """Return the parts of one server. The only one of a script is the one that psql is connected
    to: so the script runs at another one as well, such as the primary of a standby."""
    where = server.where
    port = f", port {where['port']}" if "port" in where else ""
    to = {} if alone else where
    yield (
        f"-- The server {where.get('host', 'on this host')}{port}\n"
        + connected(to, "postgres")
        + LOOK
    )
    yield TRY
    for name, role in server.roles.items():
        yield f"-- Role {name}: {', '.join(role.uses)}\n" + "".join(_of_role(name, role))
    for (database, reader), component in server.databases.items():
        yield (
            f"-- Component {component}: role {reader} reads database {database}\n"
            + filled(IF_THERE, database)
            + connected(to, database)
            + TRY
            + filled(READ, reader)
            + filled(READ_EACH, reader)
            + "\\else\n"
            + filled(NO_DATABASE, database)
            + "\\endif\n"
        )
    yield "\\endif\n"


def _of_role(name: str, role: Role) -> Iterator[str]:
    yield filled(ROLE, name)
    if role.password:
        yield filled(LOGIN_CHECK, name)
    if role.recovers:
        yield (
            "-- Only a superuser can make roles and give all restored objects to their "
            "owners.\n-- To avoid a superuser, leave out the next statement and recover with "
            "--no-owner: then\n-- drd does not create roles, and all restored objects belong "
            "to this role.\n"
        )
        yield filled(SUPERUSER, name)
    elif role.optional:
        yield (
            "-- These rights are enough for a recovery to a target. For a recovery in place, "
            "run this too,\n-- because only a superuser can make roles and give all objects to "
            f"their owners:\n-- ALTER ROLE {ident(name)} SUPERUSER;\n"
        )


def connected(where: Mapping[str, str], database: str) -> str:
    conninfo = make_conninfo("", **where, dbname=database)
    # Whatever the database's settings are: no object of others is found before the server's own.
    return (
        f"\\connect -reuse-previous=on {ident(conninfo)}\n"
        "SET search_path = pg_catalog; SET client_min_messages = warning;\n"
    )


def filled(template: str, role: str) -> str:
    tag = "drd"
    while f"${tag}$" in role:
        tag += "_"
    names = {"tag": f"${tag}$", "role": ident(role), "literal": literal(role)}
    unreadable = UNREADABLE.format(reader="reader")
    return template.format(**names, hint=ident(role).replace("'", "''"), unreadable=unreadable)


def program(where: Mapping[str, str], enter: str = "") -> str:
    host, port = where.get("host", ""), where.get("port", "")
    words = ["psql", "-X", "-q", *_option("-h", host), *_option("-p", port), "-d", "postgres"]
    if enter:  # as the superuser of the official images
        return enter + " ".join(map(quote, [*words, "-U", "postgres", "-f", "-"]))
    local = not host or host.startswith(("/", "@"))
    words += [] if local else ["-U", "postgres"]
    command = " ".join(map(quote, [*words, "-f", "-"]))
    return f"su postgres -c {_single(command)}" if local else command


def _option(name: str, value: str) -> Iterable[str]:
    return [name, value] if value else []


def _single(command: str) -> str:
    return f"'{command}'" if "'" not in command and split(command) else quote(command)
