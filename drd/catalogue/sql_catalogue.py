"""The catalogue in a database, as `drd.ports.Catalogue` describes it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from sqlalchemy.engine import URL

from drd import modes, process
from drd.catalogue import export, figures, migrate, trouble
from drd.catalogue.alerts import SqlAlertBook
from drd.catalogue.copies import SqlCopyStore
from drd.catalogue.custody import SqlCustody
from drd.catalogue.decisions import SqlDecisionStore
from drd.catalogue.engine import Database
from drd.catalogue.evidence import SqlEvidenceStore
from drd.catalogue.health import SqlHealth
from drd.catalogue.incidents import SqlIncidents
from drd.catalogue.intake import SqlIntake
from drd.catalogue.keeping import SqlKeeping
from drd.catalogue.kits import SqlKitStore
from drd.catalogue.locks import LockFiles
from drd.catalogue.origins import SqlOrigins
from drd.catalogue.outbox import SqlOutbox
from drd.catalogue.plans import SqlPlanStore
from drd.catalogue.points import SqlPointStore
from drd.catalogue.queue import SqlQueue
from drd.catalogue.records import FindSigner, SqlRecords, no_signer
from drd.catalogue.repositories import SqlRepositoryStore
from drd.catalogue.run_store import SqlRunStore
from drd.catalogue.signatures import SqlSignatures
from drd.catalogue.stamps import SqlStamps
from drd.catalogue.steps import SqlStepStore
from drd.catalogue.summary import at_rest
from drd.errors import CatalogueError
from drd.model.figures import CatalogueFigures
from drd.model.incidents.cadence import NO_CADENCE, Cadence
from drd.model.message import Message, RunEvent
from drd.model.plan import SecretRef
from drd.model.run import Run
from drd.model.run_message import message_of_run
from drd.ports import Catalogue
from drd.ports.custody import Custodian

_MIGRATION_WAIT_S = 120.0
_TOLD = frozenset(get_args(RunEvent))
"""The kinds of runs whose end a channel may report."""
_opening = threading.Lock()
"""Alembic keeps its state in its modules, so only one migration at a time can run in a process."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class SqlCatalogue(Catalogue):
    """The catalogue in `database`, with its lock files."""

    database: Database
    locks: LockFiles

    def together(self) -> AbstractContextManager[None]:
        return self.database.together()

    def scratch(self, directory: Path) -> Catalogue:
        file = directory / "scratch.db"
        self.export_to(file)
        copy = Database(URL.create("sqlite", database=str(file)).render_as_string())
        return _catalogue(copy, self.locks, custody=self.custody)

    def figures(self) -> CatalogueFigures:
        with self.database.read() as connection:
            return figures.read(connection)

    def export_to(self, path: Path) -> None:
        export.export_to(self.database, path)

    def lock(self, name: str, *, wait_s: float) -> AbstractContextManager[None]:
        return self.locks.waiting(name, wait_s)

    def close(self) -> None:
        self.database.close()


