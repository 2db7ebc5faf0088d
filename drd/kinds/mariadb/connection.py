"""Connect to a MariaDB or MySQL server."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pymysql

from drd import log
from drd.errors import (
    DrdError,
    NotSupported,
    SourceError,
    SourceMissing,
    SourceUnreachable,
)
from drd.kinds import servers
from drd.kinds.closed_sockets import is_closed, who_may
from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.clear_password import refusing, require_proven
from drd.kinds.mariadb.flavour import MARIADB, MYSQL, of_server, ways_in
from drd.kinds.mariadb.greeting import place_of, product_at, system_user
from drd.kinds.mariadb.quoting import account, ident
from drd.kinds.mariadb.refusals import without_values
from drd.kinds.mariadb.tools import numbers
from drd.model.recovery_command import IF_LOST
from drd.process import image_of, rights

CONNECT_S = 10
CONNECT_INSIDE_S = 30
"""The engine of a container may need seconds to start a program there."""

NO_DATABASE = 1049
_REFUSED = (1044, 1045, 1130, 1698, 1862, 1820, 4151)
_GONE = (2006, 2013, 2014, 2055)
_LATE = (1969, 3024)
_INTERRUPTED = 1317
_LOCKED_OUT = (1205, 1213)

_opened: WeakSet[Connection] = WeakSet()
_opening = threading.Lock()

ServerError = pymysql.err.MySQLError


class LoginRefused(SourceError):
    """The server answers, and does not let this user in."""


def words(error: BaseException) -> str:
    """Return the server's own message in one line, without values of rows."""
    said = error.args[1] if len(error.args) > 1 else error.args[0] if error.args else error
    return log.masked(" ".join(without_values(code(error), str(said)).split()))[:600]


def code(error: BaseException) -> int:
    """Return the number of the server's error; 0 if it has none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def is_lost(error: BaseException) -> bool:
    return code(error) in _GONE or isinstance(error, pymysql.err.InterfaceError)


def is_late(error: BaseException) -> bool:
    return code(error) in _LATE


def is_locked_out(error: BaseException) -> bool:
    """Return whether the statement failed because another session held a lock for too long."""
    return code(error) in _LOCKED_OUT


class Connection:
    """A session in autocommit mode. All methods raise `ServerError`."""

    def __init__(self, address: Address, raw: Any) -> None:
        self.address = address
        self._raw = raw
        self.id = int(raw.thread_id())
        self.version = str(raw.get_server_info())
        self.flavour = of_server(self.version)

    def rows(self, sql: str, values: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        with self._raw.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    def one(self, sql: str, values: Sequence[Any] | None = None) -> tuple[Any, ...] | None:
        rows = self.rows(sql, values)
        return rows[0] if rows else None

    def value(self, sql: str, values: Sequence[Any] | None = None) -> Any:
        row = self.one(sql, values)
        return row[0] if row else None

    def execute(self, sql: str, values: Sequence[Any] | None = None) -> int:
        """Carry out one statement, and return how many rows it changed."""
        with self._raw.cursor() as cursor:
            return int(cursor.execute(sql, values))

    @property
    def peer(self) -> int | None:
        """The user of the process that answers at a Unix socket; None for other connections."""
        if self.address.parts.host or self.address.inside is not None:
            return None
        size = struct.calcsize("3i")
        at = self._raw._sock  # noqa: SLF001 - the driver has no other name for it
        credentials = at.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return int(struct.unpack("3i", credentials)[1])

    def limit(self, seconds: float) -> None:
        """Let the server cancel each statement of this session that takes longer than `seconds`;
        0: cancel none."""
        limit = self.flavour.limit.format(seconds=seconds, milliseconds=seconds * 1000)
        self.execute(limit)

    @contextmanager
    def ended_after(self, seconds: float) -> Iterator[None]:
        """Cancel the statement in the `with` block after `seconds`, if the limit of the server
        itself applies to queries only."""
        over = threading.Event()

        def end() -> None:
            over.set()
            self.kill_query()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        if not self.flavour.limits_writes:
            timer.start()
        try:
            yield
        except ServerError as error:
            if over.is_set() and code(error) == _INTERRUPTED:
                raise pymysql.err.OperationalError(_LATE[-1], words(error)) from error
            raise
        finally:
            timer.cancel()

    def kill_query(self) -> None:
        """Cancel the statement that the server executes for this session. A second session sends
        the command."""
        with suppress(DrdError, ServerError), connect(self.address, database=False) as other:
            other.execute(f"KILL QUERY {self.id}")

    def use(self, database: str) -> None:
        self.execute(f"USE {ident(database)}")

    def close(self) -> None:
        with suppress(pymysql.err.Error, OSError):
            self._raw.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(address: Address, *, database: bool = True) -> Connection:
    """Connect to the database of the address, or to its server without a database. Raises
    SourceUnreachable, SourceMissing if only the database does not exist, LoginRefused, and
    NotSupported for a server that is too old, or that drd cannot use as it is set up."""
    raw = _logged_in(address, database=database)
    connection = Connection(address, raw)
    with _opening:
        _opened.add(connection)
    try:
        _require_supported(connection)
        for statement in connection.flavour.session:
            connection.execute(statement)
    except ServerError as error:
        connection.close()
        raise SourceError(
            f"cannot set up a session in {address.named}: {words(error)}",
            hint="connect to the server itself, not through a proxy.",
        ) from error
    except NotSupported:
        connection.close()
        raise
    return connection


def _logged_in(address: Address, *, database: bool) -> Any:
    """Connect; if the server does not let root in, and the dsn names the user for whom root acts,
    as this user. A recovery needs no other login than the backups then."""
    try:
        return _dialled(address, database=database)
    except LoginRefused as error:
        parts = address.parts
        if parts.host or parts.password or address.inside is not None:
            raise
        if not rights.is_owners(parts.user):
            raise
        roots = error
    try:
        with rights.owners():
            return _dialled(address, database=database)
    except LoginRefused:
        raise roots from None


def _dialled(address: Address, *, database: bool) -> Any:
    parts = address.parts
    tls = {"ssl": {"ca": parts.ssl_ca or None}} if parts.ssl else {"ssl_disabled": True}
    try:
        return pymysql.connect(
            **place_of(address),
            **tls,
            user=parts.user,
            password=parts.password,
            database=parts.database if database else None,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=CONNECT_S if address.inside is None else CONNECT_INSIDE_S,
            local_infile=False,
            program_name="drd",
            auth_plugin_map=refusing(parts),
        )
    except (pymysql.err.MySQLError, OSError, RuntimeError) as error:
        raise _refused(address, error) from error


def own_sessions(connection: Connection) -> list[int]:
    """Return the ids of the sessions that this process has at the server of `connection`."""
    where = connection.address.parts
    with _opening:
        opened = list(_opened)
    same = [
        other
        for other in opened
        if (other.address.parts.host, other.address.parts.port, other.address.parts.socket)
        == (where.host, where.port, where.socket)
    ]
    return [other.id for other in same]


def _require_supported(connection: Connection) -> None:
    version = str(connection.value("SELECT VERSION()"))
    connection.version = version
    product = connection.flavour = of_server(version)
    named = connection.address.named
    if numbers(version)[:2] < product.oldest:
        oldest = ".".join(map(str, product.oldest))
        raise NotSupported(
            f"{named} has {product.name} {version[:60]}, which is older than {oldest}",
            hint=f"upgrade the server to {product.name} {oldest} or newer, or use kind `command`.",
        )
    if product is MYSQL:
        require_proven(connection.address.parts, named)
        if connection.value("SELECT @@GLOBAL.partial_revokes"):
            raise NotSupported(
                f"{named} has `partial_revokes = ON`: then `_` in the name of a database means "
                "something else in GRANT, and drd would read and give wrong rights",
                hint="set partial_revokes to OFF, or use kind `command` with mysqldump.",
            )


def version_text(connection: Connection) -> str:
    """Return `11.8.3`, without the packager's addition."""
    return connection.version.partition("-")[0]


