"""Collect the facts for alerts beside the verdicts: histories of runs, disks."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from drd.model.alert_facts import (
    DiskFacts,
    JobFacts,
    PlanMore,
    VerificationFacts,
)
from drd.model.cron import longest_gap, next_after
from drd.model.facts import PlanFacts
from drd.model.finding import Finding
from drd.model.job_history import JobHistory
from drd.model.run import RunKind
from drd.model.schedule import Job, Schedule, Timing
from drd.model.windows import released
from drd.ports import Catalogue

_T = TypeVar("_T")
_longest_gap = cache(longest_gap)


class _Made(NamedTuple):
    """The parts that a value was computed from."""

    facts: PlanFacts
    schedule: Schedule | None
    verified: tuple[VerificationFacts, ...] | None
    readiness: tuple[Finding, ...] | None

    def is_of(self, before: _Made) -> bool:
        """Return whether all parts are the same objects."""
        return (
            self.facts is before.facts
            and self.schedule is before.schedule
            and self.verified == before.verified
            and self.readiness == before.readiness
        )


class Histories:
    """The catalogue's records of runs and verifications; only what changed is read again."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._rows: dict[str, dict[tuple[str, str], JobHistory]] = defaultdict(dict)
        self._seen = -1
        self._verified: dict[str, tuple[VerificationFacts, ...]] = {}
        self._readiness: dict[str, tuple[Finding, ...]] = {}
        self._made: dict[str, tuple[_Made, PlanMore]] = {}
        self._first_loaded: dict[str, datetime] = {}

    def refresh(self, only: Collection[str] | None = None) -> None:
        """Read the records of all plans, or of these. Raises CatalogueError, and is
        then unchanged."""
        rows = self._catalogue.queue.jobs(self._seen)
        watched = self._catalogue.alerts.watched
        fresh = {plan: watched(plan) for plan in (only if only is not None else [None])}
        for plan, now in fresh.items():
            _renew(self._verified, now.verifications, plan)
            _renew(self._readiness, now.readiness, plan)
        for row in rows:
            self._rows[row.plan][row.kind, row.subject] = row
            self._made.pop(row.plan, None)
        self._seen = max((r.changed for r in rows), default=self._seen)

    def of(self, facts: PlanFacts, schedule: Schedule | None) -> PlanMore:
        """Return the records of one plan; without a schedule, drd expects no runs of it. Raises
        CatalogueError. If a plan was forgotten and loaded again, all histories are read."""
        plan = facts.plan
        if self._first_loaded.setdefault(plan, facts.first_loaded_at) != facts.first_loaded_at:
            anew = self._catalogue.queue.jobs(-1, plan)
            self._rows[plan] = {(row.kind, row.subject): row for row in anew}
            self._made.pop(plan, None)
            self._first_loaded[plan] = facts.first_loaded_at
        made = _Made(facts, schedule, self._verified.get(plan), self._readiness.get(plan))
        before = self._made.get(plan)
        if before is not None and made.is_of(before[0]):
            return before[1]
        more = self._put_together(facts, schedule)
        self._made[plan] = made, more
        return more

    def _put_together(self, facts: PlanFacts, schedule: Schedule | None) -> PlanMore:
        rows = self._rows.get(facts.plan, {})
        jobs = {(job.kind, job.subject): job for job in schedule.jobs} if schedule else {}
        return PlanMore(
            jobs=tuple(_job(facts, key, jobs.get(key), rows.get(key)) for key in {**jobs, **rows}),
            copies=facts.copies if schedule else (),
            verifications=tuple(self._verifications(facts.plan, jobs)),
            readiness=self._readiness.get(facts.plan),
        )

    def _verifications(
        self, plan: str, jobs: Mapping[tuple[str, str], Job]
    ) -> Iterator[VerificationFacts]:
        for known in self._verified.get(plan, ()):
            job = jobs.get((RunKind.VERIFICATION, known.repository))
            period_s = _period_s(job.timing) if job else None
            if period_s is None:
                yield known
                continue
            since = known.last_complete_at or known.cycle_started_at
            by = since + timedelta(seconds=known.parts * period_s)
            yield replace(known, all_read_by=by)


