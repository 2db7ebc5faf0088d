"""The catalogue on a database: the one that `drd.ports.Catalogue` promises."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from drd import modes, process
from drd.catalogue import export, figures, migrate
from drd.catalogue.alerts import SqlAlertBook
from drd.catalogue.copies import SqlCopyStore
from drd.catalogue.custody import SqlCustody
from drd.catalogue.decisions import SqlDecisionStore
from drd.catalogue.engine import Database
from drd.catalogue.evidence import SqlEvidenceStore
from drd.catalogue.health import SqlHealth
from drd.catalogue.keeping import SqlKeeping
from drd.catalogue.kits import SqlKitStore
from drd.catalogue.locks import LockFiles
from drd.catalogue.origins import SqlOrigins
from drd.catalogue.outbox import SqlOutbox
from drd.catalogue.plans import SqlPlanStore
from drd.catalogue.points import SqlPointStore
from drd.catalogue.queue import SqlQueue
from drd.catalogue.repositories import SqlRepositoryStore
from drd.catalogue.run_store import SqlRunStore
from drd.catalogue.steps import SqlStepStore
from drd.catalogue.summary import at_rest
from drd.catalogue.trouble import explain_os, no_catalogue
from drd.errors import CatalogueError
from drd.model.figures import CatalogueFigures
from drd.model.plan import SecretRef
from drd.model.run import Run
from drd.ports import Catalogue

_MIGRATION_WAIT_S = 120.0
_opening = threading.Lock()
"""Alembic keeps its state in its modules: one migration at a time in a process."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class SqlCatalogue(Catalogue):
    """The catalogue in `database`, with its lock files."""

    database: Database
    locks: LockFiles

    def together(self) -> AbstractContextManager[None]:
        return self.database.together()

    def figures(self) -> CatalogueFigures:
        with self.database.read() as connection:
            return figures.read(connection)

    def export_to(self, path: Path) -> None:
        export.export_to(self.database, path)

    def lock(self, name: str, *, wait_s: float) -> AbstractContextManager[None]:
        return self.locks.waiting(name, wait_s)

    def close(self) -> None:
        self.database.close()


def _catalogue(
    database: Database, locks: LockFiles, roots: Callable[[Run], bool] = lambda _: False
) -> SqlCatalogue:
    """Put the stores together: a new one is one line here, and one in `drd.ports.catalogue`."""
    custody = SqlCustody(database)
    runs = SqlRunStore(
        database,
        locks,
        elsewhere=database.path is None,
        place=custody.here(),
        state=process.state_id(locks.directory.parent),
        roots=roots,
    )
    return SqlCatalogue(
        database=database,
        locks=locks,
        plans=SqlPlanStore(database),
        runs=runs,
        steps=SqlStepStore(database),
        decisions=SqlDecisionStore(database),
        points=SqlPointStore(database),
        copies=SqlCopyStore(database),
        evidence=SqlEvidenceStore(database),
        kits=SqlKitStore(database),
        repositories=SqlRepositoryStore(database),
        queue=SqlQueue(database),
        outbox=SqlOutbox(database),
        alerts=SqlAlertBook(database),
        origins=SqlOrigins(database),
        health=SqlHealth(database),
        keeping=SqlKeeping(database),
        custody=custody,
    )


def open_catalogue(
    url: str,
    *,
    create: bool,
    state_dir: Path | None = None,
    schema: migrate.Schema = migrate.OURS,
    busy_s: float | None = None,
    reading: bool = False,
    password: SecretRef | None = None,
    roots: Callable[[Run], bool] = lambda _: False,
) -> SqlCatalogue:
    """Open the catalogue and bring its tables up to date.

    Without `create` it has to exist. `state_dir` is where lock files go: by default beside the
    SQLite file; for PostgreSQL it must be given. What is made here has the modes 0700 and 0600.
    `password` is where that of a PostgreSQL server's user is read from.
    `busy_s` is how long a write waits for another process's, by default half a minute. Who is only
    `reading` gets what was recorded also where SQLite needs to write for it and cannot. `roots`
    says of which run root may end processes of root's own, where it acts for another user.
    """
    database = Database(url, busy_s, password=password)
    directory = state_dir or (database.path.parent if database.path else None)
    if directory is None:
        raise CatalogueError(
            f"the catalogue {database.place} needs a directory for its lock files on this host",
            hint="set `work_dir` in drd.yaml.",
        )
    try:
        locks = _prepare(database, directory, create=create)
        with _opening:
            if _is_current(database, schema):
                return _catalogue(database, locks, roots)
            with locks.waiting("migrate", _MIGRATION_WAIT_S):
                _create_file(database)
                if not create and migrate.version(database) is None:
                    raise no_catalogue(database.place)
                migrate.bring_up_to_date(database, schema)
    except BaseException as error:
        database.close()
        if reading and isinstance(error, CatalogueError):
            opened = _at_rest(url, database, directory, schema)
            if opened is not None:
                return opened
        if isinstance(error, OSError):
            raise explain_os(error, database.place) from error
        raise
    return _catalogue(database, locks, roots)


def _at_rest(
    url: str, database: Database, directory: Path, schema: migrate.Schema
) -> SqlCatalogue | None:
    """The catalogue of a disk that is full or may only be read, as its file has it; None while
    somebody writes to it, and for one of another version."""
    if database.path is None or at_rest(str(database.path)) is None:
        return None
    resting = Database(url, at_rest=True)
    with suppress(CatalogueError):
        if _is_current(resting, schema):
            return _catalogue(resting, LockFiles(directory / "locks"))
    resting.close()
    return None


def _prepare(database: Database, directory: Path, *, create: bool) -> LockFiles:
    if create:
        directory.parent.mkdir(parents=True, exist_ok=True)
        modes.make_private_directory(directory)
    elif database.path is not None and not database.path.exists():
        raise no_catalogue(database.place)
    return LockFiles(directory / "locks")


def _is_current(database: Database, schema: migrate.Schema) -> bool:
    if database.path is not None and not (database.path.exists() and database.path.stat().st_size):
        # Another process is just making it: it will be looked at when that one is done.
        return False
    return migrate.version(database) == schema.head


def _create_file(database: Database) -> None:
    """With its mode from the start, which SQLite copies to the files beside it. Only where there is
    none: opening and closing a SQLite file elsewhere in a process drops its connections' locks."""
    if database.path is None or database.path.exists():
        return
    try:
        os.close(modes.open_private_file(database.path))
    except OSError:
        # Opening it once more, through the engine, says what is wrong.
        return
