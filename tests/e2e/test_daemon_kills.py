"""kill -9 of the daemon and of all that it starts, at random moments, while work is always due:
no point lost, no run doubled, nothing left."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests import light_repository
from tests.e2e.daemons import (
    Daemon,
    children,
    early,
    overlapping,
    rows,
    unkept,
    unsealed,
    until,
    workers,
)
from tests.e2e.site import PASSWORD, Site, make_sqlite, make_tree

PLANS = {
    "shop": {"backup": 3, "retention": 7},
    "blog": {"backup": 4, "drill": 9},
    "mail": {"backup": 5, "retention": 11, "drill": 13},
}
"""Seconds from one run to the next. The first two share a repository."""
BODY = """
components:
  db: {{kind: sqlite, path: {base}/{name}.db}}
  conf: {{kind: files, paths: [{base}/etc]}}
checks:
  - {{name: rows, kind: rows, component: db}}
backup: {{every: {backup}s, jitter: none}}
"""
MORE = {"retention": "retention: {{last: 3, every: {}s}}\n", "drill": "drill: {{every: {}s}}\n"}
VICTIMS = ("daemon", "daemon", "worker", "worker", "worker", "child", "child", "all")


class Rounds:
    """A site under a daemon, and the deaths that `seed` chooses."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site = site
        self.seed = seed
        self.chance = random.Random(seed)
        self.daemon = self.start()

    def start(self) -> Daemon:
        daemon = Daemon(self.site)
        until(daemon.is_started, "the daemon's start", daemon)
        return daemon

    def round(self, number: int) -> None:
        """Kill something of what is under way, let the daemon see to it, and look."""
        before = self._begun()
        until(lambda: self._begun() > before, "a run that begins", self.daemon)
        until(self._wait_over, "the moment")
        victim = self.chance.choice(VICTIMS)
        under_way = [run for (run,) in rows(self.site, "id", "finished_at is null")]
        self._kill(victim)
        if self.daemon.process.poll() is not None:
            until(lambda: not self.site.processes(), f"the end of what a killed {victim} had")
            self.daemon = self.start()
        until(lambda: not self._open(under_way), f"the end of {under_way}", self.daemon)
        until(
            lambda: not unkept(self.site, *PLANS),
            f"round {number}, {victim} killed: manifests that the catalogue claims",
            self.daemon,
        )
        assert not overlapping(self.site)

    def _wait_over(self) -> bool:
        """A moment of chance: each look is one throw."""
        return self.chance.random() < 0.1

    def _begun(self) -> int:
        return len(rows(self.site, "id", "started_at is not null"))

    def _open(self, runs: list[str]) -> list[str]:
        now_open = {run for (run,) in rows(self.site, "id", "finished_at is null")}
        return [run for run in runs if run in now_open]

    def _kill(self, victim: str) -> None:
        daemon = self.daemon.process
        found = {
            "daemon": lambda: [daemon.pid],
            "worker": lambda: self._one(workers(self.site)),
            "child": lambda: self._one(children(self.site)),
            "all": lambda: [daemon.pid, *self.site.processes()],
        }[victim]()
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if daemon.pid in found:
            daemon.wait(60)

    def _one(self, found: list[int]) -> list[int]:
        return [self.chance.choice(found)] if found else []


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    (site.base / "etc/big").write_bytes(os.urandom(8 << 20))
    light_repository.begin(site.base / "own", PASSWORD)
    for name, every in PLANS.items():
        make_sqlite(site.base / f"{name}.db", rows=20_000)
        site.repository = str(site.base / ("own" if name == "mail" else "repo"))
        body = BODY.format(base=site.base, name=name, backup=every["backup"])
        body += "".join(MORE[kind].format(s) for kind, s in every.items() if kind in MORE)
        site.plan(body, name=name, rpo="60s")
    return site


@pytest.mark.kills
@pytest.mark.parametrize(
    "rounds", [10, pytest.param(200, marks=[pytest.mark.faults, pytest.mark.timeout(7200)])]
)
def test_killed_at_random_moments_nothing_is_lost_doubled_or_left(site: Site, rounds: int) -> None:
    seed = int(os.environ.get("DRD_TEST_SEED") or random.randrange(1 << 32))
    print(f"seed {seed} (DRD_TEST_SEED repeats its choices)")
    killing = Rounds(site, seed)
    try:
        for number in range(rounds):
            killing.round(number)
        assert killing.daemon.stop() == 0
    finally:
        killing.daemon.end()
    _settle(site)
    _look(site, killing.daemon)


def _settle(site: Site) -> None:
    """One undisturbed command of each kind finds what the killed ones left."""
    for name in PLANS:
        site.drd("backup", name)
    for name, every in PLANS.items():
        if "retention" in every:
            site.drd("retention", name)


def _look(site: Site, daemon: Daemon) -> None:
    states = {state for (state,) in rows(site, "state")}
    assert states <= {
        "succeeded",
        "interrupted",
        "failed",
        "incomplete",
        "paused",
        "pending",
    }
    assert not overlapping(site)
    assert not early(site, {(p, k): s for p, every in PLANS.items() for k, s in every.items()})
    assert not unkept(site, *PLANS)
    assert not unsealed(site, *(name for name, every in PLANS.items() if "retention" in every))
    for name in PLANS:
        assert site.drd("drill", name, "--json").json["result"] == "passed"
    for repository in ("repo", "own"):
        site.repository = str(site.base / repository)
        site.restic("check", "--read-data")
        site.assert_clean()
    assert not list((site.base / "state/locks").glob("run-*")), "a lock of a run that is over"
    log = daemon.log.read_text()
    assert "Traceback" not in log
    assert not daemon.events("monitor.failed")
