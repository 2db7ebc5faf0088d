"""Find the databases of PostgreSQL servers in the containers of this host, for a new plan."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from drd import process
from drd.errors import ToolError
from drd.kinds.postgres.empty_databases import IS_EMPTY, PLAIN_NAMES, connecting_to, left_out
from drd.model.text import escaped
from drd.process import Container

_LOOK_S = 15.0
_LOOK = r"""
command -v psql >/dev/null 2>&1 || exit 0
unset PGHOSTADDR PGSERVICE PGOPTIONS PGSSLMODE PGPASSFILE PGTARGETSESSIONATTRS
for s in /var/run/postgresql/.s.PGSQL.* /tmp/.s.PGSQL.*; do
  [ -S "$s" ] || continue
  d=${s%/*} p=${s##*.} u=${POSTGRES_USER:-postgres}
  printf 's%s\t%s\t%s\0' "$d" "$p" "$u"
  PGCONNECT_TIMEOUT=3 PGCLIENTENCODING=UTF8 psql -X -A -t -w -0 -h "$d" -p "$p" -U "$u" \
    -d postgres -c "$1" 2>/dev/null && printf '\0' || printf 'r\0'
done
exit 0
"""
_LOOK_INTO = r"""
unset PGHOSTADDR PGSERVICE PGOPTIONS PGSSLMODE PGPASSFILE PGTARGETSESSIONATTRS
PGCONNECT_TIMEOUT=3 exec psql -X -A -t -q -w -h "$1" -p "$2" -U "$3" -d "$4" -c "$5" -c "$6"
"""
_ASKED = (
    "select 'd' || datname from pg_database where datallowconn and not datistemplate "
    "and datname <> 'postgres' order by datname"
)


def found_inside() -> tuple[list[tuple[str, str, Container]], list[str]]:
    """Return the databases with their connection strings as they are valid in their containers, and
    notes about servers that refused. Never raises for what an engine or a container does."""
    databases: list[tuple[str, str, Container]] = []
    notes: list[str] = []
    for container in process.running_containers():
        for one in _servers(container):
            directory, port, user, names, refused = one
            where = f"The PostgreSQL server at {directory}, port {port}, in the {container}"
            if refused:
                notes.append(
                    f"{where} refused the user {user}: add its databases by hand "
                    "(docs/containers.md)."
                )
            elif not names:
                notes.append(f"{where} has no database except its system databases.")
            server = (directory, port, user)
            empty = [name for name in names if _is_empty(container, server, name)]
            notes += left_out(empty, where.removesuffix(","))
            databases += [(n, _dsn(n, *server), container) for n in names if n not in empty]
    return databases, notes


def _is_empty(container: Container, server: tuple[str, str, str], database: str) -> bool:
    """Return whether nothing is in a database; False if it lets nobody look."""
    words = (*server, connecting_to(database), PLAIN_NAMES, IS_EMPTY)
    try:
        done = process.run(process.shell_in(container, _LOOK_INTO, *words, deadline_s=_LOOK_S))
    except ToolError:
        return False
    return done.exit_code == 0 and done.stdout.strip() == "t"


def _servers(container: Container) -> Iterator[tuple[str, str, str, list[str], bool]]:
    try:
        done = process.run(process.shell_in(container, _LOOK, _ASKED, deadline_s=_LOOK_S))
    except ToolError:
        return
    if done.exit_code != 0:
        return  # it has no shell
    server: tuple[str, str, str] | None = None
    names: list[str] = []
    refused = False
    for record in [*done.stdout.split("\0"), "s"]:
        if record.startswith("s"):
            if server is not None:
                yield (*server, names, refused)
            fields = [escaped(field) for field in record[1:].split("\t")]
            server = (fields[0], fields[1], fields[2]) if _is_server(fields) else None
            names, refused = [], False
        elif record.startswith("d"):
            names.append(record[1:])
        elif record.startswith("r"):
            refused = True


def _is_server(fields: list[str]) -> bool:
    return len(fields) == 3 and fields[0].startswith("/") and fields[1].isdigit()


def _dsn(database: str, directory: str, port: str, user: str) -> str:
    usual = directory == "/var/run/postgresql"
    words = [] if usual else [f"host={quote(directory)}"]
    words += [] if port == "5432" else [f"port={port}"]
    query = f"?{'&'.join(words)}" if words else ""
    return f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}{query}"
