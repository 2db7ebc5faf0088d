"""Find out whether a target's database is the same database that a component is backed up from.

A server can have several names, so drd asks both servers: each has an identifier of its cluster,
which its replicas share, and a start time, which they do not share. If the source does not answer,
the connection strings decide. Root asks the source with the login of drd's own user, as a backup
does.
"""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import psycopg

from drd.errors import DrdError
from drd.kinds.postgres.address import Address, address_of
from drd.kinds.postgres.cluster import Cluster
from drd.kinds.postgres.connection import connect
from drd.model.plan import SecretRef
from drd.process import Container, rights

_SERVER = "SELECT pg_catalog.pg_postmaster_start_time()::text"
_IDENTIFIER = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"
_DEFAULT_PORT = "5432"
_HERE = "this host"
_ANY = "postgres"


def same_place(
    source: SecretRef,
    target: SecretRef,
    mark: str,
    inside: tuple[Container | None, Container | None] = (None, None),
) -> str | None:
    """Return the database in words if source and target are the same; None if they are not, or if
    drd cannot find out. `inside` has the containers of both."""
    try:
        first, second = address_of(source, inside[0]), address_of(target, inside[1])
    except DrdError:
        return None
    same = _are_same(first, second, mark)
    return f"database {second.dbname} of {second.uri}" if same else None


def same_server(source: SecretRef, target: SecretRef, mark: str) -> str | None:
    """Return the server in words if source and target are databases of the same one; None if they
    are not, or if drd cannot find out."""
    try:
        first, second = address_of(source), address_of(target)
    except DrdError:
        return None
    same = _are_same(first.to_database(_ANY), second.to_database(_ANY), mark)
    return f"the server of {second.uri}" if same else None


def _are_same(first: Address, second: Address, mark: str) -> bool:
    seen = _identify(second, mark)
    with rights.owners():
        asked = _identify(first, mark) if seen is not None else None
    if seen is not None and asked is not None:
        known = seen[1] is not None and asked[1] is not None
        return (seen[0], seen[2]) == (asked[0], asked[2]) and (not known or seen[1] == asked[1])
    return second.dbname == first.dbname and bool(_hosts(first) & _hosts(second))


def _identify(address: Address, mark: str) -> tuple[str, str | None, str] | None:
    """Return the server's start time, its cluster, and the database; None if it does not answer."""
    with closing(Cluster(address, mark)) as cluster:
        try:
            started = cluster.one(_SERVER)
            name = address.dbname or cluster.admin().info.user
        except (DrdError, psycopg.Error):
            return None
        try:
            identifier = cluster.one(_IDENTIFIER)
        except psycopg.Error:  # an administrator took the right away
            identifier = None
        return str(started), str(identifier) if identifier else None, name


def _hosts(address: Address) -> set[tuple[str, str]]:
    """Return every server that the address may mean, with the port; all names of this host count as
    one.
    """
    if address.inside is not None:
        place = f"{address.params['host']} in {address.inside}"
        return {(place, address.params["port"])}
    hosts = (address.params.get("hostaddr") or address.params.get("host") or "").split(",")
    ports = (address.params.get("port") or _DEFAULT_PORT).split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    return {
        (name, port or _DEFAULT_PORT)
        for host, port in zip(hosts, ports, strict=True)
        for name in _names(host)
    }


def _names(host: str) -> set[str]:
    """Return the names of a host; a socket, a loopback address and this host's own name are one."""
    if not host or host.startswith(("/", "@")):
        return {_HERE}
    own = {socket.gethostname(), socket.getfqdn(), "localhost"}
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        addresses = set()
    here = host in own or any(a.startswith("127.") or a == "::1" for a in addresses)
    return {_HERE} if here else {host.lower(), *addresses}


def data_directory(dsn: SecretRef) -> Path | None:
    """Return the data directory of the server, if the server is on this host and answers."""
    try:
        address = address_of(dsn)
        if not any(name == _HERE for name, _ in _hosts(address)):
            return None
        with rights.owners(), closing(connect(address)) as connection:
            row = connection.execute(b"SHOW data_directory").fetchone()
    except (DrdError, psycopg.Error):
        return None
    return Path(os.path.realpath(str(row[0]))) if row else None
