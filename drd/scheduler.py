"""The clock: APScheduler says when to check, and nothing else.

The catalogue and the model decide what is due, so a clock that stood still, ran ahead or lost its
jobs loses no run. This is the only module that uses APScheduler.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.date import DateTrigger

Post = Callable[[str], None]


class Clockwork:
    """Calls `post(name)` at the requested times, from its own thread.

    `post` must be quick and must not raise. Times are aware UTC.
    """

    def __init__(self, post: Post) -> None:
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._post = post
        self._every: dict[str, float] = {}
        self._mutex = Lock()
        self._scheduler: BackgroundScheduler | None = None

    def every(self, name: str, seconds: float) -> None:
        """Post `name` every so many seconds."""
        self._every[name] = seconds
        if self._scheduler is not None:
            self._add_every(self._scheduler, name, seconds)

    def at(self, name: str, when: datetime) -> None:
        """Post `name` once, at `when`; replaces an earlier time for the same name."""
        with self._mutex:
            if self._scheduler is not None:
                self._scheduler.add_job(
                    self._post,
                    DateTrigger(when, timezone=UTC),
                    args=[name],
                    id=f"at {name}",
                    replace_existing=True,
                )

    def start(self) -> None:
        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            # Late is better than never: by default APScheduler drops a job that is a second late.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 10},
        )
        for name, seconds in self._every.items():
            self._add_every(scheduler, name, seconds)
        scheduler.start()
        self._scheduler = scheduler

    def restart(self) -> None:
        """Start anew after the wall clock was set: otherwise the scheduler would wait for old
        times, or repeat them one by one.
        """
        with self._mutex:
            self.stop()
            self.start()

    def stop(self) -> None:
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    def _add_every(self, scheduler: BackgroundScheduler, name: str, seconds: float) -> None:
        scheduler.add_job(
            self._post,
            Regularly(timedelta(seconds=seconds)),
            args=[name],
            id=f"every {name}",
            replace_existing=True,
        )


class Regularly(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Fires at an interval, counted from now if the last time is long past or in the future.

    APScheduler asks for every missed time, one after the other: with its own trigger, a clock that
    is set ahead by years would keep it busy for minutes, while it holds a lock that its shutdown
    needs.
    """

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        if previous is not None and now - self._interval <= previous <= now:
            return previous + self._interval
        return now + self._interval
