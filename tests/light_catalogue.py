"""New SQLite catalogues whose tables the migrations made only once, and whose statements SQLAlchemy
compiled only once.

A new catalogue goes through every migration there ever was, which takes a tenth of a second, and
nearly every test makes one. So the migrations run once in a process, and each new file gets the
same tables by the statements that SQLite keeps of them. Older catalogues, PostgreSQL, and every drd
that is a fresh process go through the migrations.

SQLAlchemy keeps what it compiled for each engine, so each open catalogue compiled everything anew:
a third of what a command of drd takes. Here all catalogues in SQLite of a process share that.
"""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, TextClause, create_engine
from sqlalchemy.util import LRUCache

from drd.catalogue import engine as engines
from drd.catalogue import migrate
from drd.catalogue.engine import Database

_MADE = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
migrated = migrate._upgrade
"""The way through the migrations, for the tests of it."""


def install() -> None:
    """In this process, from now on. It makes the tables at once: later it may be another user."""
    statements()
    migrate._upgrade = _upgrade
    engines.create_engine = _engine  # type: ignore[attr-defined]


class _Compiled(LRUCache[Any, Any]):
    """What was compiled, for every dialect of a class. Of a text nobody knows the columns before it
    is executed, so that stays with its engine."""

    _of_all: LRUCache[Any, Any] = LRUCache(2000)

    def get(self, key: Any, default: Any = None) -> Any:
        if key[1][0] is TextClause:
            return super().get(key, default)
        return self._of_all.get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        if key[1][0] is TextClause:
            super().__setitem__(key, compiled)
        else:
            self._of_all[type(key[0]), *key[1:]] = compiled


def _engine(*words: Any, **options: Any) -> Engine:
    made = create_engine(*words, **options)
    if made.dialect.name == "sqlite":
        made._compiled_cache = _Compiled(500)
    return made


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