def _catalogue(  # noqa: PLR0917 (what its stores need)
    database: Database,
    locks: LockFiles,
    roots: Callable[[Run], bool] = lambda _: False,
    custody: Custodian | None = None,
    find_signer: FindSigner = no_signer,
    cadence: Cadence = NO_CADENCE,
    *,
    tells: bool = False,
) -> SqlCatalogue:
    """Put the stores together. A new store is one line here, and one in `drd.ports.catalogue`."""
    custody = custody or SqlCustody(database)
    records = SqlRecords(database, find_signer, cadence)
    evidence = SqlEvidenceStore(database, records)

    def told(run: Run) -> Message | None:
        by_hand = run.trigger == "manual" and run.kind in _TOLD
        return message_of_run(run, evidence.of_run(run.id)) if by_hand else None

    runs = SqlRunStore(
        database,
        locks,
        records,
        elsewhere=custody.here() is None,
        place=custody.here(),
        state=process.state_id(locks.directory.parent),
        roots=roots,
        tell=told if tells else None,
    )
    incidents = SqlIncidents(database, records)
    return SqlCatalogue(
        database=database,
        locks=locks,
        plans=SqlPlanStore(database, records),
        runs=runs,
        steps=SqlStepStore(database),
        decisions=SqlDecisionStore(database, records),
        points=SqlPointStore(database),
        copies=SqlCopyStore(database),
        evidence=evidence,
        kits=SqlKitStore(database),
        repositories=SqlRepositoryStore(database),
        queue=SqlQueue(database, records),
        outbox=SqlOutbox(database),
        alerts=SqlAlertBook(database, records),
        origins=SqlOrigins(database),
        signatures=SqlSignatures(database),
        stamps=SqlStamps(database),
        health=SqlHealth(database),
        keeping=SqlKeeping(database, records),
        custody=custody,
        records=records,
        incidents=incidents,
        intake=SqlIntake(database, incidents),
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
    find_signer: FindSigner = no_signer,
    cadence: Cadence = NO_CADENCE,
    tells: bool = False,
) -> SqlCatalogue:
    """Open the catalogue and bring its tables up to date.

    Without `create` the catalogue has to exist. `state_dir` is the directory for lock files: by
    default that of the SQLite file; for PostgreSQL it must be given. New files and directories have
    the modes 0600 and 0700. `password` says where the password of the PostgreSQL user is read from.
    `busy_s` is how long a write waits for a write of another process, by default half a minute.
    With `reading`, a SQLite catalogue on a full or read-only disk is opened as well, which SQLite
    itself would refuse. `roots` says whether root, acting for another user, may end processes of
    root that work for a run. `find_signer` finds the key of the records; `cadence` says when people
    expect updates about incidents. With `tells`, the end of each run by hand that is recorded
    leaves a message to be sent.
    """
    database = Database(url, busy_s, password=password)
    directory = state_dir or (database.path.parent if database.path else None)
    if directory is None:
        raise CatalogueError(
            f"the catalogue {database.place} needs a directory for its lock files on this host",
            hint="set `work_dir` in drd.yaml to a directory of this host.",
        )
    try:
        locks = _prepare(database, directory, create=create)
        with _opening:
            if _is_current(database, schema):
                return _catalogue(
                    database, locks, roots, find_signer=find_signer, cadence=cadence, tells=tells
                )
            with locks.waiting("migrate", _MIGRATION_WAIT_S):
                _create_file(database)
                found = migrate.version(database)
                if not create and found is None:
                    raise trouble.no_catalogue(database.place)
                if found is not None and found < schema.head and locks.daemon_runs():
                    raise trouble.former_daemon(database.place, found)
                migrate.bring_up_to_date(database, schema)
    except BaseException as error:
        database.close()
        if reading and isinstance(error, CatalogueError):
            opened = _at_rest(url, database, directory, schema)
            if opened is not None:
                return opened
        if isinstance(error, OSError):
            raise trouble.explain_os(error, database.place) from error
        raise
    return _catalogue(database, locks, roots, find_signer=find_signer, cadence=cadence, tells=tells)


def _at_rest(
    url: str, database: Database, directory: Path, schema: migrate.Schema
) -> SqlCatalogue | None:
    """Return the catalogue on a disk that is full or read-only, as its file has it; None while
    somebody writes to it, and for a catalogue of another version."""
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
        raise trouble.no_catalogue(database.place)
    return LockFiles(directory / "locks")


def _is_current(database: Database, schema: migrate.Schema) -> bool:
    if database.path is not None and not (database.path.exists() and database.path.stat().st_size):
        # Another process is making it: it is checked again when that one is done.
        return False
    return migrate.version(database) == schema.head


def _create_file(database: Database) -> None:
    """Create the file with its mode, which SQLite copies to the files beside it. Only if there is
    none: closing a SQLite file anywhere in a process drops the locks of the process's connections.
    """
    if database.path is None or database.path.exists():
        return
    try:
        os.close(modes.open_private_file(database.path))
    except OSError:
        # The engine opens the file again, and reports what is wrong.
        return
