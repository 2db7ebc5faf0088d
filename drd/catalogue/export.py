"""Copy the whole catalogue, from whatever database, into one SQLite file. Any `sqlite3` can open
this file when the host is lost.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, select, text
from sqlalchemy.engine import URL

from drd.catalogue import (  # noqa: F401 (they fill the metadata)
    append_only,
    daemon_tables,
    record_tables,
    summary_tables,
    trouble,
)
from drd.catalogue.changes import statements
from drd.catalogue.engine import Database
from drd.catalogue.tables import metadata
from drd.catalogue.version import HEAD

_ROWS = 1000


def export_to(database: Database, path: Path) -> None:
    """Write the catalogue to a file, and replace an existing file. Its mode is 0600: it goes into
    a backup, not to colleagues."""
    path.unlink(missing_ok=True)
    if database.path is not None:
        copy_sqlite(database, path, mode=0o600)
        return
    _make_empty(path, 0o600)
    copy = Database(URL.create("sqlite", database=str(path)).render_as_string())
    try:
        with database.read() as source, copy.write() as target:
            _copy_tables(source, target)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        copy.close()


def copy_sqlite(database: Database, path: Path, *, mode: int) -> None:
    """Copy a SQLite catalogue to a new file, consistently, also while others write to it."""
    assert database.path is not None
    _make_empty(path, mode)
    try:
        with database.explained(), database.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            # VACUUM INTO fills an empty file and works in no transaction, so the driver runs it.
            raw.execute("VACUUM INTO ?", (str(path),)).close()
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, sqlite3.Error):
            # A full disk is that of the copy; damage is in the catalogue.
            full = error.sqlite_errorname.startswith(("SQLITE_FULL", "SQLITE_IOERR"))
            explained = trouble.explain_sqlite(error, path if full else database.path)
            if explained is not None:
                raise explained from error
        raise


def _make_empty(path: Path, mode: int) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        os.fchmod(fd, mode)
        os.close(fd)
    except OSError as error:
        raise trouble.explain_os(error, str(path)) from error


def _copy_tables(source: Connection, target: Connection) -> None:
    metadata.create_all(target)
    target.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
    target.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
    for table in metadata.sorted_tables:
        for rows in source.execute(select(table)).partitions(_ROWS):
            target.execute(table.insert(), [row._asdict() for row in rows])
    for statement in (*statements("sqlite"), *append_only.statements("sqlite")):
        target.execute(text(statement))
