"""Connect to a PostgreSQL server, and pass the connection's parameters to its programs.

psycopg gets a password as a parameter, the programs by a PGPASSFILE of mode 0600; it is never part
of a conninfo string, an argv or a message.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakSet

import psycopg
from psycopg import pq

from drd import log, process
from drd.errors import SourceError, SourceMissing, SourceUnreachable
from drd.kinds import servers
from drd.kinds.closed_sockets import is_closed, who_may
from drd.kinds.postgres.address import NO_PASSWORD, Address
from drd.kinds.postgres.quoting import catalog_first, ident
from drd.kinds.postgres.refusals import without_values
from drd.kinds.postgres.server_text import encoded, keep_bytes
from drd.model.recovery_command import IF_LOST
from drd.process import rights
from drd.users import user_name

Connection = psycopg.Connection[tuple[Any, ...]]

PASSFILE = "pgpass"
_STRANGER = re.compile(r'FATAL: +role "(.*)" does not exist')

_LIMITS = (
    # No limit that an administrator set for applications ends our work, and where row security
    # would hide rows, an error says so.
    "SET statement_timeout = 0",
    "SET lock_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET row_security = off",
)
_NEWER_LIMITS = {140000: "idle_session_timeout", 170000: "transaction_timeout"}
"""Time limits, by the server's version that introduced them."""
PINNED = (
    # So that values and names print the same in every server.
    "SET search_path = pg_catalog",
    "SET DateStyle = 'ISO, YMD'",
    "SET IntervalStyle = 'postgres'",
    "SET TimeZone = 'UTC'",
    "SET extra_float_digits = 3",
    "SET bytea_output = 'hex'",
    "SET xmlbinary = 'base64'",
    "SET lc_monetary = 'C'",
    "SET quote_all_identifiers = off",
    "SET standard_conforming_strings = on",
    "SET client_min_messages = warning",
)
_REQUIRE_AUTH_SINCE = 160000
_LEADS = ("connection failed: ", "connection is bad: ")

_opened: WeakSet[Connection] = WeakSet()
_of_owner: WeakSet[Connection] = WeakSet()
_opening = threading.Lock()


def no_event_triggers(major: int) -> str:
    """Return the option by which a superuser's login fires no event triggers: a login trigger could
    write data that then differs from the backup.
    """
    return "-c event_triggers=off" if major >= 17 else ""


def words(error: psycopg.Error) -> str:
    """Return the server's own message in one line, without the statement that caused it, and
    without values of rows."""
    text = error.diag.message_primary or str(error).strip() or type(error).__name__
    if isinstance(error, psycopg.DataError):
        text = without_values(text)
    for lead in _LEADS:
        text = text.removeprefix(lead)
    return log.masked("; ".join(line.strip() for line in text.splitlines() if line.strip()))


def _never_asked(address: Address) -> dict[str, Any]:
    """Return the parameter with which libpq answers no question for a password."""
    never = address.password == NO_PASSWORD and pq.version() >= _REQUIRE_AUTH_SINCE
    return {"require_auth": "none"} if never else {}


def connect(address: Address, *, pinned: bool = True) -> Connection:
    """Connect in autocommit mode without time limits.

    `pinned` also fixes the format of printed values and removes the search path. Otherwise the
    search path is the application's, except that nothing may precede pg_catalog: otherwise another
    user's operator or aggregate would be called instead of the server's. Raises SourceUnreachable
    with the server's words, SourceMissing if only the database does not exist, SourceError if the
    login is refused.
    """
    connection = _logged_in(address)
    with _opening:
        _opened.add(connection)
    keep_bytes(connection)
    try:
        statements = [*_LIMITS, *(PINNED if pinned else ())]
        for since, setting in _NEWER_LIMITS.items():
            if connection.info.server_version >= since:
                statements.append(f"SET {setting} = 0")
        connection.execute("; ".join(statements).encode())
        path = None if pinned else catalog_first(search_path(connection))
        if path is not None:
            names = ", ".join(map(ident, path))
            connection.execute(encoded(f"SET search_path TO {names}"))
    except psycopg.Error as error:
        connection.close()
        raise SourceError(
            f"cannot set up a session in {address.named}: {words(error)}",
            hint="connect to the server itself, not through a connection pooler.",
        ) from error
    return connection


