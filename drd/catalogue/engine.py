"""Connections, transactions, and every difference between SQLite and PostgreSQL.

Both have one writer at a time: SQLite by `BEGIN IMMEDIATE`, PostgreSQL by an advisory lock. So a
writer may rely on what its own transaction has read. A reader sees one state.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Insert, Table, create_engine, event, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from drd import secrets
from drd.catalogue import malformed, trouble
from drd.catalogue.reading import STUMBLES, require_file
from drd.errors import CatalogueError
from drd.model.plan import SecretRef

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

_IN_ONE_STATEMENT = 500

BUSY_S = 30
"""How long a writer waits for another. Writes take milliseconds, but a run is useless when its
result cannot be recorded."""

_WRITER_LOCK = 0x647264  # "drd": any number will do, as long as every drd takes the same


class Database:
    """The database of a catalogue. `place` names it in messages, without a password. `busy_s` is
    how long a writer waits for another, by default BUSY_S. With `read_only`, drd does not write to
    a SQLite file and the files beside it. With `at_rest`, nobody writes to the file, so it is read
    without locks. `password` is read at each new connection, and is in no URL."""

    def __init__(
        self,
        url: str,
        busy_s: float | None = None,
        *,
        at_rest: bool = False,
        read_only: bool = False,
        password: SecretRef | None = None,
    ) -> None:
        self._busy_s = BUSY_S if busy_s is None else busy_s
        try:
            self.url: URL = make_url(url)
        except ArgumentError:
            raise CatalogueError(
                f"{url!r} is not a database URL",
                hint="use for example sqlite:////var/lib/drd/drd.db",
            ) from None
        self.path = sqlite_path(self.url)
        self.place = str(self.path or shown(self.url))
        if self.path is None:
            self.engine = _postgresql_engine(self.url, password)
        else:
            url_ = _to_read(self.path, at_rest=at_rest) if at_rest or read_only else self.url
            self.engine = _sqlite_engine(url_, self._busy_s)
        self._writer = self.engine.execution_options(drd_write=True)
        self._reader = self.engine
        if self.path is None:
            self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ")
        self._mine = threading.local()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that sees one consistent state."""
        with self.explained(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, the only one that writes. It is committed unless the body raises."""
        shared: Connection | None = getattr(self._mine, "connection", None)
        if shared is not None:
            with self.explained():
                yield shared
            return
        with self.explained(), self._writer.begin() as connection:
            if self.path is None:
                connection.execute(text(f"SET LOCAL lock_timeout = {int(self._busy_s * 1000)}"))
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})"))
            yield connection

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one transaction of what this thread writes in the body. Reads in the body see the
        state before."""
        with self.write() as connection:
            self._mine.connection = connection
            try:
                yield
            finally:
                del self._mine.connection

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn an error of the database, or an error caused by a malformed value, into a
        CatalogueError with a remedy."""
        try:
            yield
        except (*STUMBLES, zlib.error) as error:
            self.explain_value(error)
            raise
        except DBAPIError as error:
            explained = self._explain(error)
            if explained is None:
                raise
            raise explained from error
        except PoolTimeout as error:
            raise trouble.busy(self.place) from error

    def explain_value(self, error: Exception) -> None:
        """Raise CatalogueError if the catalogue contains a malformed value, which may have caused
        `error`."""
        malformed_value = malformed.find(self)
        if malformed_value is not None:
            raise trouble.malformed(self.path, self.place, malformed_value) from error

    def _explain(self, error: DBAPIError) -> CatalogueError | None:
        if self.path is not None:
            known = isinstance(error.orig, sqlite3.Error)
            return trouble.explain_sqlite(error.orig, self.path) if known else None  # type: ignore[arg-type]
        return _explain_postgresql(error, self.place)

    def close(self) -> None:
        self.engine.dispose()


class SqlStore:
    """One store of the catalogue, for one kind of thing. Its port in `drd.ports` says what each
    method does. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database


def shown(url: URL) -> str:
    """Return the URL for messages: without the password, which libpq also takes as a parameter."""
    secret = {key: "***" for key in url.query if "pass" in key}
    return url.update_query_dict(secret).render_as_string(hide_password=True)


def sqlite_path(url: URL) -> Path | None:
    """Return the file of a SQLite URL, None for PostgreSQL. Raises CatalogueError for any other
    URL."""
    backend = url.get_backend_name()
    if backend == "postgresql":
        return None
    if backend != "sqlite" or not url.database or url.database == ":memory:":
        raise CatalogueError(
            f"drd cannot keep its catalogue in {shown(url)}",
            hint="use sqlite:////PATH or postgresql+psycopg://USER@HOST/DATABASE",
        )
    return Path(url.database).absolute()


def upsert(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row, or set these columns of the row with the same primary key."""
    in_sqlite = connection.dialect.name == "sqlite"
    statement = _upsert(table, frozenset(values), in_sqlite=in_sqlite)
    connection.execute(statement, dict(values))


@lru_cache(256)
def _upsert(table: Table, names: frozenset[str], *, in_sqlite: bool) -> Insert:
    """The statement for rows with these columns. To make it takes as long as to execute it."""
    made: sqlite.Insert | postgresql.Insert
    if in_sqlite:
        made = sqlite.insert(table)
    else:
        from sqlalchemy.dialects import postgresql  # 40 ms that SQLite need not pay

        made = postgresql.insert(table)
    keys = [c.name for c in table.primary_key]
    rest = sorted(names.difference(keys))
    if not rest:
        return made.on_conflict_do_nothing(index_elements=keys)
    return made.on_conflict_do_update(
        index_elements=keys, set_={name: made.excluded[name] for name in rest}
    )


def insert_all(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert any number of rows."""
    if rows:
        connection.execute(table.insert(), [dict(row) for row in rows])


def batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Divide the ids into parts that fit into one statement: SQLite takes 32,766 parameters,
    PostgreSQL 65,535."""
    for start in range(0, len(ids), _IN_ONE_STATEMENT):
        yield ids[start : start + _IN_ONE_STATEMENT]


def _to_read(path: Path, *, at_rest: bool) -> URL:
    require_file(str(path))
    query = {"mode": "ro", "immutable": str(int(at_rest)), "uri": "true"}
    return URL.create("sqlite", database=f"file:{quote(str(path))}", query=query)


def _sqlite_engine(url: URL, busy_s: float) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": busy_s, "check_same_thread": False},
        pool_size=4,
        max_overflow=16,
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        # Without this the driver begins transactions itself, deferred and late: of concurrent
        # read-modify-writes three in four were lost without an error.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin_transaction(connection: Connection) -> None:
        write = connection.get_execution_options().get("drd_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgresql_engine(url: URL, password: SecretRef | None) -> Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    # READ COMMITTED, for a writer must see what the one before it committed while it waited for
    # the lock.
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10},
        pool_size=4,
        max_overflow=16,
    )
    if password is not None:

        @event.listens_for(engine, "do_connect")
        def _log_in(
            _dialect: object, _record: object, _args: object, given: dict[str, Any]
        ) -> None:
            given["password"] = secrets.resolve(password)

    return engine


def _explain_postgresql(error: DBAPIError, place: str) -> CatalogueError | None:
    state = getattr(error.orig, "sqlstate", None) or ""
    if state.startswith("53100"):
        return trouble.disk_full(place)
    if state.startswith(("55P03", "40")):
        return trouble.busy(place)
    if state == "42P01" and "alembic_version" in str(error.orig):
        return trouble.no_catalogue(place)
    if state in ("42501", "28000", "28P01"):
        return CatalogueError(
            f"PostgreSQL refuses access to drd's catalogue {place}: {error.orig}",
            hint="check the user, password and grants of the URL in `state`.",
            trouble="refused",
        )
    if error.connection_invalidated or state.startswith(("08", "57", "3D")) or not state:
        return CatalogueError(
            f"drd cannot reach its catalogue: {place}: {error.orig}",
            hint="check that PostgreSQL runs, and that `state` names the right database.",
            trouble="unreachable",
        )
    return None
