"""Suggest databases for a new plan: named ones, or those behind local sockets of this host."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from drd import process
from drd.errors import ToolError
from drd.kinds.postgres.dsn import holds_password
from drd.ports.kinds import Wish

SOCKET_DIRECTORIES = ("/var/run/postgresql", "/tmp")  # noqa: S108 (where servers put sockets)
_SOCKET = re.compile(r"\.s\.PGSQL\.(\d+)")
_LIST = (
    "select datname from pg_database where datallowconn and not datistemplate "
    "and datname <> 'postgres' order by 1"
)


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component for each connection string."""
    return [_wish(_database(dsn), None if holds_password(dsn) else dsn) for dsn in given]


def _wish(database: str, dsn: str | None) -> Wish:
    """Suggest one component. `dsn` is None if the string holds a password, which then becomes a
    credential.
    """

    def keys(_: Sequence[str], credential: str) -> Iterator[tuple[str, Any]]:
        if dsn is not None:
            about = (
                "The user that drd runs as must be allowed to connect; this string contains "
                "no password."
            )
            yield "#", about
        yield "dsn", {"credential": credential} if dsn is None else dsn

    secret = "" if dsn is not None else "the connection string of the database"
    return Wish(database, "database", keys, secret=secret)


def _database(dsn: str) -> str:
    """Return the database's name as far as the string shows it; only for naming."""
    head = dsn.split("?", 1)[0]
    if "://" in head:
        return head.split("://", 1)[1].partition("/")[2]
    return next((w[len("dbname=") :] for w in dsn.split() if w.startswith("dbname=")), "")


def found() -> tuple[list[Wish], list[str]]:
    """Ask every server with a local socket (and at $PGHOST, if that is a directory) for its
    databases, as this user and as root also as `postgres`. Returns the databases, and notes about
    servers that could not be read. Never raises for a server's errors.
    """
    sockets = list(_sockets())
    if not sockets:
        return [], []
    try:
        psql = process.find_tool("psql", package="postgresql-client")
    except ToolError as error:
        return [], [f"This host has a PostgreSQL server, but {error.message}."]
    databases: list[Wish] = []
    notes: list[str] = []
    for directory, port in sockets:
        names = _databases(psql, directory, port)
        where = f"The PostgreSQL server at {directory}, port {port},"
        if names is None:
            notes.append(f"{where} refused the connection: add its databases with --postgres.")
        elif not names:
            notes.append(f"{where} has no database except its system databases.")
        databases += [_wish(name, _dsn(name, directory, port)) for name in names or ()]
    return databases, notes


def _sockets() -> Iterator[tuple[str, int]]:
    own = os.environ.get("PGHOST", "")
    seen: set[tuple[int, int]] = set()
    for directory in ([own] if own.startswith("/") else []) + list(SOCKET_DIRECTORIES):
        try:
            entries = sorted(Path(directory).iterdir())
        except OSError:
            continue
        for entry in entries:
            match = _SOCKET.fullmatch(entry.name)
            if match is None or not entry.is_socket():
                continue
            info = entry.stat()
            if (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                yield directory, int(match[1])


def _databases(psql: str, directory: str, port: int) -> list[str] | None:
    """Return the databases of a server, or None if it accepts no user."""
    users: list[str | None] = [None]
    if os.geteuid() == 0 and _exists("postgres"):
        users.append("postgres")
    words = [psql, "-X", "-A", "-t", "-w", "-0", "-h", directory, "-p", str(port)]
    words += ["-d", "postgres", "-c", _LIST]
    env = {"PGCONNECT_TIMEOUT": "3", "PGCLIENTENCODING": "UTF8"}
    if "PGUSER" in os.environ:
        env["PGUSER"] = os.environ["PGUSER"]
    for user in users:
        command = process.Command(words, env=env, user=user, cwd=Path("/"), deadline_s=10.0)
        try:
            done = process.run(command)
        except ToolError:
            continue
        if done.exit_code == 0:
            return [name for name in done.stdout.split("\0") if name]
    return None


def _dsn(database: str, directory: str, port: int) -> str:
    query = f"host={quote(directory)}" + (f"&port={port}" if port != 5432 else "")
    return f"postgresql:///{quote(database, safe='')}?{query}"


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
