"""Clocks that jump under a running daemon, and hosts that sleep: no flood, no standstill."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.daemons import Daemon, WallClock, daemon, overlapping, quick_plan, rows, until
from tests.e2e.site import Site, make_tree

HOUR = 3600
YEAR = 365 * 86400
SLOW = {"hourly": "every: 50m, jitter: none", "nightly": "cron: '*/30 * * * *', jitter: none"}
"""Due once an hour has passed, but not within the time that a test takes."""

FAULTS = [pytest.mark.faults, pytest.mark.timeout(1800)]


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    for name, backup in SLOW.items():
        quick_plan(site, backup=backup, name=name, rpo="2h")
    return site


class Watched:
    """A daemon whose clock jumps, and the runs that it begins, by plan and kind."""

    def __init__(self, site: Site, clock: WallClock, running: Daemon) -> None:
        self.site, self.clock, self.running = site, clock, running

    def begun(self) -> Counter[tuple[str, str]]:
        """All runs, once nothing runs and nothing is due."""
        until(self._at_rest, "a time when nothing is due", self.running, within_s=180)
        return Counter(rows(self.site, "plan, kind"))

    def _at_rest(self) -> bool:
        if rows(self.site, where="finished_at is null"):
            return False
        items = self.site.drd("schedule", "--json").json["items"]
        return min(datetime.fromisoformat(i["due_at"]) for i in items) > self.clock.now()

    def jump(self, ahead_s: int, during: Callable[[], object] = lambda: None) -> Counter[Any]:
        """Set the clock, and wait until the daemon has dealt with it: the runs that came of it."""
        before, seen = self.begun(), len(self.running.events("clock.jumped"))
        self.clock.set(ahead_s)
        during()
        until(lambda: len(self.running.events("clock.jumped")) > seen, "the jump", self.running)
        return self.more_than(before)

    def more_than(self, before: Counter[Any]) -> Counter[Any]:
        until(lambda: Counter(rows(self.site, "plan, kind")) != before, "work", self.running)
        return self.begun() - before


def is_once(begun: Counter[Any]) -> bool:
    """A backup of each plan, and nothing twice."""
    backups = {key for key in begun if key[1] == "backup"}
    return backups == {(name, "backup") for name in SLOW} and set(begun.values()) == {1}


@pytest.mark.parametrize(
    "jumps",
    [(10 * YEAR, 0), pytest.param((HOUR, 0, -HOUR, 0, 10 * YEAR, 0, HOUR, 0), marks=FAULTS)],
)
def test_a_clock_that_jumps_starts_what_is_overdue_once_and_stops_nothing(
    site: Site, jumps: tuple[int, ...]
) -> None:
    """Set to so many seconds ahead of the true time, one after the other."""
    clock = WallClock(site)
    quick_plan(site, backup="every: 2s, jitter: none", name="steady")
    (site.base / "plans/steady.yaml").rename(site.base / "steady.yaml")
    for name in SLOW:
        site.drd("backup", name)
    with daemon(site) as running:
        watched = Watched(site, clock, running)
        for ahead_s in jumps:
            # What was done lies in the future after a jump back, and says nothing of what is due.
            assert is_once(watched.jump(ahead_s))
        alerts = {a["kind"] for a in site.drd("alerts", "--json").json["alerts"]}
        # Nor is what was made while the clock was wrong the newest, to be looked at or gone back
        # to.
        assert all(
            p["rpo"]["exposure_s"] < HOUR
            for p in site.drd("status", "--json", code=None).json["plans"]
        )
        made = {p["point"]: datetime.fromisoformat(p["data_time"]) for p in site.points("hourly")}
        drilled = site.drd("drill", "hourly", "--json").json["point"]
        assert made[drilled] == max(at for at in made.values() if at <= clock.now())
        (site.base / "steady.yaml").rename(site.base / "plans/steady.yaml")
        running.reload()
        until(lambda: len(rows(site, where="plan = 'steady'")) > 2, "regular work", running)
    assert "clock-jumped" in alerts
    assert not overlapping(site)
    site.assert_clean()


@pytest.mark.faults
def test_runs_that_a_sleeping_host_missed_start_once(site: Site) -> None:
    """The process was stopped, and finds its clock hours ahead when it goes on."""
    clock = WallClock(site)
    for name in SLOW:
        site.drd("backup", name)

    def sleep() -> None:
        running.process.send_signal(signal.SIGCONT)

    with daemon(site) as running:
        watched = Watched(site, clock, running)
        watched.begun()
        running.process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        assert is_once(watched.jump(8 * HOUR, sleep))
    assert rows(site, "trigger", "kind = 'backup'")[-1] == ("catch-up",)
    site.assert_clean()


def test_a_clock_set_back_without_a_daemon_is_reported(site: Site) -> None:
    clock = WallClock(site)
    clock.set(30 * 86400)
    with daemon(site) as running:
        Watched(site, clock, running).begun()
    first = Counter(rows(site, "plan, kind"))  # it may have begun more until it ended
    clock.set(0)
    with daemon(site) as running:
        watched = Watched(site, clock, running)
        assert is_once(watched.more_than(first))
        until(lambda: site.catalogue("select 1 from alerts where kind = 'clock-jumped'"), "word")
