"""Find out whether a target's database is the same database that a component is backed up from.

A server can have several names, so drd asks both servers for their host name, port, socket, data
directory and server id. If the source does not answer, the addresses decide. Root asks the source
with the login of drd's own user, as a backup does.
"""

from __future__ import annotations

import socket
from contextlib import suppress

from drd.errors import DrdError
from drd.kinds.mariadb.address import Address, address_of
from drd.kinds.mariadb.connection import ServerError, connect
from drd.kinds.mariadb.dsn import LOOPBACK
from drd.model.plan import SecretRef
from drd.process import Container, rights

_IDENTITY = "SELECT @@hostname, @@port, @@socket, @@datadir, @@server_id"
_HERE = "this host"


def same_place(
    source: SecretRef,
    target: SecretRef,
    inside: tuple[Container | None, Container | None] = (None, None),
) -> str | None:
    """Return the database in words if source and target are the same; None if they are not, or if
    drd cannot find out. `inside` has the containers of both."""
    try:
        first, second = address_of(source, inside[0]), address_of(target, inside[1])
    except DrdError:
        return None
    if first.database != second.database or not _are_same(first, second):
        return None
    return f"database {second.database} of {second.uri}"


def same_server(source: SecretRef, target: SecretRef) -> str | None:
    """Return the server in words if source and target are databases of the same one; None if they
    are not, or if drd cannot find out."""
    try:
        first, second = address_of(source), address_of(target)
    except DrdError:
        return None
    return f"the server of {second.uri}" if _are_same(first, second) else None


def _are_same(first: Address, second: Address) -> bool:
    seen = _identity(second)
    with rights.owners():
        asked = _identity(first) if seen is not None else None
    if seen is not None and asked is not None:
        return seen == asked
    return bool(_hosts(first) & _hosts(second))


def _identity(address: Address) -> tuple[object, ...] | None:
    """Return the values that distinguish the server from others; None if it does not answer."""
    with suppress(DrdError, ServerError), connect(address, database=False) as connection:
        return connection.one(_IDENTITY)
    return None


def _hosts(address: Address) -> set[tuple[str, int | str]]:
    """Return every server that the address may mean; all names of this host count as one."""
    parts = address.parts
    if address.inside is not None:
        return {(f"{parts.host or parts.socket} in the {address.inside}", parts.port)}
    if not parts.host:
        return {(_HERE, 3306), (_HERE, parts.socket)}
    own = {socket.gethostname(), socket.getfqdn(), *LOOPBACK}
    names = {parts.host}
    with suppress(OSError):
        names |= {str(info[4][0]) for info in socket.getaddrinfo(parts.host, None)}
    here = bool(names & own) or any(name.startswith("127.") for name in names)
    return {(_HERE if here else name, parts.port) for name in names}
