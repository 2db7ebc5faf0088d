"""Write the rights that users need for backups, drills and recoveries, as one script of SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import join
from typing import NamedTuple

from drd import secrets
from drd.errors import SourceError
from drd.kinds.mariadb import dsn
from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.flavour import MARIADB, Flavour, ways_in
from drd.kinds.mariadb.greeting import product_at, system_user
from drd.kinds.mariadb.quoting import account, db_pattern
from drd.kinds.mariadb.rights import NEEDED
from drd.kinds.mariadb.settings import MariadbSettings, MariadbTarget
from drd.model.plan import Component, SecretRef
from drd.ports.grants import Grants, Logins
from drd.process import Container, container_of

_HEAD = """\
-- Use a separate user for drd in each dsn, never the user of the application: whoever breaks into
-- the application would get the rights of this user.
-- The script changes no password: it creates missing users, and gives rights.
"""
_MANAGED = (
    "A managed server has no root: run this script as the administrator that the provider",
    "gives you (mariadb --user=NAME --password).",
)
_WITH_PASSWORD = (
    "If root has a password there, which the image has in a variable of the container, run:",
    "PROGRAM",
)


@dataclass(slots=True)
class User:
    """`reads`: each database that backups read, with its component; `writes`: each database that a
    recovery replaces, with its component; `in_place`: each database that only a recovery in place
    replaces; `password`: whether the dsn has one. Without it, the system users `systems` log in
    through the socket. `flavour` is the product of the server."""

    name: str
    host: str
    password: bool = False
    flavour: Flavour = MARIADB
    reads: dict[str, str] = field(default_factory=dict)
    writes: dict[str, str] = field(default_factory=dict)
    in_place: dict[str, str] = field(default_factory=dict)
    systems: dict[str, None] = field(default_factory=dict)

    def let_in(self, system: str, inside: Container | None) -> None:
        """Add a system user of this host that logs in; in a container, the one that it is there."""
        if inside is None or not self.password:
            self.systems[system if inside is None else system_user(inside)] = None


class Server(NamedTuple):
    """Where a server is: its host (empty: this host, or the container itself), and its port or
    socket, both as seen in the container `inside`."""

    host: str = ""
    port: int | str = dsn.SOCKET
    inside: Container | None = None

    def __str__(self) -> str:
        where = f" in the {self.inside}" if self.inside is not None else ""
        if self.host:
            return f"{self.host}, port {self.port}{where}"
        return f"at {self.port}{where or ' on this host'}"


Servers = dict[Server, dict[str, User]]


def grants(
    components: Sequence[Component], targets: Mapping[str, Sequence[object]], logins: Logins
) -> Grants:
    servers: Servers = {}
    for component in components:
        assert isinstance(component.settings, MariadbSettings)
        parts = address_parts(component.settings.dsn)
        inside = container_of(component.settings)
        placed = targets.get(component.name, ())
        reader = user_at(servers, parts, parts.user or logins.service, inside)
        reader.reads[parts.database] = component.name
        reader.let_in(logins.service, inside)
        for target in placed:
            assert isinstance(target, MariadbTarget)
            there, within = address_parts(target.dsn), container_of(target)
            user = user_at(servers, there, there.user or logins.person, within)
            user.writes[there.database] = component.name
            user.let_in(logins.person, within)
        user = user_at(servers, parts, parts.user or logins.person, inside)
        asked = placed and user is reader
        (user.in_place if asked else user.writes)[parts.database] = component.name
        user.let_in(logins.person, inside)
    return script(servers, _of_user)


def script(
    servers: Servers,
    of_user: Callable[[User], Iterator[str]],
    what: str = "Recoveries in place need",
) -> Grants:
    """Return the script for all servers; `of_user` gives the lines of a user. `what` begins the
    sentence about the rights that stand in it as comments."""
    first = next(iter(servers), Server())
    parts = [line for where, users in servers.items() for line in _of_server(where, users, of_user)]
    several = (
        ["-- SEVERAL SERVERS: run each part only on the server that its first line names.", ""]
        if len(servers) > 1
        else []
    )
    text = "\n".join([_HEAD, *several, *parts, ""])
    product = next((u.flavour for users in servers.values() for u in users.values()), MARIADB)
    program = _program(product, first)
    managed = _MANAGED if first.inside is None else _WITH_PASSWORD
    about = tuple(
        line.replace("(mariadb ", f"({product.client} ").replace("PROGRAM", _inside(product, first))
        for line in managed
    )
    return Grants(program, text, tuple(_lacks(servers, what)), reader=product.client, about=about)


def address_parts(ref: SecretRef) -> dsn.Parts:
    try:
        return dsn.parse(secrets.resolve(ref))
    except ValueError as error:
        raise SourceError(f"the dsn ({ref.describe()}) {error}", hint=f"{dsn.FORM}.") from None


def user_at(servers: Servers, parts: dsn.Parts, name: str, inside: Container | None = None) -> User:
    here = not parts.host or parts.host in dsn.LOOPBACK
    where = Server(port=parts.socket or dsn.SOCKET) if here else Server(parts.host, parts.port)
    users = servers.setdefault(where._replace(inside=inside), {})
    if name not in users:
        known = next((user.flavour for user in users.values()), None)
        product = known or product_at(Address(parts, inside=inside)) or MARIADB
        users[name] = User(name, _from(parts, inside, here=here), flavour=product)
    user = users[name]
    user.password |= bool(parts.password) or not here
    return user


def _from(parts: dsn.Parts, inside: Container | None, *, here: bool) -> str:
    """Return the host from which the server sees the login come. Images of containers turn off the
    names of hosts (`skip-name-resolve`): then 127.0.0.1 is not `localhost`."""
    if inside is None or not parts.host or not here:
        return "localhost" if here else "%"
    return "127.0.0.1" if parts.host == "localhost" else parts.host


def _lacks(servers: Servers, what: str) -> Iterator[str]:
    if any(user.password for users in servers.values() for user in users.values()):
        yield "The script cannot contain passwords. For each new user, set the password of the dsn:"
        yield "the script contains the command as a comment."
    for user in (user for users in servers.values() for user in users.values()):
        if names := [shown(name) for name in user.in_place if name not in user.writes]:
            yield f"{what} more: user {shown(user.name)} must have all rights on"
            yield f"database {', '.join(names)}. The statements for this stand below as comments:"
            yield "remove the two hyphens before GRANT to allow them."


def _of_server(
    where: Server,
    users: Mapping[str, User],
    of_user: Callable[[User], Iterator[str]],
) -> Iterator[str]:
    yield f"-- The server {where}"
    for user in users.values():
        yield from of_user(user)


def created(user: User) -> Iterator[str]:
    """Yield the lines that create a user that does not exist yet."""
    who = account(user.name, user.host)
    yield f"-- User {shown(user.name)}"
    if user.password:
        yield from (line.format(who=who) for line in user.flavour.with_password)
        return
    others = [name for name in user.systems if name != user.name]
    yield from ways_in(user.flavour.with_socket, who, others)
    if others:
        yield from ways_in(user.flavour.lets_others_in, who, others)


def _of_user(user: User) -> Iterator[str]:
    who = account(user.name, user.host)
    yield from created(user)
    if user.reads:
        yield f"GRANT {', '.join(user.flavour.reads_server)} ON *.* TO {who};"
        yield f"GRANT SELECT ON mysql.* TO {who};"
    for database, component in user.reads.items():
        yield f"-- Component {component}: read database {shown(database)}"
        yield f"GRANT {_read_rights()} ON {db_pattern(database)}.* TO {who};"
    if user.writes:
        yield "-- The next rights are for recoveries, which create databases (drd_…) and users, and"
        yield "-- give code and rights back to their owners. If this user only makes backups, leave"
        yield "-- the next rights out."
        yield from recovers(user.flavour, who)
    for database, component in user.writes.items():
        yield f"-- Component {component}: restore database {shown(database)}"
        yield f"{all_on(database, who)};"
    yield from _in_place(user, who)


def recovers(flavour: Flavour, who: str) -> Iterator[str]:
    """Yield the rights on the whole server that a recovery needs."""
    yield f"GRANT {', '.join(flavour.recovers_server)} ON *.* TO {who};"
    yield from (line.format(who=who) for line in flavour.recovers_more)
    yield f"GRANT SELECT ON mysql.* TO {who};"
    yield f"GRANT ALL PRIVILEGES ON `drd\\_%`.* TO {who} WITH GRANT OPTION;"


def all_on(database: str, who: str) -> str:
    return f"GRANT ALL PRIVILEGES ON {db_pattern(database)}.* TO {who} WITH GRANT OPTION"


def _in_place(user: User, who: str) -> Iterator[str]:
    """Yield what recoveries in place need, as comments: the plan has targets, which are safer."""
    databases = {d: c for d, c in user.in_place.items() if d not in user.writes}
    if databases:
        yield "-- For recoveries in place, which replace the databases of backups, remove the two"
        yield "-- hyphens before GRANT:"
    if databases and not user.writes:
        yield from (f"-- {line}" for line in recovers(user.flavour, who))
    for database, component in databases.items():
        yield f"-- Component {component}: replace database {shown(database)}"
        yield f"-- {all_on(database, who)};"


def _read_rights() -> str:
    """Return the rights on a database that a backup needs. (In every version, a login that may read
    mysql.proc sees the definitions of procedures.)"""
    return ", ".join(NEEDED)


def shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _program(flavour: Flavour, server: Server) -> str:
    words = [flavour.client, "--batch", "--user=root"]
    if server.host:
        words += [f"--host={server.host}", f"--port={server.port}"]
        if server.inside is None:  # inside is no terminal that could ask
            words.append("--password")
        return join([*_enter(server.inside), *words])
    if server.inside is not None:
        words.append("--host=localhost")  # whatever MYSQL_HOST is there
    if server.port != dsn.SOCKET:
        words.append(f"--socket={server.port}")
    return join([*_enter(server.inside), *words])


def _inside(flavour: Flavour, server: Server) -> str:
    """Return the same with the password that the image keeps in a variable of the container: the
    image of MariaDB under one of two names."""
    kept = "$MYSQL_ROOT_PASSWORD"
    if flavour is MARIADB:
        kept = f"${{MARIADB_ROOT_PASSWORD:-{kept}}}"
    plain = _program(flavour, server).removeprefix(join(_enter(server.inside))).strip()
    script = f'MYSQL_PWD="{kept}" exec {plain}'
    return join([*_enter(server.inside), "sh", "-c", script])


def _enter(inside: Container | None) -> list[str]:
    """Return the words that run a program in a container, which reads the script."""
    return [inside.engine, "exec", "-i", inside.name] if inside is not None else []
