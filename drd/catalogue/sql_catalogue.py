"""The catalogue on a database: the one that `drd.ports.Catalogue` promises."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from drd import modes, process
from drd.catalogue import (
    copies,
    decisions,
    evidence,
    export,
    figures,
    forgetting,
    jobs,
    kits,
    migrate,
    plans,
    points,
    repositories,
    runs,
    steps,
    summaries,
    verifications,
)
from drd.catalogue.alerts import SqlAlertBook
from drd.catalogue.custody import SqlCustody
from drd.catalogue.engine import Database
from drd.catalogue.keeping import SqlKeeping
from drd.catalogue.locks import LockFiles
from drd.catalogue.outbox import SqlOutbox
from drd.catalogue.queue import SqlQueue
from drd.catalogue.run_store import Ownership
from drd.catalogue.sql_health import SqlHealth
from drd.catalogue.sql_origins import SqlOrigins
from drd.catalogue.summary import at_rest
from drd.catalogue.trouble import explain_os, no_catalogue
from drd.errors import CatalogueError
from drd.model.figures import CatalogueFigures
from drd.model.kit_findings import KitRecord
from drd.model.plan import Plan, SecretRef
from drd.model.read_progress import Reading
from drd.model.run import Decision, Evidence, Run, RunKind, RunState, StepRecord, StepState
from drd.model.snapshot import RestorePoint
from drd.ports import RunLease
from drd.ports.catalogue import Records

_MIGRATION_WAIT_S = 120.0
_opening = threading.Lock()
"""Alembic keeps its state in its modules: one migration at a time in a process."""


class SqlCatalogue:
    """Thread-safe; every method is one transaction. See `drd.ports.Catalogue`."""

    def __init__(
        self, database: Database, locks: LockFiles, roots: Callable[[Run], bool] = lambda _: False
    ) -> None:
        self._database = database
        self._locks = locks
        self.queue = SqlQueue(database)
        self.outbox = SqlOutbox(database)
        self.alerts = SqlAlertBook(database)
        self.health = SqlHealth(database)
        self.origins = SqlOrigins(database)
        self.keeping = SqlKeeping(database)
        self.custody = SqlCustody(database)
        self._ownership = Ownership(
            database,
            locks,
            elsewhere=database.path is None,
            place=self.custody.here(),
            state=process.state_id(locks.directory.parent),
            roots=roots,
        )

    def together(self) -> AbstractContextManager[None]:
        return self._database.together()

    # plans

    def load_plan(self, plan: Plan, *, file_digest: str, at: datetime) -> None:
        with self._database.write() as connection:
            plans.load(connection, plan, file_digest=file_digest, at=at)

    def mark_plan_broken(self, name: str, error: str, at: datetime) -> None:
        with self._database.write() as connection:
            plans.mark_broken(connection, name, error, at)

    def plan_names(self) -> list[str]:
        with self._database.read() as connection:
            return plans.names(connection)

    def records(self, plan: str) -> Records:
        with self._database.read() as connection:
            return forgetting.records(connection, plan)

    def forget_plan(self, plan: str) -> Records:
        with self._database.write() as connection:
            return forgetting.forget(connection, plan)

    def figures(self) -> CatalogueFigures:
        with self._database.read() as connection:
            return figures.read(connection)

    # runs and ownership

    def begin(
        self,
        plan: Plan,
        kind: RunKind,
        *,
        trigger: str,
        detail: Mapping[str, Any],
        at: datetime,
        subject: str = "",
        claim: str = "",
        before: Callable[[Run], None] | None = None,
    ) -> RunLease:
        run = Run(
            id=claim,
            plan=plan.name,
            kind=kind,
            trigger=trigger,
            state=RunState.RUNNING,
            started_at=at,
            plan_digest=plan.digest,
            token=runs.FIRST_TOKEN,
            detail=dict(detail),
            subject=subject,
        )
        return self._ownership.begin(run, before)

    def abandoned(self, plan: str | None = None) -> list[Run]:
        return self._ownership.abandoned(plan)

    def process_of(self, run: Run) -> int | None:
        return self._ownership.process_of(run)

    def adopt(self, run: Run, at: datetime) -> RunLease | None:
        return self._ownership.adopt(run, at)

    def mark(self, run: str) -> process.Mark:
        return self._ownership.mark(run)

    def end_left(self, run: Run) -> None:
        self._ownership.end_left(run)

    def finish(
        self,
        owned: RunLease,
        state: RunState,
        *,
        at: datetime,
        error: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        detail = {**(detail or {}), **self._ownership.measured(owned)}
        with self._database.write() as connection:
            runs.finish(connection, owned, state, at=at, error=error, detail=detail)
        self._ownership.over(owned)

    def run(self, prefix: str) -> Run:
        with self._database.read() as connection:
            return runs.by_prefix(connection, prefix)

    def runs(
        self, plan: str | None = None, *, limit: int = 50, kind: RunKind | None = None
    ) -> list[Run]:
        with self._database.read() as connection:
            return runs.newest(connection, plan, limit, kind)

    # steps

    def begin_step(self, owned: RunLease, name: str, kind: str, at: datetime) -> StepRecord:
        with self._database.write() as connection:
            return steps.begin_step(connection, owned, name, kind, at)

    def finish_step(
        self,
        owned: RunLease,
        name: str,
        state: StepState,
        *,
        at: datetime,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        with self._database.write() as connection:
            steps.finish_step(
                connection, owned, name, state, at=at, result=result or {}, error=error
            )

    def steps(self, run: str) -> list[StepRecord]:
        with self._database.read() as connection:
            return steps.steps_of(connection, run)

    def note_step(
        self, run: str, name: str, kind: str, *, at: datetime, result: Mapping[str, Any]
    ) -> None:
        with self._database.write() as connection:
            steps.note_step(connection, run, name, kind, at=at, result=result)

    # what people decide

    def decide(self, run: str, decision: Decision) -> None:
        with self._database.write() as connection:
            decisions.add(connection, run, decision)

    def decisions(self, run: str) -> list[Decision]:
        with self._database.read() as connection:
            return decisions.of_run(connection, run)

    def await_step(
        self, owned: RunLease, name: str, waiting_for: str, result: Mapping[str, Any]
    ) -> None:
        with self._database.write() as connection:
            decisions.wait(connection, owned, name, waiting_for, dict(result))

    def mark_run(self, owned: RunLease, state: RunState) -> None:
        with self._database.write() as connection:
            decisions.mark_run(connection, owned, state)

    def reopen(self, run: Run, at: datetime, *, succeeded: bool = False) -> Run:
        with self._database.write() as connection:
            decisions.reopen(connection, run, at, succeeded=succeeded)
            return runs.by_prefix(connection, run.id)

    # restore points

    def record_point(
        self, point: RestorePoint, *, owned: RunLease | None = None, ids: points.Ids = points.NO_IDS
    ) -> None:
        with self._database.write() as connection:
            if owned is not None:
                runs.fence(connection, owned)
            began = jobs.last_began(connection, point.plan) if owned is not None else None
            at = began and max(began, point.available_at)
            points.record(connection, point, at, ids)

    def points(
        self,
        plan: str,
        *,
        kept_only: bool = True,
        fingerprints: bool = False,
        elsewhere: bool = False,
    ) -> list[RestorePoint]:
        with self._database.read() as connection:
            return points.listed(
                connection,
                plan,
                kept_only=kept_only,
                with_fingerprints=fingerprints,
                elsewhere=elsewhere,
            )

    def point(self, plan: str, prefix: str) -> RestorePoint:
        with self._database.read() as connection:
            return points.by_prefix(connection, plan, prefix)

    def forget_points(self, ids: Sequence[str], at: datetime) -> None:
        with self._database.write() as connection:
            points.forget(connection, ids, at)

    def component_sizes(self, plan: str, component: str, *, limit: int = 10) -> list[int]:
        with self._database.read() as connection:
            return points.component_sizes(connection, plan, component, limit)

    def backup_durations(self, plan: str, *, limit: int = 50) -> list[float]:
        with self._database.read() as connection:
            return summaries.durations(connection, plan, limit)

    # copies and readings of repositories

    def record_copies(
        self, owned: RunLease, repository: str, manifests: Mapping[str, str], at: datetime
    ) -> None:
        with self._database.write() as connection:
            runs.fence(connection, owned)
            copies.arrived(connection, repository, manifests, at)

    def remove_from(self, plan: str, repository: str, ids: Sequence[str]) -> None:
        with self._database.write() as connection:
            copies.left(connection, plan, repository, ids)

    def forgotten_points(self, plan: str, ids: Iterable[str]) -> frozenset[str]:
        with self._database.read() as connection:
            return copies.forgotten(connection, plan, ids)

    def reading(self, plan: str, repository: str) -> Reading | None:
        with self._database.read() as connection:
            return verifications.known(connection, plan, repository)

    def record_reading(self, owned: RunLease, repository: str, reading: Reading) -> None:
        with self._database.write() as connection:
            runs.fence(connection, owned)
            verifications.record(connection, owned.run.plan, repository, reading)

    # evidence

    def record_evidence(self, owned: RunLease, found: Evidence) -> None:
        with self._database.write() as connection:
            runs.fence(connection, owned)
            evidence.record(connection, found)

    def kit_record(self, plan: str) -> KitRecord | None:
        with self._database.read() as connection:
            return kits.record(connection, plan)

    def evidence(self, plan: str, *, limit: int = 20) -> list[Evidence]:
        with self._database.read() as connection:
            return evidence.newest(connection, plan, limit)

    # repositories

    def repository_id(self, url: str) -> str | None:
        with self._database.read() as connection:
            return repositories.recorded_id(connection, url)

    def record_repository(self, url: str, repository_id: str, at: datetime) -> None:
        with self._database.write() as connection:
            repositories.record(connection, url, repository_id, at)

    def known_repositories(self) -> int:
        with self._database.read() as connection:
            return repositories.count(connection)

    def last_self_backup(self, url: str) -> datetime | None:
        with self._database.read() as connection:
            return repositories.last_self_backup(connection, url)

    def record_self_backup(self, url: str, at: datetime) -> None:
        with self._database.write() as connection:
            repositories.record_self_backup(connection, url, at)

    # all of it

    def export_to(self, path: Path) -> None:
        export.export_to(self._database, path)

    def lock(self, name: str, *, wait_s: float) -> AbstractContextManager[None]:
        return self._locks.waiting(name, wait_s)

    def close(self) -> None:
        self._database.close()


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
                return SqlCatalogue(database, locks, roots)
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
    return SqlCatalogue(database, locks, roots)


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
            return SqlCatalogue(resting, LockFiles(directory / "locks"))
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
