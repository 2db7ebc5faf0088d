"""Read the address of a MariaDB database, without a driver: `mariadb://user:password@host:port/NAME`
with `socket`, `ssl_ca` or `ssl` as parameters.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from drd.fields import Contradiction
from drd.model.plan import SecretRef
from drd.ports.kinds import Reveal
from drd.process import container_of

if TYPE_CHECKING:
    from drd.kinds.mariadb.settings import MariadbSettings, MariadbTarget

SCHEMES = ("mariadb", "mysql")
SOCKET = "/run/mysqld/mysqld.sock"
"""The place where Debian's server has its socket."""
PORT = 3306
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PARAMETERS = ("socket", "ssl_ca", "ssl")
_NAME_LIMIT = 64
FORM = "write mariadb://user@host:3306/database or mariadb://user@/database?socket=/PATH"


class Parts(NamedTuple):
    """The parts of an address; `socket` is used if there is no host."""

    user: str
    password: str
    host: str
    port: int
    socket: str
    database: str
    ssl_ca: str
    ssl: bool

    def uri(self, database: str | None = None) -> str:
        """The address for people, without the password."""
        login = f"{quote(self.user, safe='')}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        where = f"{host}:{self.port}" if self.host else ""
        name = quote(self.database if database is None else database, safe="")
        query = "" if self.host else f"?{urlencode({'socket': self.socket}, safe='/')}"
        return f"mariadb://{login}{where}/{name}{query}"


def parse(text: str) -> Parts:
    """Read an address. Raises ValueError, whose text says what is wrong and never contains the
    address."""
    try:
        given = urlsplit(text.replace("#", "%23"))
        host, port = given.hostname or "", given.port or PORT
    except ValueError:
        raise ValueError("is not an address") from None
    if given.scheme.lower() not in SCHEMES:
        raise ValueError("is not an address that begins with mariadb://")
    more = dict(parse_qsl(given.query))
    if unknown := sorted(set(more) - set(_PARAMETERS)):
        raise ValueError(
            f"has the unknown parameter {unknown[0][:40]!r} (known: {', '.join(_PARAMETERS)})"
        )
    name = unquote(given.path.removeprefix("/"))
    if not name or len(name) > _NAME_LIMIT or "/" in name or "\0" in name:
        raise ValueError("does not name a database")
    if more.get("socket", "/")[:1] != "/" or more.get("ssl_ca", "/")[:1] != "/":
        raise ValueError("has a parameter socket or ssl_ca whose path does not begin with /")
    if host and "socket" in more:
        raise ValueError("names a host and a socket, but drd can use only one of them")
    user, password = unquote(given.username or ""), unquote(given.password or "")
    if any(not c.isprintable() for c in f"{user}{password}{name}{host}"):
        raise ValueError("contains a character that cannot be printed")
    ssl = more.get("ssl", "").lower() in ("1", "on", "true", "yes") or "ssl_ca" in more
    socket = "" if host else more.get("socket", SOCKET)
    return Parts(user, password, host.lower(), port, socket, name, more.get("ssl_ca", ""), ssl)


def holds_password(text: str) -> bool:
    """Return whether the address contains a password. In doubt the answer is yes."""
    try:
        return bool(parse(text).password)
    except ValueError:
        return ":" in text.partition("://")[2].rpartition("@")[0]


def _known(ref: SecretRef) -> Parts | None:
    """The parts of an address that is text in the plan."""
    if ref.source != "text" or not isinstance(ref.value, str):
        return None
    try:
        return parse(ref.value)
    except ValueError:
        return None


def host(settings: MariadbSettings, reveal: Reveal) -> str:
    """Return the server's host; empty for this host, and if it is unknown."""
    text = reveal(settings.dsn)
    try:
        name = parse(text).host if text is not None else ""
    except ValueError:
        return ""
    return "" if name in LOOPBACK else name


def database(ref: SecretRef) -> str:
    """Return the name of the database, if the plan itself says it."""
    known = _known(ref)
    return known.database if known else ""


def sockets(settings: MariadbSettings | MariadbTarget) -> tuple[str, ...]:
    """Return the directory of the server's socket, if the plan itself names it."""
    known = _known(settings.dsn) if container_of(settings) is None else None
    return (known.socket.rpartition("/")[0] or "/",) if known and known.socket else ()


def contradictions(ref: SecretRef) -> Iterator[Contradiction]:
    """Check an address that is text in the plan: it is valid, and contains no password."""
    if ref.source != "text" or not isinstance(ref.value, str):
        return
    if holds_password(ref.value):
        hint = "put the whole address into a credential: dsn: {credential: NAME}."
        yield Contradiction(("dsn",), "contains a password, which a plan must not contain", hint)
        return
    try:
        parse(ref.value)
    except ValueError as error:
        yield Contradiction(("dsn",), str(error), f"{FORM}.")


def is_source(component: MariadbSettings, target: MariadbTarget) -> bool:
    """Return whether both are the same database, by their connection strings; a recovery also asks
    the servers."""
    return (component.dsn, component.inside) == (target.dsn, target.inside)


def stays_here(text: str) -> bool:
    """Return whether the address leads to a socket or a port of this host, and names no file. In
    doubt the answer is no."""
    try:
        parts = parse(text)
    except ValueError:
        return False
    if parts.ssl_ca:
        return False
    if not parts.host or parts.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.host).is_loopback
    except ValueError:
        return False
