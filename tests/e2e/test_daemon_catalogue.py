"""A catalogue that cannot be used for a while, under a daemon that runs: somebody is told, the
service goes on, and so does its work afterwards."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from drd.daemon.service import BUSY_S, POLL_S
from drd.flows.alerts.unrecorded import UnrecordedAlerts
from drd.flows.host.shipped_files import SHIPPED
from tests.e2e.daemons import daemon, fill, quick_plan, rows, tell_a_script, text_of, until
from tests.e2e.site import Site, make_tree


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    return site


@contextmanager
def locked(site: Site) -> Iterator[None]:
    """By another process, as far as SQLite can see."""
    with closing(sqlite3.connect(site.base / "state/drd.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        yield


@contextmanager
def full(site: Site) -> Iterator[None]:
    ballast = site.base / "state/ballast"
    fill(ballast)
    yield
    ballast.unlink()


@pytest.fixture
def small_disk(site: Site) -> Iterator[Path]:
    """The state's directory on a file system of 3 MB."""
    place = site.base / "state"
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (locked, "another process has locked drd's catalogue"),
        (full, "the disk of drd's catalogue is full"),
    ],
)
def test_trouble_is_reported_once_and_work_continues_after_it(
    site: Site, trouble: object, words: str, request: pytest.FixtureRequest
) -> None:
    if trouble is full:
        request.getfixturevalue("small_disk")
    told = tell_a_script(site)
    quick_plan(site, "every: 3s, jitter: none", rpo="1h")

    def done() -> int:
        return len(rows(site, where="state = 'succeeded'"))

    with daemon(site) as running:
        until(done, "a backup", running)
        with trouble(site):  # type: ignore[operator]
            until(lambda: words in text_of(told), "word", running)
            until(lambda: running.events("catalogue.trouble"), "trouble of the loop", running)
        before = done()
        until(lambda: running.events("catalogue.works_again"), "the end of it", running)
        until(lambda: done() > before, "another backup", running)
        assert len(running.events("catalogue.trouble")) <= 2, "not once for each look"
        assert not running.events("monitor.failed")
    assert text_of(told).count('"title": "drd: drd cannot use its catalogue"') == 1
    site.assert_clean()


def test_a_lock_that_is_over_soon_is_no_alert(site: Site) -> None:
    """Several processes write on a busy machine, and the daemon waits longer than it may. It tries
    again, and tells nobody."""
    told = tell_a_script(site)
    quick_plan(site, "every: 3s, jitter: none", rpo="1h")

    def done() -> int:
        return len(rows(site, where="state = 'succeeded'"))

    with daemon(site) as running:
        until(done, "a backup", running)
        with locked(site):
            until(lambda: running.events("catalogue.busy"), "a write that waited", running)
        before = done()
        until(lambda: done() > before, "another backup", running)
        assert not running.events("catalogue.trouble")
        assert not running.events("monitor.failed")
    assert "cannot use its catalogue" not in text_of(told)
    site.assert_clean()


def test_no_wait_for_the_catalogue_is_as_long_as_the_watchdog() -> None:
    """A turn of the loop may wait for it up to three times: a reload's plans, the work, the sign of
    life."""
    unit = (SHIPPED / "drd.service").read_text()
    [watchdog_s] = re.findall(r"^WatchdogSec=(\d+)s$", unit, re.MULTILINE)
    assert float(watchdog_s) > 3 * BUSY_S + 2 * POLL_S


def test_a_catalogue_that_somebody_removes_is_reported_with_what_makes_a_new_one(
    site: Site,
) -> None:
    """The service could go on with the removed file, but nobody else sees what is in it. No command
    makes a new file beside it, and one that somebody puts there is none of the service either."""
    told = tell_a_script(site)
    quick_plan(site, "every: 1h")
    with daemon(site) as running:
        until(lambda: rows(site, where="state = 'succeeded'"), "a backup", running)
        for file in (site.base / "state").glob("drd.db*"):
            file.unlink()
        until(lambda: '"kind": "catalogue"' in text_of(told), "the alert", running)
        said = text_of(told)
        assert f"somebody removed {site.base}/state/drd.db while the service was running" in said
        assert '"command": "systemctl restart drd && drd catalogue rebuild"' in said
        for command in (("status",), ("points", "shop"), ("catalogue", "rebuild")):
            refused = site.drd(*command, code=1).err
            assert "state/drd.db is gone, although drd has worked with it" in refused
            assert "systemctl restart drd && drd catalogue rebuild" in refused
        (site.base / "state/drd.db").touch(0o600)
        until(lambda: len(running.events("catalogue.trouble")) > 1, "the new file", running)
        assert "somebody replaced" in running.events("catalogue.trouble")[-1]["error"]
        assert "state-contested" not in text_of(told)
        assert '"event": "resolved"' not in text_of(told)
    sent = {a.after.id for a in UnrecordedAlerts(site.base / "state").read()}
    with daemon(site) as running:
        until(lambda: rows(site, where="state = 'succeeded'"), "a backup", running)
        assert not running.events("catalogue.trouble")

        def known() -> list[dict[str, Any]]:
            alerts = json.loads(site.drd("alerts", "--json").out)["alerts"]
            return [a for a in alerts if a["kind"] == "catalogue"]

        until(known, "the alert of the daemon before, which is to be resolved", running)
        [alert] = known()
        assert alert["alert"] in sent
        assert alert["holds"] is False
        assert "1 restore point added" in site.drd("catalogue", "rebuild").out
    site.assert_clean()
