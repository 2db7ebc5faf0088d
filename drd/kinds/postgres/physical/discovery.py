"""Suggest whole servers for a new plan: those that a person names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from drd.errors import DrdError
from drd.kinds.file_system import STANDBY
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.discovery import PROGRAMS, SOCKET_DIRECTORIES
from drd.kinds.postgres.dsn import LOOPBACK, holds_password
from drd.kinds.running_servers import RunningServer, of_running, serving
from drd.model.plan import SecretRef
from drd.ports.kinds import Wish

_ABOUT = (
    "The whole server, copied file by file. A backup first copies it into work_dir, so there must "
    "be room for it. The user needs the right REPLICATION and a line in pg_hba.conf: `drd doctor "
    "PLAN --grants` prints a script."
)
_IN_PLACE = "For recoveries in place, add `data_dir`."
_LOG = (
    "With the next line, drd also stores what the server writes between two backups (its WAL): "
    "then a recovery loses only seconds, and can go back to any second. The server needs a limit "
    "in max_slot_wal_keep_size, and wal_level replica or logical: `drd doctor PLAN` says what is "
    "missing."
)
_TARGET = (
    "An empty or missing directory; the host needs the same major version of PostgreSQL. Its "
    "tablespaces are restored into it."
)


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component for each connection string."""
    return [_wish(dsn) for dsn in given]


def _wish(dsn: str) -> Wish:
    holds = holds_password(dsn)
    here = _running(dsn)

    def keys(_: Sequence[str], credential: str) -> Iterator[tuple[str, Any]]:
        yield "#", _ABOUT if here is not None and here.directory else f"{_ABOUT} {_IN_PLACE}"
        yield "dsn", {"credential": credential} if holds else dsn
        if here is not None and here.directory:
            yield "data_dir", here.directory
        yield "#", _LOG
        yield "#", "wal: {every: 30s}"

    def target(name: str) -> Iterator[tuple[str, Any]]:
        yield "#", _TARGET
        yield "data_dir", f"{STANDBY}/{name}"

    secret = "the connection string of the server" if holds else ""
    where = "its connection string holds a password, so it becomes a credential" if holds else dsn
    wish = Wish(_host(dsn), "server", keys, secret=secret, target=target, where=where)
    return wish if here is None else of_running(wish, here)


def _running(dsn: str) -> RunningServer | None:
    """Return the running server that a connection string names; None if it does not run on this
    host, or if the string cannot be read."""
    try:
        params = address_of(SecretRef("text", dsn)).params
    except DrdError:
        return None
    host, port = params.get("hostaddr") or params.get("host", ""), params.get("port") or "5432"
    if not port.isdecimal() or "," in host:
        return None
    if host in LOOPBACK:
        return serving(PROGRAMS, "", int(port))
    places = [host] if host.startswith("/") else [] if host else SOCKET_DIRECTORIES
    found = (serving(PROGRAMS, f"{place}/.s.PGSQL.{port}") for place in places)
    return next((server for server in found if server is not None), None)


def _host(dsn: str) -> str:
    """Return the host in a connection string, to name the component; empty if there is none."""
    if "://" in dsn:
        try:
            return (urlsplit(dsn).hostname or "").partition(".")[0]
        except ValueError:
            return ""
    named = re.search(r"(?:^|\s)host\s*=\s*'?([\w-]+)", dsn)
    return named[1] if named else ""
