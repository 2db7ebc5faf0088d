"""Find what should be backed up on this host: PostgreSQL databases behind local sockets."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from drd import process
from drd.errors import ToolError

SOCKET_DIRECTORIES = ("/var/run/postgresql", "/tmp")  # noqa: S108 (where servers put sockets)
_SOCKET = re.compile(r"\.s\.PGSQL\.(\d+)")
_LIST = (
    "select datname from pg_database where datallowconn and not datistemplate "
    "and datname <> 'postgres' order by 1"
)


@dataclass(frozen=True, slots=True)
class Discovery:
    """Databases as name and connection string; `notes` name what could not be read."""

    databases: tuple[tuple[str, str | None], ...] = ()
    notes: tuple[str, ...] = ()


def find_postgres() -> Discovery:
    """Ask every server with a local socket (and at $PGHOST, if that is a directory) for its
    databases, as this user and as root also as `postgres`. Never raises for a server's errors."""
    sockets = list(_sockets())
    if not sockets:
        return Discovery(notes=("No PostgreSQL server was found on a local socket.",))
    try:
        psql = process.find_tool("psql", package="postgresql-client")
    except ToolError as error:
        return Discovery(notes=(f"A PostgreSQL server is here, but {error.message}.",))
    databases: list[tuple[str, str | None]] = []
    notes: list[str] = []
    for directory, port in sockets:
        names = _databases(psql, directory, port)
        where = f"The PostgreSQL server at {directory}, port {port},"
        if names is None:
            notes.append(f"{where} refused the connection: add its databases with --postgres.")
        elif not names:
            notes.append(f"{where} has no database of its own.")
        databases += [(name, _dsn(name, directory, port)) for name in names or ()]
    return Discovery(tuple(databases), tuple(notes))


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
            found = entry.stat()
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                yield directory, int(match[1])


def _databases(psql: str, directory: str, port: int) -> list[str] | None:
    """The names, or None if no user is accepted."""
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