def _logged_in(address: Address) -> Connection:
    """Connect; if the server does not let root in, and the dsn names the user for whom root acts,
    as this user. A recovery needs no other login than the backups then."""
    if address.as_owner:
        with rights.owners():
            return _dialled(address)
    try:
        return _dialled(address)
    except SourceMissing:
        raise
    except SourceError as error:  # not LoginRefused: the server's messages are in its language
        if address.socket is None or address.password:
            raise
        if not rights.is_owners(address.params.get("user")):
            raise
        roots = error
    try:
        with rights.owners():
            connection = _dialled(address)
    except LoginRefused:
        raise roots from None
    _of_owner.add(connection)
    return connection


def _dialled(address: Address) -> Connection:
    try:
        return psycopg.connect(
            address.dialled,
            password=address.password,
            **_never_asked(address),
            client_encoding="utf8",
            autocommit=True,
            prepare_threshold=None,
        )
    except psycopg.OperationalError as error:
        raise _refused(address, error) from error


def reached(address: Address, connection: Connection) -> Address:
    """Return the address of what this connection reached, for the next connections and for
    programs."""
    return replace(address.pinned(connection), as_owner=connection in _of_owner)


def own_sessions(connection: Connection) -> list[int]:
    """Return the server's process ids of this process's sessions at the server of `connection`. The
    name of a session proves nothing, because anybody can choose it.
    """
    with _opening:
        opened = list(_opened)
    pids = []
    for other in opened:
        with suppress(psycopg.OperationalError):  # it has just been closed
            if _server(other) == _server(connection):
                pids.append(other.info.backend_pid)
    return pids


class LoginRefused(SourceError):
    """The server answers, and does not let this user in."""


class UnknownLogin(LoginRefused):
    """The server has no role with this user's name."""


def _server(connection: Connection) -> tuple[str, str, int]:
    info = connection.info
    return info.host, info.hostaddr, info.port


def search_path(connection: Connection) -> str:
    """Return the search path of the session, as in its setting."""
    row = connection.execute("SHOW search_path").fetchone()  # no function: that may be somebody's
    return str(row[0]) if row else ""


def path_option(connection: Connection) -> str:
    """Return the connection option that makes other sessions search pg_catalog first, by a pinned
    session; empty if they do so without it.
    """
    query = "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'"
    row = connection.execute(query).fetchone()
    path = catalog_first(str(row[0])) if row else None
    if path is None:
        return ""
    names = ",".join(map(ident, path))
    return "-c search_path=" + re.sub(r"([\\\s])", r"\\\1", names)


