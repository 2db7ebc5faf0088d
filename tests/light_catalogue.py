"""New SQLite catalogues whose tables the migrations made only once.

A new catalogue goes through every migration there ever was, which takes a tenth of a second, and
nearly every test makes one. So the migrations run once in a process, and each new file gets the
same tables by the statements that SQLite keeps of them. Older catalogues, PostgreSQL, and every drd
that is a fresh process (daemons and their workers) go through the migrations.
"""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

from drd.catalogue import migrate
from drd.catalogue.engine import Database

_MADE = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
migrated = migrate._upgrade
"""The way through the migrations, for the tests of it."""


def install() -> None:
    """In this process, from now on. It makes the tables at once: later it may be another user."""
    statements()
    migrate._upgrade = _upgrade


def _upgrade(database: Database, schema: migrate.Schema) -> None:
    if schema != migrate.OURS or database.path is None or _has_tables(database):
        migrated(database, schema)
        return
    with database.write() as connection:
        for statement in statements():
            connection.exec_driver_sql(statement)


def _has_tables(database: Database) -> bool:
    with database.read() as connection:
        return bool(connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one())


@cache
def statements() -> list[str]:
    """What makes the tables as the migrations leave them."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("DRD_TEST_RUN")) as directory:
        database = Database(f"sqlite:///{Path(directory) / 'drd.db'}")
        try:
            migrated(database, migrate.OURS)
            with database.read() as connection:
                made = [str(sql) for (sql,) in connection.exec_driver_sql(_MADE)]
        finally:
            database.close()
    return [*made, f"INSERT INTO alembic_version VALUES ('{migrate.OURS.head}')"]
