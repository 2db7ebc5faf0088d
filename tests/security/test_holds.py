"""Lie: "it will still be there". A point that an audit or a dispute needs went by the rules like
any other. A held one stays through retention, prune, copies and `drd plan forget`, with who held it
and why, until it is released by name or its time is over.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.site import Site, small_site
from tests.retention_support import backup, kept, policy, retention, snapshots_of


@pytest.fixture
def site(short_tmp: Path) -> Site:
    return small_site(short_tmp)


def test_a_held_point_stays_until_it_is_released_by_name(site: Site) -> None:
    policy(site, "{last: 1}")
    held, other, newest = (backup(site) for _ in range(3))
    made = site.drd("hold", held[:6], "--reason", "audit of 2026", "--json").json["hold"]
    assert (made["point"], made["reason"], made["until"]) == (held, "audit of 2026", None)
    assert made["by"]["came"] == "terminal"
    assert set(made["by"]) >= {"uid", "login_uid", "host"}

    told = retention(site)
    assert told["forgotten"] == [other]
    assert {k["point"]: k["reasons"] for k in told["keep"]}[held] == ["held"]
    site.drd("prune", "shop")
    assert len(snapshots_of(site, held)) == 3
    refused = site.drd("points", "forget", held, "--reason", "room", "--force", code=2)
    assert "is held" in refused.err

    site.drd("release", held, "--reason", "the audit is over")
    [row] = site.catalogue("select released_reason, released_actor from holds")
    assert row[0] == "the audit is over"
    assert json.loads(row[1])["came"] == "terminal"
    backup(site)
    assert newest in retention(site)["forgotten"]


def test_a_hold_is_shown_wherever_points_are(site: Site) -> None:
    held = backup(site)
    site.drd("hold", held, code=2)
    site.drd("release", held, code=13)
    site.drd("hold", held, "--reason", "audit of 2026")
    [shown] = [p for p in site.points() if p["point"] == held]
    assert [h["reason"] for h in shown["holds"]] == ["audit of 2026"]
    assert "is held. Reason: audit of 2026" in site.drd("points", "shop").out
    [plan] = site.drd("status", "shop", "--json", code=None).json["plans"]
    assert [(h["point"], h["reason"]) for h in plan["holds"]] == [(held, "audit of 2026")]
    assert f"{held} is held: audit of 2026" in site.drd("status", "shop", code=None).out


def test_a_hold_ends_with_its_time(site: Site) -> None:
    policy(site, "{last: 1}")
    old = backup(site)
    site.drd("hold", old, "--reason", "before the upgrade", "--until", "5s")
    assert (
        "is in the past"
        in site.drd("hold", old, "--reason", "x", "--until", "2020-01-01", code=2).err
    )
    for never in ("9999-12-31", "9999-12-31T23:59:59-23:59", "99999999w"):
        told = site.drd("hold", old, "--reason", "x", "--until", never, code=2).err
        assert f"the end of the hold, {never}, is too far in the future" in told
    backup(site)
    import time

    time.sleep(5)
    assert retention(site)["forgotten"] == [old]


def test_a_held_point_outlives_the_plan(site: Site) -> None:
    policy(site, "{last: 1}")
    held, other = backup(site), backup(site)
    site.drd("hold", held, "--reason", "dispute")
    file = site.base / "plans/shop.yaml"
    text = file.read_text()
    file.unlink()
    gone = site.drd("plan", "forget", "shop", "--yes", "--json").json
    assert gone["held"] == [held]
    assert site.catalogue("select id from points") == [(held,)]
    file.write_text(text)
    site.drd("catalogue", "rebuild", "shop")
    newest = backup(site)
    told = retention(site)
    assert set(told["forgotten"]) <= {other}
    assert {held, newest} <= kept(site)


def test_a_hold_outlives_the_catalogue(site: Site) -> None:
    """The state in the repository is at most an hour old, but the first backup after a hold stores
    it."""
    policy(site, "{last: 1}")
    held, released = backup(site), backup(site)
    for point in (held, released):
        site.drd("hold", point, "--reason", "audit")
    backup(site)
    site.drd("release", released)
    newest = backup(site)
    for file in (site.base / "state").glob("drd.db*"):
        file.unlink()
    told = site.drd("catalogue", "rebuild").err
    assert f"restore point {held} is held. Reason: audit" in told
    assert f"{released} is held" not in told, "the healthy twin"
    assert "shop: holds that were made after" in told
    assert retention(site)["forgotten"]
    assert {held, newest} <= kept(site)
    # Once more, and from the file that was damaged: it was made after the last backup.
    site.drd("hold", newest, "--reason", "dispute")
    with sqlite3.connect(site.base / "state/drd.db") as catalogue:
        catalogue.execute("update points set data_time = 'no time'")
    told = site.drd("catalogue", "rebuild").err
    assert "which is not a time" in told
    assert f"{held} is held. Reason: audit" in told
    assert f"{newest} is held. Reason: dispute" in told


def test_a_held_point_stays_in_copies(site: Site) -> None:
    policy(site, "{last: 1}")
    file = site.base / "plans/shop.yaml"
    offsite = (
        f"  offsite:\n    url: {site.base}/offsite\n    password: "
        f"{{file: {site.base}/secrets/restic}}\n    copy_of: primary\n"
    )
    file.write_text(file.read_text().replace("components:", f"{offsite}components:", 1))
    held, other = backup(site), backup(site)
    site.drd("copy", "shop")
    site.drd("hold", held, "--reason", "audit")
    backup(site)
    site.drd("copy", "shop")
    assert retention(site)["forgotten"] == [other]
    [point] = [p for p in site.points() if p["point"] == held]
    assert point["repositories"] == ["offsite", "primary"]
    site.repository = str(site.base / "offsite")
    assert held in kept(site)
    assert other not in kept(site)


@contextmanager
def slow_forget(site: Site, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command whose `restic forget` waits for the file `go` once it has begun."""
    programs = site.base / "bin"
    programs.mkdir()
    wrapper = programs / "restic"
    wrapper.write_text(
        "#!/bin/sh\n"
        f'case " $* " in *" forget "*) touch {site.base}/waits\n'
        f"while [ ! -e {site.base}/go ]; do sleep 0.1; done;; esac\n"
        f'exec {shutil.which("restic")} "$@"\n'
    )
    wrapper.chmod(0o755)
    site.environment["PATH"] = f"{programs}:{os.environ['PATH']}"
    running = site.start(*words)
    try:
        limit = time.monotonic() + 60
        while not (site.base / "waits").exists():
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < limit, "restic forget"
            time.sleep(0.1)
        yield running
    finally:
        (site.base / "go").touch()
        running.communicate(timeout=120)
    assert running.returncode == 0


@pytest.mark.parametrize("how", ["retention", "by name"])
def test_a_point_that_is_just_being_forgotten_cannot_be_held(site: Site, how: str) -> None:
    policy(site, "{last: 1}")
    old, newest = backup(site), backup(site)
    words = ("retention", "shop")
    if how == "by name":
        words = ("points", "forget", old, "--reason", "room", "--force")
    with slow_forget(site, *words):
        refused = site.drd("hold", old, "--reason", "audit of 2026", code=None)
        assert refused.code != 0
        assert "is forgetting it now" in refused.err
        site.drd("hold", newest, "--reason", "the healthy twin: it stays")
    assert kept(site) == {newest}
    assert [row[0] for row in site.catalogue("select point from holds")] == [newest]
