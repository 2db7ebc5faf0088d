"""Suggest databases for a new plan: named ones, or those behind local sockets of this host."""

from __future__ import annotations

import os
import pwd
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from drd import process
from drd.errors import ToolError, UsageError
from drd.kinds.mariadb import dsn
from drd.kinds.mariadb.discovery_inside import Database, database_of, servers_inside
from drd.kinds.mariadb.flavour import FLAVOURS
from drd.kinds.running_servers import RunningServer, unseen
from drd.model.text import escaped, noun, some
from drd.ports.kinds import Wish
from drd.users import user_name

SOCKETS = ("/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")  # noqa: S108
OPTION_FILES = ("/etc/mysql/my.cnf", "/etc/my.cnf")
OPTION_DIRECTORIES = ("/etc/mysql/conf.d", "/etc/mysql/mariadb.conf.d", "/etc/my.cnf.d")
_SOCKET = re.compile(r"^\s*socket\s*=\s*[\"']?(/[^\"'#\s]+)", re.MULTILINE)
_LIST = """
SELECT CONCAT(HEX(SCHEMA_NAME), IF(t.s IS NULL AND r.s IS NULL AND e.s IS NULL AND EXISTS (
         SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'SELECT'
            AND GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')), ' empty', ''))
  FROM information_schema.SCHEMATA
  LEFT JOIN (SELECT DISTINCT TABLE_SCHEMA AS s FROM information_schema.TABLES) t
    ON t.s = SCHEMA_NAME
  LEFT JOIN (SELECT DISTINCT ROUTINE_SCHEMA AS s FROM information_schema.ROUTINES) r
    ON r.s = SCHEMA_NAME
  LEFT JOIN (SELECT DISTINCT EVENT_SCHEMA AS s FROM information_schema.EVENTS) e
    ON e.s = SCHEMA_NAME
 WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
 ORDER BY SCHEMA_NAME"""
"""One line for each database: its name in hexadecimal digits, and `empty` if nothing is in it.
Without the right to read everything, the server hides what is in a database."""
_OWN_USER = (
    "This address contains no password, so the server must let the user that drd runs as connect. "
    "Use a separate database user for drd, not the user of the application: `drd doctor PLAN "
    "--grants` prints a script that creates this user."
)
_SECONDS = (
    "A dump loses what was written since. To lose only seconds, copy a whole server of MariaDB "
    "with its binary log instead: --mariadb-server (docs/mariadb.md)."
)
_USER_INSIDE = (
    "This address is the one that is valid in the container. Better use a separate database user "
    "for drd: docs/mariadb.md lists the rights of this user."
)
PROGRAMS = ("mariadbd", "mysqld")
_LARGEST_FILE = 1 << 20
_SERVER_USERS = ("mysql", "mariadb")


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component for each address. Raises UsageError, without repeating the address."""
    made = []
    for text in given:
        try:
            parts = dsn.parse(text)
        except ValueError as error:
            raise UsageError(
                f"an address given with --mariadb {error}", hint=f"{dsn.FORM}."
            ) from None
        made.append(_wish(parts.database, None if parts.password else text, parts))
    return made


def _wish(
    database: str,
    text: str | None,
    parts: dsn.Parts,
    inside: process.Container | None = None,
    *,
    better: str = "",
) -> Wish:
    """Suggest one component. `text` is None if the address holds a password, which then becomes a
    credential. `inside` is the container of the server. `better` is a comment."""
    placed = {"container": inside.name, "engine": inside.engine} if inside is not None else None

    def keys(_: Sequence[str], credential: str) -> Iterator[tuple[str, Any]]:
        if text is not None:
            about = _OWN_USER if placed is None else _USER_INSIDE
            yield "#", f"{about} {better}".rstrip()
        yield "dsn", {"credential": credential} if text is None else text
        if placed is not None:
            yield "in", placed

    def target(name: str) -> Iterator[tuple[str, Any]]:
        if text is None:
            credential = f"{name[:32]}-standby-dsn"
            yield "#", f"Write the address of the standby into the credential {credential}."
            yield "dsn", {"credential": credential}
            return
        yield "#", "Better use another server, which still exists if this server is lost."
        yield "dsn", parts.uri(f"{database}_standby"[:64])
        if placed is not None:
            yield "in", placed

    secret = "" if text is not None else "the address of the database"
    where = (
        f"{text} in the {inside}"
        if inside is not None
        else text or "its address holds a password, so it becomes a credential"
    )
    return Wish(database, "database", keys, secret=secret, target=target, where=where)


def found() -> tuple[list[Wish], list[str]]:
    """Return the databases of the servers of this host and of its containers, and notes about
    those that could not be read. Never raises for a server's errors."""
    databases, notes = _on_this_host()
    for server in servers_inside(_LIST):
        where = f"The server at {escaped(server.socket)} in the {server.container}"
        if server.refused:
            notes.append(
                f"{where} refused root without a password: add its databases by hand "
                "(docs/containers.md)."
            )
        query = urlencode({"socket": server.socket}, safe="/")
        for database in server.databases:
            text = f"mariadb://root@/{quote(database.name, safe='')}?{query}"
            if not database.is_empty:
                wish = _wish(database.name, text, dsn.parse(text), server.container)
                databases.append(wish)
        notes += _left_out(server.databases, f"in the {server.container}")
    return databases, notes