def _to_log_in(address: Address) -> str:
    """Return what to do about a refused login. Without a password, a socket lets in system users,
    and whoever runs drd is perhaps another one than the dsn names: root, for a recovery."""
    parts, runs = address.parts, system_user(address.inside)
    missing = (
        "If the user does not exist yet, run the script that `drd doctor PLAN --grants` prints: it "
        "creates the user with all rights."
    )
    if parts.password or parts.host or parts.user == runs:
        return f"correct user and password in dsn. {missing}"
    flavour = product_at(address) or MARIADB
    words = ways_in(flavour.lets_others_in[-1:], account(parts.user, "localhost"), [runs])
    statement = words[0].removeprefix("-- ").removesuffix(";")
    return (
        f"drd logs in from the system user {runs}, and without a password the server lets in only "
        f"the system users that it knows for {parts.user}. {missing} If it exists, let {runs} in, "
        f"as an administrator of the server: {statement}"
    )


def _refused(address: Address, error: BaseException) -> SourceError:
    said, number = words(error), code(error)
    if number == NO_DATABASE:
        return SourceMissing(
            f"{address.named} does not have the database that dsn names"
            if address.origin
            else f"{address.named} has no database {address.database}",
            hint=f"{IF_LOST} Otherwise correct the name of the database in dsn, or create the "
            "database.",
        )
    if number in _REFUSED:
        return LoginRefused(
            f"{address.named} refuses the login: {said}",
            hint=_to_log_in(address),
        )
    if isinstance(error, RuntimeError):
        return LoginRefused(
            f"{address.named} asks for a way to log in that drd does not use: {said}",
            hint="let the user log in by unix_socket (auth_socket), or by mysql_native_password. "
            "A user with caching_sha2_password, which is usual in MySQL, needs the server's socket "
            "or `ssl_ca` in dsn.",
        )
    if address.inside is not None and address.relayed is not None:
        image_of(address.inside)  # says so if the container does not run
        return SourceUnreachable(
            f"cannot connect to {address.named}: {address.relayed.said or said}",
            hint="check that the server runs in the container, and that host, port and socket in "
            "`dsn` are right as seen from inside.",
        )
    hint = "check that the server runs, and that host, port and socket in `dsn` are right."
    if address.parts.socket and is_closed(Path(address.parts.socket)):
        hint = who_may(
            Path(address.parts.socket), "let the group of the socket use it (chmod g+rw)"
        )
    return SourceUnreachable(f"cannot connect to {address.named}: {said}", hint=hint)


def interruptible(connection: Connection) -> AbstractContextManager[None]:
    """If drd is cancelled in the body, kill the query that the server runs for `connection`, and
    raise Cancelled."""

    return servers.interruptible(connection.kill_query)
