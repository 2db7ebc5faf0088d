"""Turn due jobs into pending rows, and pending rows into processes.

The waiting rows of the catalogue are the queue: a row that another command put there starts as
well, and rows survive the daemon's death."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from drd import log, process
from drd.config.daemon import DaemonSettings
from drd.daemon.workers import Workers
from drd.errors import DrdError
from drd.flows.runbook.engine import is_over_production
from drd.flows.schedules import Agenda
from drd.model.dispatch import RunLimits, Running, choose
from drd.model.due import Due
from drd.model.run import Run, RunKind, RunState
from drd.model.run_details import class_of
from drd.model.schedule import Job
from drd.ports import Catalogue

_log = log.get()

_ANY_TIME = datetime.min.replace(tzinfo=UTC)

_AGAIN = timedelta(seconds=30)
"""Time to wait after a process could not be started, or while another process works on the same
thing."""


class Dispatcher:
    """Starts runs. Belongs to the daemon's loop. `on_run_started` gets each run that has a
    process."""

    def __init__(
        self,
        catalogue: Catalogue,
        agenda: Agenda,
        workers: Workers,
        limits: RunLimits,
        on_run_started: Callable[[Run], None],
    ) -> None:
        self._on_run_started = on_run_started
        self._catalogue = catalogue
        self._agenda = agenda
        self._workers = workers
        self.limits = limits
        self.waiting: Mapping[tuple[str, str, str], str] = {}
        """Why a due job does not run yet, by its key, since the last call of `start_due`."""

    def start_due(self, open_runs: Sequence[Run], now: datetime) -> list[str]:
        """Start all runs that may start; returns `backup of orders-api` for each."""
        due = self._agenda.due(now)
        if not due:
            self.waiting = {}
            return []
        decision = choose(
            due,
            [self._usage_of(r) for r in open_runs if not r.left_by_its_process],
            self.limits,
            now,
            lambda: self._agenda.backups_ahead(now),
        )
        self.waiting = {d.job.key: reason for d, reason in decision.waiting}
        return [text for each in decision.start if (text := self._start_job(each, now))]

    def is_asked(self, open_runs: Sequence[Run]) -> bool:
        """Return whether a waiting row has no process."""
        busy = {w.run.id for w in self._workers.alive}
        return len(busy) < self.limits.runs and any(
            run.id not in busy for run in open_runs if _is_waiting(run)
        )

    def start_pending(self, open_runs: Sequence[Run], now: datetime) -> list[str]:
        """Start waiting rows that have no process: from other commands, or from a daemon that died.
        Earlier due times start first."""
        started = []
        at_work = {_key(r) for r in open_runs if r.started_at is not None}
        waiting = sorted(
            filter(_is_waiting, open_runs), key=lambda r: (r.due_at or _ANY_TIME, r.id)
        )
        for run in waiting:
            busy = {w.run.id for w in self._workers.alive}
            if run.id in busy or len(busy) >= self.limits.runs or _key(run) in at_work:
                continue
            if self._agenda.schedule(run.plan) is None:
                reason = "drd has not loaded the plan of this run"
                self._catalogue.queue.drop(run.id, str(RunState.CANCELLED), reason, now)
            elif self._start(run, now):
                started.append(f"{run.kind} of {run.plan}")
        return started

    def _start_job(self, due: Due, now: datetime) -> str:
        job = due.job
        if self._catalogue.queue.accepted(job.plan) is None:
            # The plan was forgotten, without a reload.
            self._agenda.drop_plan(job.plan)
            return ""
        detail = class_of(job.kind)(why=due.why, timeout_s=job.timing.timeout_s)
        schedule = self._agenda.schedule(job.plan)
        run = self._catalogue.queue.enqueue(
            Run(
                id="",
                plan=job.plan,
                kind=RunKind(job.kind),
                trigger=due.trigger,
                state=RunState.PENDING,
                started_at=None,
                due_at=due.at,
                plan_digest=schedule.digest if schedule else "",
                detail=detail,
                subject=job.subject,
                actor=process.actor_of_daemon(),
            )
        )
        if not self._start(run, now):
            self._agenda.postpone(job.key, now + _AGAIN)
            return ""
        return f"{job.kind} of {job.plan}" + (f" ({job.subject})" if job.subject else "")

    def _start(self, run: Run, now: datetime) -> bool:
        try:
            self._workers.start(run)
        except (DrdError, OSError) as error:
            text = f"drd could not start the process of the run: {error}"
            self._catalogue.queue.drop(run.id, str(RunState.FAILED), text, now)
            _log.error("run.not_started", run=run.id, plan=run.plan, error=str(error))
            return False
        _log.info(
            "run.dispatched",
            run=run.id,
            plan=run.plan,
            kind=str(run.kind),
            trigger=run.trigger,
            why=run.detail.why,
        )
        self._on_run_started(run)
        return True

    def _usage_of(self, run: Run) -> Running:
        """Return what an open run uses, even one of another command."""
        job = self._job(run)
        used = (job.repositories, job.hosts) if job is not None else ((), ())
        return Running(
            run.plan, str(run.kind), run.subject, *used, replaces=is_over_production(run.detail)
        )

    def _job(self, run: Run) -> Job | None:
        schedule = self._agenda.schedule(run.plan)
        wanted = (run.plan, str(run.kind), run.subject)
        jobs = schedule.jobs if schedule is not None else ()
        exact = next((j for j in jobs if j.key == wanted), None)
        # A run that a person started may have no schedule; it uses the plan's repositories as well.
        return exact or next((j for j in jobs if j.kind == RunKind.BACKUP), None)


def _is_waiting(run: Run) -> bool:
    return run.state is RunState.PENDING and not run.cancel_asked


def _key(run: Run) -> tuple[str, str, str]:
    """Return the key of a run: of two runs with the same key, one waits for the other."""
    return run.plan, str(run.kind), run.subject


def limits_of(settings: DaemonSettings) -> RunLimits:
    """Return the limits of drd.yaml."""
    return RunLimits(
        runs=settings.runs,
        backups=settings.backups,
        drills=settings.drills,
        copies=settings.copies,
        maintenance=settings.maintenance,
        per_repository=settings.per_repository,
        per_host=settings.per_host,
    )
