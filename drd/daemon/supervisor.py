"""Make sure that every run ends in a final state, whatever happens to its process."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from drd import log, process
from drd.daemon.workers import GRACE_S, Ended, Workers
from drd.errors import DrdError, UsageError
from drd.model.cause import PROCESS_DIED, Cause
from drd.model.run import Run, RunState
from drd.model.run_details import RunDetail
from drd.ports import Catalogue

_log = log.get()

TRIES = 3
"""How often a worker is started to settle a dead run before only its row is settled."""


class Supervisor:
    """Looks after workers, and after dead runs of other commands. Belongs to the daemon's loop.

    `on_over` gets each run of a worker that reached its final state, `on_death` each recovery
    whose process died.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        workers: Workers,
        on_over: Callable[[Run], None],
        on_death: Callable[[Run], None] = lambda _: None,
    ) -> None:
        self._catalogue = catalogue
        self._workers = workers
        self._on_over = on_over
        self._on_death = on_death
        self._tries: dict[str, int] = {}
        self._told: set[str] = set()
        self._strangers: dict[str, float] = {}
        self._unsettled: deque[Ended] = deque()
        self.stopping = False

    def reap(self, now: datetime) -> int:
        """Note the workers that have ended; returns how many."""
        for worker in self._workers.kill_overdue():
            cause = worker.why.logged if worker.why is not None else {}
            _log.error("run.killed", run=worker.run.id, plan=worker.run.plan, **cause)
        ended = self._workers.reap()
        self._unsettled += ended
        while self._unsettled:  # includes those that could not be recorded in the catalogue before
            self._on_ended(self._unsettled[0], now)
            self._unsettled.popleft()
        return len(ended)

    def end_asked(self, open_runs: Sequence[Run], now: datetime) -> None:
        """Execute the requests of `drd cancel`."""
        for run in (r for r in open_runs if r.cancel_asked):
            if self._workers.cancel(run.id):
                continue
            if run.state is RunState.PENDING:
                self._catalogue.queue.drop(run.id, str(RunState.CANCELLED), "cancelled", now)
            elif run.owner_pid is not None:
                # A command in a person's terminal: it ends itself, if we may signal it.
                pid = self._catalogue.runs.process_of(run) if run.id not in self._told else None
                if pid is not None:
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGINT)
                self._told.add(run.id)

    def end_leftover_workers(self, open_runs: Sequence[Run]) -> None:
        """Kill the workers of an earlier daemon that do not end.

        The kernel signalled them when that daemon died, but a stopped process does not receive it.
        """
        now, before = time.monotonic(), self._strangers
        mine = {w.run.id for w in self._workers.alive}
        runs = [r for r in open_runs if r.id not in mine and r.owner_pid]
        self._strangers = {r.id: before.get(r.id, now) for r in runs}
        for run in runs:
            late = now - self._strangers[run.id] >= GRACE_S
            # A run that a person started in a terminal does not have this in its environment.
            mark = self._catalogue.runs.mark(run.id)
            if late and run.owner_pid and process.works_for(run.owner_pid, mark):
                _log.error(
                    "run.killed",
                    run=run.id,
                    plan=run.plan,
                    why="the daemon that started this process had ended",
                )
                process.end_process(run.owner_pid, ask=signal.SIGKILL, grace_s=1.0)

    def settle_abandoned(self, open_runs: Sequence[Run], now: datetime) -> list[str]:
        """Settle dead runs that nobody watched; return a text such as `backup of orders-api` for
        each.

        A dead recovery or playbook is only noted as dead: a person decides how it continues."""
        settled = []
        busy = {w.run.id for w in self._workers.alive}

        def is_known(run: Run) -> bool:
            return run.left_by_its_process or run.id in busy

        if all(is_known(r) for r in open_runs if r.state is not RunState.PENDING):
            return []
        for run in self._catalogue.runs.abandoned():
            if is_known(run):
                continue
            if run.kind.is_peoples:
                self._note_death(run, now)
                continue
            self._settle(run, PROCESS_DIED, now, cancelled=False)
            settled.append(f"{run.kind} of {run.plan}")
        return settled

    def _note_death(self, run: Run, now: datetime) -> None:
        custody = self._catalogue.custody.check(now)
        if custody is not None and custody.contested is not None:
            return
        if self._catalogue.runs.leave(run, now):
            _log.error(
                f"{run.kind}.died",
                run=run.id,
                plan=run.plan,
                remedy=f"to continue the run: drd resume {run.id}",
            )
            self._on_death(run)

    def _on_ended(self, ended: Ended, now: datetime) -> None:
        run = ended.worker.run
        try:
            now_run = self._catalogue.runs.get(run.id)
        except UsageError:  # its row is gone: an old catalogue was restored
            return
        if now_run.state.final:
            self._tries.pop(run.id, None)
            self._on_over(now_run)
        elif now_run.state is RunState.PENDING:
            if self.stopping:
                return  # it waits for the next start
            self._catalogue.queue.drop(run.id, str(RunState.FAILED), ended.how.text, now)
            self._on_over(self._catalogue.runs.get(run.id))
        else:
            if run.id not in self._tries:  # otherwise it was reported, and is not recorded yet
                _log.warning("run.died", run=run.id, plan=run.plan, how=ended.how.text)
            self._settle(now_run, ended.how, now, cancelled=ended.worker.cancelled)

    def _settle(self, run: Run, how: Cause, now: datetime, *, cancelled: bool) -> None:
        tries = self._tries.get(run.id, 0) + 1
        self._tries[run.id] = tries
        if tries <= TRIES and not self.stopping:
            try:
                self._workers.start(run, settle=how, cancelled=cancelled)
            except (DrdError, OSError) as error:
                _log.error("run.not_settled", run=run.id, plan=run.plan, error=str(error))
            else:
                return
        self._settle_row(run, how, now, cancelled=cancelled)

    def _settle_row(self, run: Run, how: Cause, now: datetime, *, cancelled: bool) -> None:
        """Settle only the row: a later run removes what the run left in the repository."""
        owned = self._catalogue.runs.adopt(run, now)
        if owned is None:
            return
        try:
            state = RunState.CANCELLED if cancelled else RunState.INTERRUPTED
            detail = RunDetail(error_code=how.code or None)
            self._catalogue.runs.finish(owned, state, at=now, error=how.text, detail=detail)
        finally:
            owned.release()
        self._on_over(self._catalogue.runs.get(run.id))
