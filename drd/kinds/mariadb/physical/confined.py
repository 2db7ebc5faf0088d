"""Confine mariadb-backup to the server that it copies.

The server tells mariadb-backup where its files are, and names libraries that mariadb-backup loads
(plugins for encryption and compression). So whoever controls the server runs code in it. Behind a
fence, this code can use the files of the server and the copy, which are its own anyway, and
nothing else of this host. Links in the data directory lead nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drd.errors import SourceError
from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.connection import Connection
from drd.model.text import escaped
from drd.process import Fence, Fences
from drd.users import user_name

_BY = "mariadb-backup"


@contextmanager
def confined(address: Address, data_dir: str, options: Path, into: Path) -> Iterator[Fence]:
    """Give the fence for a copy of the server at `address` from `data_dir` into the directory
    `into`, which must exist, with the login in `options`."""
    parts = address.parts
    fences = Fences(reach=(f"{parts.host}:{parts.port}",) if parts.host else ())
    reads = [Path(os.path.realpath(data_dir)), options]
    if parts.ssl_ca:
        reads.append(Path(os.path.realpath(parts.ssl_ca)))
    sockets = [] if parts.host else [Path(parts.socket).parent]
    try:
        yield fences.fence(_BY, reads=reads, sockets=sockets, home=into)
    finally:
        fences.close()


def require_own(connection: Connection, data_dir: str) -> None:
    """Raise SourceError if the directory that the server names as its own belongs to another user:
    mariadb-backup would copy files that the server itself may not read."""
    try:
        owner = Path(data_dir).stat().st_uid
    except OSError:
        return  # another finding says that drd cannot read it
    server = connection.peer
    if server in (0, owner):
        return
    if server is None and owner not in (0, os.geteuid()):
        return
    of_server = f"the server runs as user {user_name(server)}" if server is not None else (
        "drd does not know the user of the server"
    )  # fmt: skip
    remedy = (
        f"check who runs the server, and whether its `datadir` is right: ls -ld {escaped(data_dir)}"
    )
    if server is None:
        remedy += ". If it is, let `dsn` lead to the server's socket, which shows its user"
    raise SourceError(
        f"the server says that {escaped(data_dir)} is its data directory, but this directory "
        f"belongs to user {user_name(owner)}, and {of_server}. So drd does not copy it",
        hint=f"{remedy}.",
        permanent=True,
    )


def links_in(data_dir: str) -> list[str]:
    """Return the links below a data directory, as far as drd may read it."""
    links = []
    for directory, names, files in os.walk(data_dir):
        for name in (*names, *files):
            path = Path(directory, name)
            if path.is_symlink():
                links.append(f"{path.relative_to(data_dir)} -> {_end(path)}")
    return links


def _end(link: Path) -> str:
    with suppress(OSError):
        return str(link.readlink())
    return "?"
