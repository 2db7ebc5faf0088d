"""Begins, finishes and takes over runs, and finds dead ones, by rows and lock files together.

The lock file of a run is locked before its row exists and until after its row is final. So a row
that is not final and whose lock is free belongs to the run of a dead process.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select, update

from drd import process
from drd.catalogue import incident_rows, jobs, outbox, points, runs, summaries
from drd.catalogue.engine import Database, SqlStore
from drd.catalogue.locks import HeldLock, LockFiles
from drd.catalogue.records import SqlRecords, actor_of, points_of_rows
from drd.catalogue.run_owners import RunOwners
from drd.catalogue.tables import FIRST_TOKEN
from drd.catalogue.tables import runs as table
from drd.errors import AlreadyRunning, Fenced
from drd.model import record_drafts, run_details
from drd.model.message import Message
from drd.model.run import Executed, Run, RunKind, RunState
from drd.model.run_details import ControlDetail, RetentionDetail, RunDetail
from drd.model.state_place import StatePlace
from drd.ports import RunLease
from drd.ports.notify import UNROUTED
from drd.process import Mark

_EXCLUDES = {
    RunKind.RETENTION: (RunKind.RETENTION, RunKind.PRUNE),
    RunKind.PRUNE: (RunKind.RETENTION, RunKind.PRUNE),
}
_SET_S = 2.0
"""If the clocks differ by this many seconds at the end of a run, one of them was set or stood
still."""


class SqlRunStore(SqlStore):
    """See `drd.ports.runs.RunStore`. The lock files of this host decide who owns a run.

    `elsewhere` says that other hosts write rows too: their locks cannot be seen from here, and
    their runs count as alive. If this state is a copy, the runs that were begun in the original
    state, and not at `place`, count as alive, too. `state` is in the mark of the processes that
    work for the runs (`process.Mark`). `roots` says whether root, acting for the state's owner, may
    end root's processes that work for a run. `tell` makes the message about a run that has ended,
    or returns None if the daemon sends this message or nobody wants it. In the daemon's processes
    `tell` is None."""

    def __init__(
        self,
        database: Database,
        locks: LockFiles,
        records: SqlRecords,
        *,
        elsewhere: bool,
        place: StatePlace | None = None,
        state: str = "",
        roots: Callable[[Run], bool] = lambda _: False,
        tell: Callable[[Run], Message | None] | None = None,
    ) -> None:
        super().__init__(database)
        self._owners = RunOwners(locks, place, elsewhere=elsewhere)
        self._records = records
        self._elsewhere = elsewhere
        self._state = state
        self._roots = roots
        self._tell = tell
        self._held: dict[tuple[str, int], HeldLock] = {}
        self._begun: dict[tuple[str, int], tuple[float, float]] = {}

    def get(self, prefix: str) -> Run:
        with self._database.read() as connection:
            return runs.by_prefix(connection, prefix)

    def newest(
        self, plan: str | None = None, *, limit: int = 50, kind: RunKind | None = None
    ) -> list[Run]:
        begun = (
            select(table)
            .where(table.c.started_at.is_not(None))
            .order_by(table.c.started_at.desc(), table.c.id)
            .limit(limit)
        )
        if plan is not None:
            begun = begun.where(table.c.plan == plan)
        if kind is not None:
            begun = begun.where(table.c.kind == str(kind))
        with self._database.read() as connection:
            pending = [r for r in runs.pending(connection, plan) if kind in (None, r.kind)]
            others = [runs.to_run(row) for row in connection.execute(begun)]
        return [*pending, *others][:limit]

    def control_reference(self, plan: str, control: str) -> str:
        query = (
            select(table)
            .where(table.c.plan == plan, table.c.kind == str(RunKind.CONTROL))
            .where(table.c.subject == control, table.c.started_at.is_not(None))
            .order_by(table.c.started_at.desc(), table.c.id)
        )
        with self._database.read() as connection:
            for row in connection.execute(query):
                detail = runs.to_run(row).detail
                if isinstance(detail, ControlDetail) and detail.reference:
                    return detail.reference
        return ""

    def backup_durations(self, plan: str, *, limit: int = 50) -> list[float]:
        with self._database.read() as connection:
            return summaries.durations(connection, plan, limit)

    def begin(
        self,
        plan: Executed,
        kind: RunKind,
        *,
        trigger: str,
        detail: RunDetail | None = None,
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
            token=FIRST_TOKEN,
            detail=run_details.read(kind, (detail or RunDetail()).to_json()),
            subject=subject,
        )
        with ExitStack() as unless_recorded:
            with self._database.write() as connection:
                self._refuse_if_alive(connection, run)
                run, held = (
                    self._claimed(connection, run) if claim else self._inserted(connection, run)
                )
                unless_recorded.callback(held.discard)
                jobs.began(connection, run)
                if before is not None:
                    before(run)
            unless_recorded.pop_all()
        return self._owned(run, held)

    def _inserted(self, connection: Connection, run: Run) -> tuple[Run, HeldLock]:
        run_id, held = self._new_id(connection)
        here = self._owners.me()
        run = replace(
            run,
            id=run_id,
            owner_pid=here.pid,
            owner_host=here.host,
            owner_boot=here.boot or "",
            actor=run.actor or process.actor_here(),
            stamp=secrets.token_hex(16),
        )
        runs.insert(connection, run, here)
        return run, held

    def _claimed(self, connection: Connection, run: Run) -> tuple[Run, HeldLock]:
        held = self._owners.take_from_glances(run.id)
        if held is None or not runs.claim(connection, run, self._owners.me()):
            if held is not None:
                held.release()
            raise Fenced(
                f"run {run.id} of {run.plan} is no longer pending",
                hint=f"to see the state of this run: drd run show {run.id}",
            )
        return runs.by_prefix(connection, run.id), held

    def abandoned(self, plan: str | None = None) -> list[Run]:
        with self._database.read() as connection:
            rows = runs.unfinished(connection, plan)
        if plan is None:
            self._sweep({row.id for row in rows})
        abandoned_runs = []
        for row in rows:
            with self._owners.proven_dead(row) as dead:
                if not dead:
                    continue
                # The owner may have finished the run after its row was read.
                with self._database.read() as connection:
                    now = runs.by_prefix(connection, row.id)
                if not now.state.final:
                    abandoned_runs.append(now)
        return abandoned_runs

    def _sweep(self, unfinished: Collection[str]) -> None:
        """Remove the locks of runs that are over: their process was killed while it released
        them."""
        for run, held in self._owners.take_left(unfinished):
            # A run that began after the rows were read, and whose process died, is not over.
            with self._database.read() as connection:
                over = (
                    not runs.exists(connection, run) or runs.by_prefix(connection, run).state.final
                )
            if over:
                held.discard()
            else:
                held.release()

    def adopt(self, run: Run, at: datetime) -> RunLease | None:
        held = self._owners.take_from_glances(run.id)
        if held is None:
            return None
        try:
            with self._database.write() as connection:
                if not runs.take_over(connection, run, self._owners.me(), at):
                    held.release()
                    return None
            # The owner is dead, but processes that it started may still work for the run.
            self.end_left(run)
        except BaseException:
            held.release()
            raise
        here = self._owners.me()
        mine = replace(
            run,
            token=run.token + 1,
            state=RunState.RUNNING,
            owner_pid=here.pid,
            owner_host=here.host,
            owner_boot=here.boot or "",
        )
        return self._owned(mine, held)

    def leave(self, run: Run, at: datetime) -> bool:
        held = self._owners.take_from_glances(run.id)
        if held is None:
            return False
        try:
            with self._database.write() as connection:
                return runs.leave(connection, run, at)
        finally:
            held.release()

    def mark(self, run: str) -> Mark:
        return Mark(run, self._state)

    def end_left(self, run: Run) -> None:
        process.kill_marked(self.mark(run.id), roots=self._roots(run))

    def process_of(self, run: Run) -> int | None:
        return self._owners.process_of(run)

    def finish(
        self,
        owned: RunLease,
        state: RunState,
        *,
        at: datetime,
        error: str | None = None,
        detail: RunDetail | None = None,
    ) -> None:
        detail = (detail or RunDetail()).merged(self._measured(owned))
        with self._database.write() as connection:
            if runs.finish(connection, owned, state, at=at, error=error, detail=detail):
                self._record_end(connection, owned, state, at, error, forgotten=_forgotten(detail))
                self._leave_message(connection, owned.run.id, at)
        # The run is final: nobody asks for its lock again.
        self._begun.pop((owned.run.id, owned.token), None)
        held = self._held.pop((owned.run.id, owned.token), None)
        if held is not None:
            held.discard()

    def _leave_message(self, connection: Connection, run: str, at: datetime) -> None:
        if self._tell is None:
            return
        message = self._tell(runs.by_prefix(connection, run))
        if message is not None:
            outbox.insert(connection, [(UNROUTED, message)], at)

    def _record_end(
        self,
        connection: Connection,
        owned: RunLease,
        state: RunState,
        at: datetime,
        error: str | None,
        *,
        forgotten: tuple[str, ...],
    ) -> None:
        run = owned.run
        if self._records.was_measured(run.id, owned.token):
            return
        if not record_drafts.enters(run) and not incident_rows.in_scope(connection, run.plan):
            return
        actor = actor_of(run)
        self._records.add(
            connection,
            record_drafts.of_end(
                run, state, at=at, error=error, actor=actor, forgotten=points_of_rows(forgotten)
            ),
        )

    def _measured(self, owned: RunLease) -> RunDetail:
        """Return how long the run took, for its detail, when the wall clock does not tell it."""
        begun = self._begun.get((owned.run.id, owned.token))
        if begun is None or owned.token != FIRST_TOKEN:
            return RunDetail()
        wall_s, awake_s = time.time() - begun[0], time.monotonic() - begun[1]
        was_set = abs(wall_s - awake_s) > _SET_S
        return RunDetail(took_s=round(awake_s, 3)) if was_set else RunDetail()

    def set_state(self, owned: RunLease, state: RunState) -> None:
        with self._database.write() as connection:
            row = runs.fence(connection, owned)
            if row.finished_at is None:
                this = update(table).where(table.c.id == owned.run.id)
                connection.execute(this.values(state=str(state)))

    def reopen(self, run: Run, at: datetime, *, succeeded: bool = False) -> Run:
        with self._database.write() as connection:
            return runs.reopen(connection, run, at, succeeded=succeeded)

    def _owned(self, run: Run, held: HeldLock) -> RunLease:
        key = (run.id, run.token)
        self._held[key] = held
        self._begun[key] = (time.time(), time.monotonic())

        def release() -> None:
            self._held.pop(key, None)
            self._begun.pop(key, None)
            held.release()

        return RunLease(run=run, token=run.token, release=release, mark=self.mark(run.id))

    def _refuse_if_alive(self, connection: Connection, run: Run) -> None:
        excluded = _EXCLUDES.get(run.kind)
        for row in runs.unfinished(connection, run.plan, excluded or (run.kind,)):
            if excluded is None and row.subject != run.subject:
                continue
            if self._owners.is_of_another_state(row):
                continue
            with self._owners.proven_dead(row) as dead:
                if dead:
                    continue
            raise AlreadyRunning(
                f"a {row.kind} of {run.plan} is already running: run {row.id}, process "
                f"{row.owner_pid}" + (f" on {row.owner_host}" if self._elsewhere else ""),
                run=row.id,
                hint=f"wait until this run ends: drd run show {row.id} --follow",
            )

    def _new_id(self, connection: Connection) -> tuple[str, HeldLock]:
        """Return an id that no run and no point has, and its lock."""
        while True:
            run = secrets.token_hex(4)
            if runs.exists(connection, run) or points.exists(connection, run):
                continue
            held = self._owners.take(run)
            if held is not None:
                return run, held


def _forgotten(detail: RunDetail) -> tuple[str, ...]:
    return detail.forgotten if isinstance(detail, RetentionDetail) else ()
