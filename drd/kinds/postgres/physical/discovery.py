"""Suggest whole servers for a new plan: those that a person names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from drd.kinds.file_system import STANDBY
from drd.kinds.postgres.dsn import holds_password
from drd.ports.kinds import Wish

_ABOUT = (
    "The whole server, copied file by file. A backup first copies it into work_dir, so there must "
    "be room for it. The user needs the right REPLICATION and a line in pg_hba.conf: `drd doctor "
    "PLAN --grants` prints a script. For recoveries in place, add `data_dir`."
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

    def keys(_: Sequence[str], credential: str) -> Iterator[tuple[str, Any]]:
        yield "#", _ABOUT
        yield "dsn", {"credential": credential} if holds else dsn

    def target(name: str) -> Iterator[tuple[str, Any]]:
        yield "#", _TARGET
        yield "data_dir", f"{STANDBY}/{name}"

    secret = "the connection string of the server" if holds else ""
    where = "its connection string holds a password, so it becomes a credential" if holds else dsn
    return Wish(_host(dsn), "server", keys, secret=secret, target=target, where=where)


def _host(dsn: str) -> str:
    """Return the host in a connection string, to name the component; empty if there is none."""
    if "://" in dsn:
        try:
            return (urlsplit(dsn).hostname or "").partition(".")[0]
        except ValueError:
            return ""
    named = re.search(r"(?:^|\s)host\s*=\s*'?([\w-]+)", dsn)
    return named[1] if named else ""
