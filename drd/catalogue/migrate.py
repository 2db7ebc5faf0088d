"""Brings the tables to the version of this code.

Alembic takes 0.4 s to import, so it is only imported when there is something to migrate. On SQLite
the database is copied first, and the copy stays beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from drd import log, modes
from drd.catalogue import trouble
from drd.catalogue.engine import Database
from drd.catalogue.export import copy_sqlite
from drd.catalogue.version import HEAD
from drd.errors import CatalogueError

_log = log.get()


@dataclass(frozen=True, slots=True)
class Schema:
    """The place of the migrations, and the version to which they lead."""

    scripts: Path = Path(__file__).parent / "migrations"
    head: str = HEAD


OURS = Schema()

_IN_SQLITE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
_IN_POSTGRESQL = "SELECT to_regclass('alembic_version')"


def version(database: Database) -> str | None:
    """Return the version of the tables, None when there are none."""
    with database.read() as connection:
        return _version(connection)


def bring_up_to_date(database: Database, schema: Schema = OURS) -> None:
    """Run the missing migrations, all or none. The caller holds the lock for it.

    Raises CatalogueError for tables that are newer than this code.
    """
    current = version(database)
    if current == schema.head:
        return
    kept = None
    if current is not None:
        if current > schema.head:
            raise trouble.wrong_version(database.place, current, schema.head)
        if database.path is not None:
            kept = _copy_name(database.path, schema.head)
            copy_sqlite(database, kept, mode=modes.PRIVATE_FILE)
    try:
        _upgrade(database, schema)
    except Exception as error:
        raise CatalogueError(
            f"drd could not upgrade its catalogue {database.place} to version {schema.head}: "
            f"{error}",
            hint="nothing was changed: use the former version of drd, and report this error.",
        ) from error
    if current is not None:
        what = f"drd upgraded its catalogue from version {current} to {schema.head}"
        _log.warning("catalogue.migrated", what=what, copy_of_before=str(kept) if kept else None)


def make_empty(path: Path, version: str) -> None:
    """Make a new catalogue at `path`, with the tables of that version."""
    database = Database(URL.create("sqlite", database=str(path)).render_as_string())
    try:
        _upgrade(database, Schema(head=version))
    finally:
        database.close()


def _version(connection: Connection) -> str | None:
    # SQLAlchemy's inspector takes five times as long, and every command asks this.
    query = _IN_SQLITE if connection.dialect.name == "sqlite" else _IN_POSTGRESQL
    if connection.exec_driver_sql(query).scalar() is None:
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").one_or_none()
    return None if row is None else str(row[0])


def _copy_name(path: Path, head: str) -> Path:
    """A name that no file has: the copy of an earlier attempt may be the only good one."""
    wanted = path.with_name(f"{path.name}.before-{head}")
    number = 1
    while wanted.exists():
        number += 1
        wanted = path.with_name(f"{path.name}.before-{head}-{number}")
    return wanted


def _upgrade(database: Database, schema: Schema) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Alembic reads its options as configparser does, to which a percent sign means something.
    config.set_main_option("script_location", str(schema.scripts).replace("%", "%%"))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, schema.head)
