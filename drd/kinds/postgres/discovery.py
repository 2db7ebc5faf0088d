"""Suggest databases for a new plan: named ones, or those behind local sockets of this host."""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from drd import process
from drd.errors import ToolError
from drd.kinds.postgres.discovery_inside import found_inside
from drd.kinds.postgres.dsn import holds_password
from drd.kinds.postgres.empty_databases import IS_EMPTY, PLAIN_NAMES, connecting_to, left_out
from drd.kinds.running_servers import RunningServer, unseen
from drd.model.text import escaped
from drd.ports.kinds import Wish
from drd.users import user_name

SOCKET_DIRECTORIES = ("/var/run/postgresql", "/tmp")  # noqa: S108 (where servers put sockets)
_SOCKET = re.compile(r"\.s\.PGSQL\.(\d+)")
PROGRAMS = ("postgres", "postmaster")
_DBNAME = re.compile(r"(?:^|\s)dbname\s*=\s*(?:'((?:\\.|[^'\\])*)'|(\S+))")
_LIST = (
    "select datname from pg_database where datallowconn and not datistemplate "
    "and datname <> 'postgres' order by 1"
)


_SECONDS = (
    "A dump loses what was written since. To lose only seconds, copy the whole server with its WAL "
    "instead: --postgres-cluster (docs/postgres-cluster.md)."
)


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component for each connection string."""
    return [_wish(_database(dsn), None if holds_password(dsn) else dsn) for dsn in given]


def _wish(
    database: str, dsn: str | None, inside: process.Container | None = None, *, better: str = ""
) -> Wish:
    """Suggest one component. `dsn` is None if the string holds a password, which then becomes a
    credential. `inside` is the container of the server. `better` is a comment.
    """
    placed = {"container": inside.name, "engine": inside.engine} if inside is not None else None

    def keys(_: Sequence[str], credential: str) -> Iterator[tuple[str, Any]]:
        if dsn is not None:
            about = (
                "The user that drd runs as must be allowed to connect; this string contains no "
                "password. Name a separate role for drd, not the role of the application: `drd "
                "doctor PLAN --grants` prints a script that creates it."
            )
            yield "#", f"{about} {better}".rstrip()
        yield "dsn", {"credential": credential} if dsn is None else dsn
        if placed is not None:
            yield "in", placed

    def target(name: str) -> Iterator[tuple[str, Any]]:
        if dsn is None:
            credential = f"{name[:32]}-standby-dsn"
            yield (
                "#",
                f"Write the connection string of the standby into the credential {credential}.",
            )
            yield "dsn", {"credential": credential}
            return
        yield "#", "Better use another server, which still exists if this server is lost."
        yield "dsn", _renamed(dsn, f"{unquote(_database(dsn)) or name}_standby")
        if placed is not None:
            yield "in", placed

    secret = "" if dsn is not None else "the connection string of the database"
    where = (
        f"{dsn} in the {inside}"
        if inside is not None
        else dsn or "its connection string holds a password, so it becomes a credential"
    )
    return Wish(database, "database", keys, secret=secret, target=target, where=where)


def _renamed(dsn: str, name: str) -> str:
    """Return the connection string with another database."""
    head, mark, query = dsn.partition("?")
    if "://" in head:
        scheme, _, rest = head.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}/{quote(name, safe='')}{mark}{query}"
    others = _DBNAME.sub("", dsn).strip()
    value = name if re.fullmatch(r"\w+", name) else "'" + re.sub(r"(['\\])", r"\\\1", name) + "'"
    return f"{others} dbname={value}".strip()


def _database(dsn: str) -> str:
    """Return the database's name as far as the string shows it; only for naming."""
    head = dsn.split("?", 1)[0]
    if "://" in head:
        return head.split("://", 1)[1].partition("/")[2]
    named = _DBNAME.search(dsn)
    return re.sub(r"\\(.)", r"\1", named[1] or named[2] or "") if named else ""


def found() -> tuple[list[Wish], list[str]]:
    """Return the databases of the servers of this host and of its containers, and notes about
    those that could not be read. Never raises for a server's errors."""
    databases, notes = _on_this_host()
    inside, refused = found_inside()
    databases += [_wish(name, dsn, container) for name, dsn, container in inside]
    return databases, [*notes, *refused]