def _left_out(databases: Sequence[Database], where: str, example: str = "") -> list[str]:
    """Name the databases without contents: a drill of one would prove nothing."""
    empty = [database.name for database in databases if database.is_empty]
    if not empty:
        return []
    what = noun(len(empty), "database")
    why = noun(len(empty), "it contains", "they contain")
    hint = example or "add the database to the plan by hand (docs/containers.md)"
    text = (
        f"drd left out the {what} {escaped(some(empty, 20))} {where}, because {why} no table, "
        f"routine or event. If one of your programs will fill it, {hint}."
    )
    return [text]


def _on_this_host() -> tuple[list[Wish], list[str]]:
    """Ask every server with a local socket for its databases, as this user. Returns the databases,
    and notes about servers that could not be read. Never raises for a server's errors."""
    trusted = {0, os.geteuid(), *_servers_users()}
    sockets = list(_sockets())
    notes = [_unseen(server) for server in unseen(PROGRAMS, [socket for socket, _ in sockets])]
    if not sockets:
        return [], notes
    client = _client()
    if client is None:
        said = "This host has a MariaDB or MySQL server, but drd finds no program mariadb or mysql."
        return [], [said, *notes]
    databases: list[Wish] = []
    for socket, owner in sockets:
        where = f"The server at {escaped(socket)}"
        if owner not in trusted:
            notes.append(
                f"drd did not ask the server at {escaped(socket)}, because it belongs to user "
                f"{user_name(owner)}: add its databases with --mariadb if you trust that user."
            )
            continue
        listed = _databases(client, socket)
        if listed is None:
            notes.append(f"{where} refused the connection: add its databases with --mariadb.")
            continue
        if not listed:
            notes.append(f"{where} has no database except its system databases.")
        filled = [one.name for one in listed if not one.is_empty]
        databases += [_of_socket(name, socket, is_first=name == filled[0]) for name in filled]
        address = next((_address(one.name, socket) for one in listed if one.is_empty), "")
        example = f"add it with --mariadb {shlex.quote(escaped(address))}"
        notes += _left_out(listed, f"of the server at {escaped(socket)}", example)
    return databases, notes


def _unseen(server: RunningServer) -> str:
    """Name a server that runs on this host, and whose socket no option file names."""
    example = "".join(f"mariadb://127.0.0.1:{port}/DATABASE" for port in server.at.ports[:1])
    for socket in server.at.sockets[:1]:
        example = f"mariadb:///DATABASE?{urlencode({'socket': socket}, safe='/')}"
    return (
        f"drd did not ask the MariaDB or MySQL server at {escaped(server.where)}: add its "
        f"databases with --mariadb, for example --mariadb {shlex.quote(escaped(example))}."
    )


def _of_socket(name: str, socket: str, *, is_first: bool) -> Wish:
    text = _address(name, socket)
    wish = _wish(name, text, dsn.parse(text), better=_SECONDS if is_first else "")
    return wish._replace(sockets=(socket,))


def _address(name: str, socket: str) -> str:
    query = urlencode({"socket": socket}, safe="/")
    return f"mariadb:///{quote(name, safe='')}?{query}"


def _servers_users() -> Iterator[int]:
    """Return the ids of the system users whose servers drd may ask."""
    for name in _SERVER_USERS:
        with suppress(KeyError):
            yield pwd.getpwnam(name).pw_uid


def _sockets() -> Iterator[tuple[str, int]]:
    """Return the sockets of servers with their owners, each once."""
    seen: set[tuple[int, int]] = set()
    for name in (*SOCKETS, *_configured()):
        path = Path(name)
        with suppress(OSError):
            info = path.stat()
            if path.is_socket() and (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                yield str(path.resolve()), info.st_uid


def _configured() -> Iterator[str]:
    """Return the sockets that the option files of this host name."""
    files = [Path(name) for name in OPTION_FILES]
    for directory in OPTION_DIRECTORIES:
        with suppress(OSError):
            files += sorted(Path(directory).glob("*.cnf"))
    for file in files:
        with suppress(OSError):
            if file.is_file() and file.stat().st_size <= _LARGEST_FILE:
                yield from _SOCKET.findall(file.read_text(encoding="utf-8", errors="replace"))


def _client() -> tuple[str, ...] | None:
    """Return the path and the options of a client program of this host; None if there is none. A
    client of either product can query servers of both."""
    for product in FLAVOURS.values():
        with suppress(ToolError):
            package = product.packages[product.client]
            return (process.find_tool(product.client, package=package), *product.ask_options)
    return None


def _databases(client: Sequence[str], socket: str) -> list[Database] | None:
    """Return the databases of a server, None if it accepts no connection of this user."""
    program, *options = client
    words = [program, "--no-defaults", f"--socket={socket}", "--protocol=socket", "--batch"]
    words += ["--skip-column-names", "--connect-timeout=3", *options, "-e", _LIST]
    command = process.Command(words, cwd=Path("/"), deadline_s=10.0)
    try:
        done = process.run(command)
    except ToolError:
        return None
    if done.exit_code != 0:
        return None
    return [database_of(line) for line in done.stdout.splitlines() if line]
