"""The clock that tells the daemon when to look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler

from drd.scheduler import Regularly

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
TICK = timedelta(seconds=30)


@pytest.mark.parametrize(
    ("last", "next_s"),
    [
        (None, 30),
        (timedelta(0), 30),
        (timedelta(seconds=-10), 20),
        (timedelta(seconds=-30), 0),
        (timedelta(days=-3650), 30),
        (timedelta(seconds=10), 30),
        (timedelta(days=3650), 30),
    ],
)
def test_a_tick_comes_within_its_interval_whatever_the_clock_did(
    last: timedelta | None, next_s: float
) -> None:
    previous = NOON + last if last is not None else None
    found = Regularly(TICK).get_next_fire_time(previous, NOON)
    assert found == NOON + timedelta(seconds=next_s)


def test_clock_set_ahead_by_years_does_not_count_every_tick_between() -> None:
    """APScheduler asks again and again until the answer lies ahead."""
    scheduler = BackgroundScheduler(timezone=UTC)
    job: Job = scheduler.add_job(print, Regularly(TICK), next_run_time=NOON)
    assert len(job._get_run_times(NOON + timedelta(days=3650))) <= 2
