"""Find what is due: the schedules of all plans, and the histories from the catalogue.

A heap has the next start of each job. Only changes are recomputed, so a tick costs the same with
ten plans and ten thousand.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from drd.model.due import Due, Situation, next_due
from drd.model.job_history import NO_RUNS, JobHistory
from drd.model.kit_findings import EXPORT, VERIFY
from drd.model.run import RunKind, RunState
from drd.model.schedule import Job, Schedule
from drd.ports import PlanRow, Queue

JobKey = tuple[str, str, str]

_AHEAD = timedelta(hours=24)
"""The longest duration of a run that is taken into account."""


_AFTER_FORGETTING_S = 3600.0
"""The time between a retention and a prune of the same plan, since prune makes the
retention final.
"""

_TELLING = (
    (RunKind.DRILL, ""),
    (RunKind.RECOVERY, ""),
    (RunKind.KIT, EXPORT),
    (RunKind.KIT, VERIFY),
)
"""Kinds and subjects of runs whose result can change the readiness of a plan."""

_MEETING = frozenset(
    {
        RunKind.BACKUP,
        RunKind.COPY,
        RunKind.RETENTION,
        RunKind.PRUNE,
        RunKind.VERIFICATION,
        RunKind.LISTING,
    }
)
"""Kinds that notice problems first: when one begins to fail, or succeeds again, readiness is
checked.
"""


@dataclass
class _ScheduledPlan:
    """A plan in force, and its facts in the catalogue."""

    schedule: Schedule
    row: PlanRow

    @property
    def first_loaded_at(self) -> datetime:
        return self.row.first_loaded_at

    @property
    def data_time(self) -> datetime | None:
        return self.row.data_time

    @property
    def copied(self) -> Mapping[str, datetime | None]:
        return self.row.copied


class Agenda:
    """The next start of every job. Not thread-safe: it belongs to the daemon's loop."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._plans: dict[str, _ScheduledPlan] = {}
        self._rows: dict[str, dict[tuple[str, str], JobHistory]] = {}
        self._keys: dict[str, set[JobKey]] = {}
        self._next: dict[JobKey, Due] = {}
        self._heap: list[tuple[datetime, int, JobKey]] = []
        self._late: dict[JobKey, Due] = {}
        self._changed: dict[str, tuple[datetime, str]] = {}
        self._order = count()
        self._seen = -1

    @property
    def plans(self) -> int:
        return len(self._plans)

    def names(self) -> list[str]:
        return sorted(self._plans)

    def schedule(self, plan: str) -> Schedule | None:
        schedule = self._plans.get(plan)
        return schedule.schedule if schedule else None

    def set_plan(self, row: PlanRow, schedule: Schedule, now: datetime) -> None:
        """Put this plan in force. If the plan is new here, or was forgotten and loaded again, all
        histories are read, because the known ones may come from former runs."""
        before = self._plans.get(row.name)
        if before is not None and before.first_loaded_at == row.first_loaded_at:
            self._changed[row.name] = (now, "the plan changed")
        else:
            self._read_anew(row.name)
        self._plans[row.name] = _ScheduledPlan(schedule, row)
        self._plan(row.name, now)

    def note_change(self, now: datetime, what: str) -> None:
        """Note that something changed which affects the readiness of every plan."""
        for name in self._plans:
            self._changed[name] = (now, what)
            self._plan(name, now)

    def drop_plan(self, name: str) -> None:
        """Remove the jobs of this plan."""
        self._plans.pop(name, None)
        self._drop_history(name)
        for key in self._keys.pop(name, ()):
            self._forget(key)

    def refresh(self, now: datetime, plan: str | None = None) -> set[str]:
        """Read the changes from the catalogue, for all plans or for one; return the names of
        changed plans.
        """
        rows = self._queue.jobs(self._seen, plan)
        if not rows:
            return set()
        self._seen = max(r.changed for r in rows)
        for job_row in rows:
            self._take(job_row)
        changed = {r.plan for r in rows}
        touched = changed & self._plans.keys()
        for row in self._plan_rows(touched):
            self._plans[row.name].row = row
            self._plan(row.name, now)
        return changed

    def recompute(self, now: datetime) -> None:
        """Compute everything anew, after a clock jump."""
        self._next.clear()
        self._heap.clear()
        self._late.clear()
        for name in self._plans:
            self._plan(name, now)

    def due(self, now: datetime) -> list[Due]:
        """Return all jobs that should have begun by `now`, the earliest deadline first."""
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            due = self._next.get(key)
            if due is not None and due.at == at:
                self._late[key] = due  # until its run begins
        return sorted(self._late.values(), key=lambda d: (d.deadline, d.at))

    def postpone(self, key: JobKey, until: datetime) -> None:
        """Try this job again at that time, because it could not start now."""
        due = self._next.get(key)
        if due is not None:
            self._set(Due(due.job, until, due.deadline, due.expected_s, due.why, due.trigger))

    def next_at(self) -> datetime | None:
        """Return when the next job becomes due."""
        while self._heap:
            at, _, key = self._heap[0]
            due = self._next.get(key)
            if due is not None and due.at == at:
                return at
            heapq.heappop(self._heap)
        return None

    def backups_ahead(self, now: datetime) -> list[Due]:
        """Return backups that will become due while something that starts now may still run."""
        until = now + _AHEAD
        return [
            due
            for key, due in self._next.items()
            if key[1] == RunKind.BACKUP and now < due.at <= until
        ]

    def items(self) -> list[Due]:
        """Return the next start of every job, in order."""
        return sorted(self._next.values(), key=lambda d: (d.at, d.job.key))

    def situation(self, job: Job) -> Situation:
        plan = self._plans[job.plan]
        row = self._row(job.key)
        data_time, copied = plan.data_time, None
        if job.kind == RunKind.COPY:
            copied = plan.copied.get(job.subject)
        elif job.subject in plan.copied:
            # A copy that nothing has reached yet may not even have been made.
            data_time = plan.copied[job.subject]
        return Situation(
            first_loaded_at=plan.first_loaded_at,
            runs=row or NO_RUNS,
            data_time=data_time,
            copied_time=copied,
            news=self._news(job) if row is not None else None,
            undrilled=plan.row.undrilled if job.kind == RunKind.DRILL and row is not None else (),
            drilled_at=plan.row.drilled_at if job.kind == RunKind.DRILL else None,
            undone=plan.row.undone if job.kind == RunKind.BACKUP else None,
            **self._forgot(job),
        )

    def _forgot(self, job: Job) -> dict[str, Any]:
        """Return, for a prune, when the plan's retention ended, and the time to wait after that."""
        key = (job.plan, RunKind.RETENTION, "")
        row = self._row(key)
        if job.kind != RunKind.PRUNE or row is None:
            return {}
        jobs = self._plans[job.plan].schedule.jobs
        every = next((j.timing.every_s for j in jobs if j.key == key), None)
        apart_s = min(_AFTER_FORGETTING_S, (every or _AFTER_FORGETTING_S * 4) / 4)
        return {"forgot_at": row.last_finished_at, "apart_s": apart_s}

    def _take(self, row: JobHistory) -> None:
        before = self._row((row.plan, row.kind, row.subject))
        if row.kind in _MEETING and before is not None and before.tries and not row.tries:
            at = row.last_success_at or row.last_finished_at
            if at is not None:
                self._changed[row.plan] = (at, f"a {row.kind} succeeded again")
        self._rows.setdefault(row.plan, {})[row.kind, row.subject] = row

    def _row(self, key: JobKey) -> JobHistory | None:
        plan, kind, subject = key
        return self._rows.get(plan, {}).get((kind, subject))

    def _read_anew(self, plan: str) -> None:
        self._drop_history(plan)
        if self._seen >= 0:  # else the first `refresh` reads those of all plans
            for row in self._queue.jobs(-1, plan):
                self._take(row)

    def _drop_history(self, plan: str) -> None:
        self._rows.pop(plan, None)
        self._changed.pop(plan, None)

    def _news(self, job: Job) -> tuple[datetime, str] | None:
        """Return the last run that may have changed the plan's readiness, or that began to fail or
        to succeed again, and when it ended; for a kit, the run that made it anew.
        """
        telling = {RunKind.READINESS: _TELLING, RunKind.KIT: ((RunKind.KIT, EXPORT),)}
        plan = job.plan
        rows = [self._row((plan, *key)) for key in telling.get(RunKind(job.kind), ())]
        ended = [
            (row.last_finished_at, f"a {row.kind} ended")
            for row in rows
            if row and row.last_finished_at
        ]
        if job.kind == RunKind.READINESS:
            ended += self._met(plan)
        return max(ended, default=None)

    def _is_paused(self, job: Job) -> bool:
        row = self._row(job.key)
        return row is not None and row.last_state == RunState.PAUSED

    def pause_of(self, job: Job) -> str | None:
        """Return why the job's last run decided to change nothing; None if it did its work."""
        row = self._row(job.key)
        return row.last_error if row is not None and self._is_paused(job) else None

    def _met(self, plan: str) -> Iterator[tuple[datetime, str]]:
        """Return runs that began to fail, and what changed last: a run that succeeds again, or the
        plan.
        """
        for job in self._plans[plan].schedule.jobs:
            row = self._row(job.key) if job.kind in _MEETING else None
            if row is not None and row.tries == 1 and row.last_finished_at is not None:
                yield row.last_finished_at, f"a {row.kind} failed"
        if plan in self._changed:
            yield self._changed[plan]

    def _plan(self, name: str, now: datetime) -> None:
        jobs = self._plans[name].schedule.jobs
        wanted = {job.key for job in jobs}
        for key in self._keys.get(name, wanted) - wanted:
            self._forget(key)
        self._keys[name] = wanted
        for job in jobs:
            due = next_due(job, self.situation(job), now)
            if due is None:
                self._forget(job.key)
            else:
                self._set(due)

    def _set(self, due: Due) -> None:
        self._late.pop(due.job.key, None)
        self._next[due.job.key] = due
        self._push(due)

    def _forget(self, key: JobKey) -> None:
        self._next.pop(key, None)
        self._late.pop(key, None)

    def _push(self, due: Due) -> None:
        heapq.heappush(self._heap, (due.at, next(self._order), due.job.key))

    def _plan_rows(self, names: Iterable[str]) -> list[PlanRow]:
        wanted = sorted(names)
        rows: list[PlanRow] = []
        for start in range(0, len(wanted), 500):
            rows += self._queue.plan_rows(wanted[start : start + 500])
        return rows
