"""kill -9 at random moments, again and again: nothing lost, nothing doubled, nothing left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.site import Site, make_sqlite, small_site

VERBS = [
    ("backup", "shop"),
    ("backup", "shop"),
    ("drill", "shop"),
    ("retention", "shop"),
    ("recover", "shop", "--target", "standby", "--yes", "--overwrite"),
]


@pytest.mark.kills
@pytest.mark.parametrize(
    "rounds", [8, pytest.param(150, marks=[pytest.mark.faults, pytest.mark.timeout(3600)])]
)
def test_random_kills_end_in_a_healthy_state(short_tmp: Path, rounds: int) -> None:
    site = small_site(short_tmp)
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 3}\n")
    make_sqlite(site.base / "shop.db", rows=50_000)
    (site.base / "etc/big").write_bytes(os.urandom(30 << 20))
    site.drd("backup", "shop")
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for number in range(rounds):
        words = chance.choice(VERBS)
        _killed_after(site, chance.uniform(0.0, 3.0), *words)
        complete = [p for p in site.points() if p["complete"]]
        assert complete, f"seed {seed}, round {number}: every complete point was lost"
    _settle(site)
    runs = site.drd("runs", "--limit", "1000", "--json").json["runs"]
    paused = [r for r in runs if r["state"] == "paused"]
    # Retention forgets nothing while the backup before it was killed.
    assert all(r["kind"] == "retention" and "the last backup failed" in r["error"] for r in paused)
    finals = {r["state"] for r in runs if r not in paused}
    assert finals <= {"succeeded", "interrupted", "failed", "incomplete"}, f"seed {seed}"
    assert site.drd("drill", "shop", "--json").json["result"] == "passed", f"seed {seed}"
    site.restic("check", "--read-data")
    site.assert_clean()


def _killed_after(site: Site, seconds: float, *words: str) -> None:
    child = site.start(*words)
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    limit = time.monotonic() + 30
    while site._own_processes() and time.monotonic() < limit:
        time.sleep(0.02)
    assert not site._own_processes(), "a child outlived its killed drd"


def _settle(site: Site) -> None:
    """One undisturbed command of each kind finds what the killed ones left, and ends it."""
    for words in VERBS[1:]:
        site.drd(*words)
    names = [p.name for p in (site.base / "back").iterdir()]
    assert sorted(n for n in names if not n.endswith("_before")) == ["etc", "shop.db"]
