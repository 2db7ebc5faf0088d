"""Find the databases of MariaDB and MySQL servers in containers of this host, for a new plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from drd import process
from drd.errors import ToolError
from drd.kinds.mariadb.flavour import FLAVOURS
from drd.process import Container

_LOOK_S = 15.0
_CLIENTS = "\nel".join(
    f"if c=$(command -v {one.client}); then o='{' '.join(one.ask_options)}'"
    for one in FLAVOURS.values()
)
_LOOK = rf"""
{_CLIENTS}
else exit 0
fi
unset MYSQL_HOST MYSQL_PWD MYSQL_TCP_PORT MYSQL_UNIX_PORT MARIADB_HOST
for s in /run/mysqld/mysqld.sock /var/lib/mysql/mysql.sock /tmp/mysql.sock; do
  [ -S "$s" ] || continue
  printf 's%s\n' "$s"
  "$c" --no-defaults --socket="$s" --protocol=socket --user=root --batch --skip-column-names \
    --connect-timeout=3 $o -e "$1" 2>/dev/null || echo refused
done
exit 0
"""


class Database(NamedTuple):
    """A database of a server; `is_empty` if drd sees everything there, and there is nothing."""

    name: str
    is_empty: bool = False


class ServerInside(NamedTuple):
    """A server that root in its container could ask, or that `refused` root."""

    container: Container
    socket: str
    databases: list[Database]
    refused: bool


def servers_inside(listing: str) -> Iterator[ServerInside]:
    """Ask the servers of all containers that run with `listing`, which prints one line for each
    database, as `database_of` reads it."""
    for container in process.running_containers():
        try:
            done = process.run(process.shell_in(container, _LOOK, listing, deadline_s=_LOOK_S))
        except ToolError:
            continue
        if done.exit_code == 0:
            yield from _servers(container, done.stdout)


def _servers(container: Container, printed: str) -> Iterator[ServerInside]:
    """Read what the script printed: a line `sPATH` for each server, then its databases."""
    _, *parts = f"\n{printed}".split("\ns/")
    for part in parts:
        socket, *lines = part.splitlines()
        databases = [database_of(line) for line in lines if line != "refused"]
        yield ServerInside(container, f"/{socket}", databases, "refused" in lines)


def database_of(line: str) -> Database:
    """Read a line: the name in hexadecimal digits, and maybe `empty`."""
    digits, _, more = line.partition(" ")
    try:
        name = bytes.fromhex(digits).decode("utf-8", "replace")
    except ValueError:
        return Database(line)
    return Database(name, more == "empty")
