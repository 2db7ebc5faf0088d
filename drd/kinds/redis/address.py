"""The address of a server, as a plan writes it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

PORT = 6379
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SCHEMES = frozenset({"redis", "rediss", "unix"})


class Address(NamedTuple):
    """A socket, or a host with a port."""

    socket: str = ""
    host: str = ""
    port: int = PORT
    tls: bool = False

    @property
    def named(self) -> str:
        """The address for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.socket or f"{host}:{self.port}"


def wrong_url(url: str) -> str:
    """Return what is wrong with a URL; empty if nothing is wrong."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is not an address: {error}"
    if parts.scheme not in _SCHEMES:
        return "is not the address of a server"
    if parts.username or parts.password:
        return "contains a login, which belongs into `user` and `password`"
    if parts.query or parts.fragment:
        return "contains a query (?) or a fragment (#), which drd does not support"
    if parts.scheme == "unix":
        absolute = not parts.netloc and parts.path.startswith("/")
        return "" if absolute else "does not name a socket by its absolute path"
    if parts.path not in ("", "/"):
        return "names a database, but drd backs up all databases of a server"
    if not parts.hostname or port == 0:
        return "names no host"
    return ""


def address_of(url: str) -> Address:
    """Return the address in a URL that `wrong_url` accepts."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return Address(socket=unquote(parts.path))
    return Address(host=parts.hostname or "", port=parts.port or PORT, tls=parts.scheme == "rediss")
