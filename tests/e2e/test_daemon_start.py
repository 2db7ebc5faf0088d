"""What the daemon says, and does not say, when it starts."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from drd.bootstrap import App
from drd.model.run import Run, RunKind, RunState
from tests.e2e.daemons import Daemon, daemon, fill, quick_plan, rows, tell_a_script, text_of, until
from tests.e2e.site import Site, make_tree


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    return site


@pytest.fixture
def small_disk(site: Site) -> Iterator[Path]:
    """The state's directory on a file system of 3 MB."""
    place = site.base / "state"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_plans_are_judged_only_when_they_were_loaded(site: Site) -> None:
    quick_plan(site, backup="every: 1h, jitter: none")
    with daemon(site, cold=True):
        until(
            lambda: site.catalogue("select 1 from alerts where kind = 'never-drilled'"),
            "a look at the plan",
        )
    kinds = {k for (k,) in site.catalogue("select distinct kind from alerts")}
    assert not kinds & {"no-plan", "plan-not-loaded"}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
@pytest.mark.parametrize("readable", [False, True])
def test_a_full_disk_at_the_start_is_reported_and_waited_for(
    site: Site, small_disk: Path, readable: bool
) -> None:
    told = tell_a_script(site)
    quick_plan(site, backup="every: 1h, jitter: none")
    site.drd("backup", "shop")
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "\n# changed\n")
    site.environment["NOTIFY_SOCKET"] = str(site.base / "nobody")  # as systemd starts it
    with ExitStack() as held:
        if readable:  # what SQLite needs to read beside a writer is there
            reader = held.enter_context(closing(sqlite3.connect(small_disk / "drd.db")))
            reader.execute("begin")
            reader.execute("select * from plans").fetchall()
        fill(small_disk / "ballast")
        running = Daemon(site, cold=True)
        try:
            until(lambda: "the disk of drd's catalogue is full" in text_of(told), "word", running)
            assert "no plan is loaded" not in text_of(told)
            (small_disk / "ballast").unlink()
            until(lambda: running.events("daemon.started"), "the start", running)
        finally:
            running.stop()


def test_time_without_a_daemon_beyond_an_rpo_is_reported(site: Site) -> None:
    told = tell_a_script(site)
    quick_plan(site, backup="every: 1h, jitter: none", rpo="3s")
    running = Daemon(site, cold=True)
    try:
        until(running.is_started, "the start", running)
        until(lambda: rows(site, where="state = 'succeeded'"), "a backup", running)
    finally:
        running.process.kill()
        running.process.wait()
    time.sleep(3.5)
    with daemon(site, cold=True) as running:
        until(lambda: "drd was down, or its host slept, from" in text_of(told), "word", running)
        assert "longer than the RPO of shop" in text_of(told)


def test_a_run_already_started_by_a_person_is_not_a_failure(site: Site) -> None:
    """A worker that finds the same work being done leaves it, and counts as nothing."""
    begun, go = site.base / "begun", site.base / "go"
    hook = (
        f"before: {{command: [sh, -c, 'touch {begun}; until test -e {go}; do sleep 0.05; done']}}"
    )
    quick_plan(site, backup="every: 1h, jitter: none")
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("kind: files", f"kind: files, {hook}", 1))
    first = site.start("backup", "shop")
    until(begun.exists, "the backup in the terminal")
    with closing(App(str(site.base / "drd.yaml"))) as app:
        due = Run("", "shop", RunKind.BACKUP, "schedule", RunState.PENDING, None)
        pending = app.catalogue.queue.enqueue(due).id
    site.drd("worker", pending, code=11)
    go.touch()
    assert first.wait(60) == 0
    assert rows(site, "state", f"id = '{pending}'") == [("cancelled",)]
    assert site.catalogue("select tries from jobs where kind = 'backup'") == [(0,)]