def _refused(address: Address, error: psycopg.OperationalError) -> SourceError:
    said = words(error)
    nobody_there = isinstance(error, psycopg.errors.ConnectionTimeout)
    known = None if nobody_there else _known_elsewhere(address)
    if known == []:
        return SourceMissing(
            f"{address.named} does not have the database that dsn names"
            if address.origin
            else f"{address.named} has no database {address.dbname}",
            hint=f"{IF_LOST} Otherwise correct the name of the database in dsn, or create the "
            "database.",
        )
    if known and not known[0][0]:
        return LoginRefused(f"{address.named} refuses the login: {said}", hint=known[0][1])
    if stranger := _STRANGER.search(said):
        name = stranger[1].replace('"', '""')
        return UnknownLogin(
            f"{address.named} refuses the login: {said}",
            hint=f'create the role: CREATE ROLE "{name}" LOGIN; or create it with all rights by '
            "the script that `drd doctor PLAN --grants` prints; or name another user in dsn: "
            "postgresql://USER@…",
        )
    if "Peer authentication failed" in said:
        return LoginRefused(
            f"{address.named} refuses the login: {said}",
            hint=_to_let_in(address),
        )
    if "authentication failed" in said or "no password supplied" in said or "pg_hba" in said:
        return LoginRefused(
            f"{address.named} refuses the login: {said}",
            hint="correct user and password in dsn; pg_hba.conf must allow this host. The server "
            "refuses an expired password in the same words (ALTER ROLE … VALID UNTIL). If the role "
            "does not exist yet, for example on a new server, run the script that `drd "
            "doctor PLAN --grants` prints: it creates the role with all rights.",
        )
    if address.inside is not None:
        process.image_of(address.inside)  # says so if the container does not run
        return SourceUnreachable(
            f"cannot connect to {address.named}: {address.relay_said or said}",
            hint="check that the server runs in the container, and that host and port in `dsn` "
            "are right as seen from inside.",
        )
    hint = "check that the server runs, and that host and port in `dsn` are right."
    if (socket := address.socket) is not None and is_closed(socket):
        hint = who_may(socket, _OPENED)
    return SourceUnreachable(f"cannot connect to {address.named}: {said}", hint=hint)


def _to_let_in(address: Address) -> str:
    """Return what to do about a login that peer authentication refuses: whoever runs drd is another
    system user than the role is named after."""
    runs, role = user_name(os.geteuid()), address.params.get("user") or "ROLE"
    lines = " and ".join(f"`drd {name} {role}`" for name in dict.fromkeys([runs, role]))
    return (
        f"drd runs as the system user {runs}. To let {runs} log in, write {lines} into "
        "pg_ident.conf, each as a line of its own, and `map=drd` behind `peer` into the line of "
        "pg_hba.conf for this login. Then run: SELECT pg_reload_conf(). Or allow this role to log "
        "in with a password (pg_hba.conf), and give drd the password in dsn."
    )


_OPENED = "set `unix_socket_permissions = 0770` in postgresql.conf, and restart the server"


_KNOWN = """
SELECT pg_catalog.has_database_privilege(oid, 'CONNECT'),
       format('GRANT CONNECT ON DATABASE %%I TO %%I;', datname, current_user)
  FROM pg_catalog.pg_database WHERE datname = %s"""


def _known_elsewhere(address: Address) -> list[tuple[Any, ...]] | None:
    """Ask another database about the refused one, since the server's messages are in its language:
    no row if there is no such database, else whether the user may connect to it and what would
    permit it.
    """
    for other in ("postgres", "template1"):
        if other == address.dbname:
            continue
        try:
            with psycopg.connect(
                address.to_database(other).dialled,
                password=address.password,
                **_never_asked(address),
            ) as there:
                return there.execute(_KNOWN.encode(), [address.dbname]).fetchall()
        except psycopg.Error:
            continue
    return None


def interruptible(connection: Connection) -> AbstractContextManager[None]:
    """Cancel the server's work in the body when drd is cancelled; raises Cancelled then."""
    return servers.interruptible(lambda: connection.cancel_safe(timeout=2.0))


@contextmanager
def password_file(address: Address, directory: Path) -> Iterator[dict[str, str]]:
    """Return the environment that gives programs the password: a PGPASSFILE in `directory`, removed
    at the end. Empty without a password.
    """
    environment = write_password_file(address, directory)
    try:
        yield environment
    finally:
        (directory / PASSFILE).unlink(missing_ok=True)


def write_password_file(address: Address, directory: Path) -> dict[str, str]:
    """Write a password file like `password_file`, for a caller that removes the file later."""
    path = directory / PASSFILE
    path.unlink(missing_ok=True)
    if not address.password:
        return {}
    if address.inside is not None:
        return {"PGPASSWORD": address.password}  # drd passes it through a pipe
    escaped = address.password.replace("\\", "\\\\").replace(":", "\\:")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"*:*:*:*:{escaped}\n")
    return {"PGPASSFILE": str(path)}
