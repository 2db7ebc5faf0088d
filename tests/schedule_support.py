"""Plans, jobs and a minute-by-minute daemon for the tests of schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from drd.model.due import Due, Situation, next_due
from drd.model.job_history import JobHistory
from drd.model.plan import DrillPolicy, Objectives, Plan, RepositorySpec, SecretRef
from drd.model.policies import BackupPolicy, RetentionPolicy
from drd.model.schedule import Job, Timing

NOW = datetime(2026, 11, 25, 0, 31, tzinfo=UTC)
MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def ahead(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def plan(name: str = "orders-api", **changes: Any) -> Plan:
    """RPO 15m, backup every 5m, drill every 7d, one repository, daily retention."""
    whole: dict[str, Any] = {
        "name": name,
        "owner": "payments team",
        "description": "",
        "objectives": Objectives(15 * MINUTE, 30 * MINUTE),
        "components": {},
        "repositories": {"primary": repository("primary")},
        "backup": BackupPolicy(every_s=5 * MINUTE),
        "retention": RetentionPolicy(daily=7, every_s=DAY),
        "checks": (),
        "runbook": (),
        "targets": {},
        "drill": DrillPolicy(every_s=7 * DAY),
        "digest": "d1",
        "proof": "p1",
        "file": "/etc/drd/plans/orders-api.yaml",
    }
    return Plan(**{**whole, **changes})


def repository(name: str, *, copy_of: str | None = None) -> RepositorySpec:
    return RepositorySpec(name, f"/srv/{name}", SecretRef("env", "P"), copy_of=copy_of)


def job(
    kind: str = "backup", *, plan: str = "orders-api", rpo_s: float = 15 * MINUTE, **timing: Any
) -> Job:
    """A job of `plan` with this timing; every 5m, and first at once, where nothing is said."""
    if not {"every_s", "cron", "auto", "follows"} & set(timing):
        timing["every_s"] = 5 * MINUTE
    return Job(plan, kind, Timing(**timing), rpo_s, repositories=("/srv/primary",))


_OF_RUNS = {f.name for f in fields(JobHistory)}


def situation(first_loaded_at: datetime, **known: Any) -> Situation:
    """What is known of a job: of its runs, and of the plan's data."""
    runs = {name: known.pop(name) for name in list(known) if name in _OF_RUNS}
    return Situation(first_loaded_at, JobHistory(**runs), **known)


def changed(known: Situation, **changes: Any) -> Situation:
    """The same, but for this."""
    runs = {name: changes.pop(name) for name in list(changes) if name in _OF_RUNS}
    return replace(known, runs=replace(known.runs, **runs), **changes)


def history(**changes: Any) -> Situation:
    """Of a job that ran 5 minutes ago for a minute, with a point of that time."""
    base = situation(
        first_loaded_at=ago(30 * DAY),
        last_started_at=ago(5 * MINUTE),
        last_finished_at=ago(4 * MINUTE),
        last_success_at=ago(4 * MINUTE),
        data_time=ago(5 * MINUTE),
        last_state="succeeded",
    )
    return changed(base, **changes)


def due(job: Job, history: Situation, now: datetime = NOW) -> Due:
    found = next_due(job, history, now)
    assert found is not None
    return found


class Daemon:
    """Looks at one job once a minute (less often while nothing is due for long), and runs it as
    soon as it is due.

    `fails` says of a start whether that run fails. `starts` are the times by the clock, each with
    the trigger.
    """

    def __init__(
        self,
        job: Job,
        now: datetime,
        *,
        takes_s: float = 0.0,
        fails: Callable[[datetime], bool] = lambda _: False,
    ) -> None:
        self.job = job
        self.now = now
        self.history = situation(first_loaded_at=now, data_time=None)
        if job.kind != "backup":
            self.history = changed(self.history, data_time=now)
        self.takes = timedelta(seconds=takes_s)
        self.fails = fails
        self.starts: list[tuple[datetime, str]] = []
        self.most_exposed_s = 0.0

    def run(self, minutes: int) -> list[datetime]:
        """The starts of so many minutes."""
        before = len(self.starts)
        end = self.now + timedelta(minutes=minutes)
        while self.now < end:
            has_time = self.tick()
            self.now += timedelta(minutes=7 if has_time else 1)
        return [at for at, _ in self.starts[before:]]

    def tick(self) -> bool:
        """Whether there is time until the next start."""
        found = next_due(self.job, self.history, self.now)
        if found is None or found.at > self.now:
            return found is not None and found.at - self.now > timedelta(minutes=7)
        start = self.now
        self.starts.append((start, found.trigger))
        self.now += self.takes
        failed = self.fails(start)
        if self.history.data_time is not None and not failed:
            exposed_s = (self.now - self.history.data_time).total_seconds()
            self.most_exposed_s = max(self.most_exposed_s, exposed_s)
        done = {} if failed or self.job.kind != "backup" else {"data_time": start}
        self.history = changed(
            self.history,
            last_started_at=start,
            last_finished_at=self.now,
            last_success_at=self.history.runs.last_success_at if failed else self.now,
            tries=self.history.runs.tries + 1 if failed else 0,
            p95_s=self.history.runs.p95_s if failed else self.takes.total_seconds(),
            last_state="failed" if failed else "succeeded",
            last_error="cannot connect" if failed else None,
            **done,
        )
        return False