def _on_this_host() -> tuple[list[Wish], list[str]]:
    """Ask every server with a local socket (and at $PGHOST, if that is a directory) for its
    databases, as this user and as root also as `postgres`. Returns the databases, and notes about
    servers that could not be read. Never raises for a server's errors.
    """
    clusters = _clusters()
    notes = [_not_running(cluster) for cluster in clusters if not cluster.get("running")]
    places = [str(c["socketdir"]) for c in clusters if c.get("running") and c.get("socketdir")]
    trusted = {0, os.geteuid(), *_servers_users(clusters)}
    every = list(_sockets(places))
    sockets = [one for one in every if one.is_named or one.owner in trusted]
    notes += [_of_a_stranger(one) for one in every if one not in sockets]
    asked = [f"{one.directory}/.s.PGSQL.{one.port}" for one in every]
    notes += [_unseen(server) for server in unseen(PROGRAMS, asked)]
    if not sockets:
        return [], notes
    try:
        psql = process.find_tool("psql", package="postgresql-client")
    except ToolError as error:
        return [], [f"This host has a PostgreSQL server, but {error.message}.", *notes]
    databases: list[Wish] = []
    for one in sockets:
        directory, port = one.directory, one.port
        names = _databases(psql, one)
        where = f"The PostgreSQL server at {directory}, port {port},"
        if names is None:
            notes.append(f"{where} refused the connection: add its databases with --postgres.")
        elif not names:
            notes.append(f"{where} has no database except its system databases.")
        at = (os.path.realpath(f"{directory}/.s.PGSQL.{port}"),)
        empty = [name for name in names or () if _is_empty(psql, one, name)]
        filled = [name for name in names or () if name not in empty]
        for name in filled:
            better = _SECONDS if name == filled[0] else ""
            wish = _wish(name, _dsn(name, directory, port), better=better)
            databases.append(wish._replace(sockets=at))
        notes += left_out(empty, where.rstrip(","), _dsn(next(iter(empty), ""), directory, port))
    return databases, notes


def _unseen(server: RunningServer) -> str:
    """Name a server that runs on this host, where drd does not look for sockets."""
    example = "".join(f"postgresql://127.0.0.1:{port}/DATABASE" for port in server.at.ports[:1])
    for socket in map(Path, server.at.sockets):
        if match := _SOCKET.fullmatch(socket.name):
            example = _dsn("DATABASE", str(socket.parent), int(match[1]))
    return (
        f"drd did not ask the PostgreSQL server at {escaped(server.where)}: add its databases with "
        f"--postgres, for example --postgres {shlex.quote(escaped(example))}."
    )


def _clusters() -> list[Mapping[str, Any]]:
    """Return the clusters that Debian's tools manage, running or not; none without these tools."""
    with suppress(ToolError, ValueError):
        program = process.find_tool("pg_lsclusters", package="postgresql-common")
        done = process.run(process.Command([program, "--json"], cwd=Path("/"), deadline_s=10.0))
        listed = json.loads(done.stdout) if done.exit_code == 0 else []
        return [one for one in listed if isinstance(one, dict)]
    return []


def _not_running(cluster: Mapping[str, Any]) -> str:
    name = f"{cluster.get('version')} {cluster.get('cluster')}"
    return (
        f"The PostgreSQL cluster {name} is not running: start it (pg_ctlcluster {name} start) and "
        "repeat this command, or add its databases with --postgres."
    )


class _Socket(NamedTuple):
    """The socket of a server; `is_named`: $PGHOST names its directory."""

    directory: str
    port: int
    owner: int
    is_named: bool


def _servers_users(clusters: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    """Return the users whose servers are no strangers: `postgres`, and those of Debian's clusters.
    A server may ask for a password, and libpq sends one that ~/.pgpass has for it.
    """
    if _exists("postgres"):
        yield pwd.getpwnam("postgres").pw_uid
    yield from (int(c["owneruid"]) for c in clusters if str(c.get("owneruid", "")).isdecimal())


def _of_a_stranger(one: _Socket) -> str:
    return (
        f"drd did not ask the PostgreSQL server at {one.directory}, port {one.port}, because it "
        f"belongs to user {user_name(one.owner)}: add its databases with --postgres if you trust "
        "that user."
    )


def _sockets(more: Sequence[str] = ()) -> Iterator[_Socket]:
    own = os.environ.get("PGHOST", "")
    seen: set[tuple[int, int]] = set()
    for directory in ([own] if own.startswith("/") else []) + [*SOCKET_DIRECTORIES, *more]:
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
                yield _Socket(directory, int(match[1]), info.st_uid, directory == own)


def _databases(psql: str, one: _Socket) -> list[str] | None:
    """Return the databases of a server, or None if it accepts no user."""
    answer = _answer(psql, one, "postgres", _LIST)
    return [name for name in answer.split("\0") if name] if answer is not None else None


def _is_empty(psql: str, one: _Socket, database: str) -> bool:
    """Return whether nothing is in a database; False if it lets nobody look."""
    return (_answer(psql, one, database, PLAIN_NAMES, IS_EMPTY) or "").strip("\0\n") == "t"


def _answer(psql: str, one: _Socket, database: str, *queries: str) -> str | None:
    """Return what a server answers, or None if it accepts no user."""
    users: list[str | None] = [None]
    if os.geteuid() == 0 and _exists("postgres"):
        users.append("postgres")
    words = [psql, "-X", "-A", "-t", "-q", "-w", "-0", "-h", one.directory, "-p", str(one.port)]
    words += ["-d", connecting_to(database), *(w for query in queries for w in ("-c", query))]
    env = {"PGCONNECT_TIMEOUT": "3", "PGCLIENTENCODING": "UTF8"}
    if (owner := user_name(one.owner)) != str(one.owner):
        env["PGREQUIREPEER"] = owner  # no other server may have come there since
    if "PGUSER" in os.environ:
        env["PGUSER"] = os.environ["PGUSER"]
    for user in users:
        command = process.Command(words, env=env, user=user, cwd=Path("/"), deadline_s=10.0)
        try:
            done = process.run(command)
        except ToolError:
            continue
        if done.exit_code == 0:
            return done.stdout
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