def _renew(known: dict[str, _T], now: Mapping[str, _T], plan: str | None) -> None:
    """Read the history of one plan, or of all (None)."""
    if plan is None:
        known.clear()
    else:
        known.pop(plan, None)
    known.update(now)


def _job(
    facts: PlanFacts, key: tuple[str, str], job: Job | None, row: JobHistory | None
) -> JobFacts:
    kind, subject = key
    row = row or JobHistory(facts.plan, kind, subject)
    done_at = row.last_finished_at if kind == RunKind.READINESS else row.last_success_at
    if row.paused is not None:  # it ran in time, and neither failed nor is late
        done_at = row.last_finished_at
    since = done_at or _asked_since(facts)
    # Without a point there is nothing to check, and another alert says so; likewise for a copy that
    # is behind.
    always = kind in (RunKind.READINESS, RunKind.CONTROL)
    wanted = always or (kind != RunKind.COPY and facts.newest is not None)
    due_at = _due_at(job.timing, since) if job is not None and wanted else None
    return JobFacts(row, done_at, since, due_at)


def _asked_since(facts: PlanFacts) -> datetime:
    """Since when the plan can have asked for it: a setting of yesterday is not a year late."""
    changed = datetime.fromtimestamp(facts.file_mtime_ns / 1e9, UTC)
    return max(facts.first_loaded_at, changed)


def _due_at(timing: Timing, since: datetime) -> datetime | None:
    """Return when the next success after `since` is due; None if its exposure decides."""
    if timing.cron is not None:
        at = next_after(timing.cron, timing.timezone, since)
    elif timing.every_s is not None:
        at = since + timedelta(seconds=timing.every_s)
    else:
        return None
    at += timedelta(seconds=timing.jitter_s)
    return released(timing.blackout, timing.timezone, at)[0] if timing.blackout else at


def _period_s(timing: Timing) -> float | None:
    if timing.cron is not None:
        return _longest_gap(timing.cron, timing.timezone)
    return timing.every_s


# --- disks ----------------------------------------------------------------------------------


def disks(places: Mapping[str, Path], needed_bytes: int) -> list[DiskFacts]:
    """Return each file system once, with what is kept on it; `needed_bytes` is needed on the file
    system of `work_dir`."""
    disks: dict[int, DiskFacts] = {}
    broken = []
    for use, place in places.items():
        needed = needed_bytes if use == "work_dir" else 0
        try:
            device, there = _existing(place)
            space = os.statvfs(there)
        except OSError as error:
            why = error.strerror or str(error)
            broken.append(DiskFacts(str(place), (use,), None, error=why.lower()))
            continue
        before = disks.get(device) or DiskFacts(
            str(place), (), space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
        )
        disks[device] = replace(
            before,
            uses=(*before.uses, use),
            needed_bytes=max(before.needed_bytes, needed),
        )
    return [*disks.values(), *broken]


def _existing(place: Path) -> tuple[int, Path]:
    """Return the device, and the directory or its nearest existing parent: some are made at the
    first use."""
    while True:
        try:
            return place.stat().st_dev, place
        except FileNotFoundError:
            if place == place.parent:
                raise
            place = place.parent


def drill_bytes(facts: PlanFacts, room: Callable[[str, str, int], int]) -> int:
    """Return the room in bytes that a drill of the plan needs. `room` returns that of a component,
    from its name, its kind and its size."""
    if facts.drill_every_s is None:
        return 0
    # Where nobody knows the size of a part of a copy, it is at most that of the copy.
    at_most = facts.newest.bytes if facts.made_by and facts.newest is not None else 0
    return sum(
        room(c.component, c.kind, at_most if c.size_bytes is None else c.size_bytes)
        for c in facts.components
    )
