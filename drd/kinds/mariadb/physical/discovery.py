"""Suggest whole servers for a new plan: those that a person names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from drd.errors import UsageError
from drd.kinds.file_system import STANDBY
from drd.kinds.mariadb import dsn
from drd.kinds.mariadb.discovery import PROGRAMS
from drd.kinds.running_servers import RunningServer, of_running, serving
from drd.ports.kinds import Wish

_ABOUT = (
    "The whole server, copied file by file. A backup first copies it into work_dir, so there must "
    "be room for it. The server must run on this host, and drd must be able to read its files: "
    "`drd doctor PLAN` says what is missing, `drd doctor PLAN --grants` prints a script for the "
    "rights in the server."
)
_IN_PLACE = "For recoveries in place, add `data_dir`."
_LOG = (
    "With the next line, drd also stores what the server writes between two backups (its binary "
    "log): then a recovery loses only seconds, and can go back to any second. The server needs "
    "log_bin and binlog_format = ROW: `drd doctor PLAN` says what is missing."
)
_TARGET = "An empty or missing directory; the host needs the same series of MariaDB."


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component for each address. Raises UsageError, without repeating the address."""
    made = []
    for text in given:
        try:
            parts = dsn.parse(text)
        except ValueError as error:
            raise UsageError(
                f"an address given with --mariadb-server {error}", hint=f"{dsn.FORM}."
            ) from None
        made.append(_wish(text, parts))
    return made


def _wish(text: str, parts: dsn.Parts) -> Wish:
    holds = bool(parts.password)
    here = _running(parts)

    def keys(_: Sequence[str], credential: str) -> Iterator[tuple[str, Any]]:
        yield "#", _ABOUT if here is not None and here.directory else f"{_ABOUT} {_IN_PLACE}"
        yield "dsn", {"credential": credential} if holds else text
        if here is not None and here.directory:
            yield "data_dir", here.directory
        yield "#", _LOG
        yield "#", "binlog: {every: 30s}"

    def target(name: str) -> Iterator[tuple[str, Any]]:
        yield "#", _TARGET
        yield "data_dir", f"{STANDBY}/{name}"

    secret = "the address of the server" if holds else ""
    where = "its address holds a password, so it becomes a credential" if holds else text
    host = "" if parts.host in dsn.LOOPBACK else parts.host.partition(".")[0]
    wish = Wish(host, "server", keys, secret=secret, target=target, where=where)
    return wish if here is None else of_running(wish, here)


def _running(parts: dsn.Parts) -> RunningServer | None:
    """Return the running server that an address names; None if it does not run on this host."""
    if parts.host and parts.host not in dsn.LOOPBACK:
        return None
    return serving(PROGRAMS, "" if parts.host else parts.socket, parts.port)
