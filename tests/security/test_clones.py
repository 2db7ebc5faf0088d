"""Attack, or an accident: a copied state directory or a cloned machine takes the original's running
backup for dead, forgets its snapshots, and the original seals a point of nothing. A copy settles,
forgets and prunes nothing until a person says which one goes on.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.site import PASSWORD, Site, small_site
from tests.retention_support import backup, codes, kept, policy, retention, snapshots_of


@pytest.fixture
def site(short_tmp: Path) -> Site:
    return small_site(short_tmp)


def hooked(site: Site, script: str) -> None:
    """Let the capture of `conf` begin with a script; it has the site's directory as its own."""
    (site.base / "hook.sh").write_text(f"cd {site.base}\n{script}\n")
    plan = site.base / "plans/shop.yaml"
    hook = f"before: {{command: [sh, {site.base}/hook.sh]}}"
    plan.write_text(plan.read_text().replace("{kind: files,", f"{{kind: files, {hook},"))


def wait_for(what: str, found: object) -> None:
    limit = time.monotonic() + 60
    while not found():  # type: ignore[operator]
        assert time.monotonic() < limit, what
        time.sleep(0.1)


def copied_state(site: Site) -> None:
    """As a snapshot of the file system has it: of one moment, while the original goes on writing.
    Who reads a database's file in a process that has it open breaks SQLite's locks: so nobody
    does."""
    database = shutil.ignore_patterns("drd.db*")
    shutil.copytree(site.base / "state", site.base / "copy", ignore=database)
    with (
        closing(sqlite3.connect(site.base / "state/drd.db")) as original,
        closing(sqlite3.connect(site.base / "copy/drd.db")) as copy,
    ):
        original.backup(copy)


def test_a_copied_state_settles_nothing_of_the_original(site: Site) -> None:
    policy(site, "{last: 1}")
    backup(site)
    hooked(site, "touch waits; while [ ! -e go ]; do sleep 0.1; done")
    original = site.start("backup", "shop", "--json")
    wait_for("the hook", (site.base / "waits").exists)
    db = lambda: any(  # noqa: E731
        "component:db" in s["tags"]
        for s in json.loads(site.restic("snapshots", "--json", "--tag", f"run:{run}"))
    )
    [(run,)] = site.catalogue("select id from runs where state = 'running'")
    wait_for("the snapshot of db", db)

    copied_state(site)
    settings = (site.base / "drd.yaml").read_text()
    (site.base / "copy.yaml").write_text(
        settings.replace("/state/drd.db", "/copy/drd.db").replace(
            "work_dir: work", "work_dir: work2"
        )
    )
    copy = ("--config", str(site.base / "copy.yaml"))
    told = site.drd(*copy, "retention", "shop", "--json").json
    assert codes(told)[0] == "copied-state"
    assert len(snapshots_of(site, run)) == 1, "the copy let the original's snapshots be"
    [pruned] = site.drd(*copy, "prune", "shop", "--json").json["repositories"]
    assert pruned["state"] == "paused"
    rekey = ("repository", "rekey", "shop", "--password", site.secret("new", "another password"))
    assert "drd did not change the password" in site.drd(*copy, *rekey, code=2).err
    assert "drd adopt" in site.drd(*copy, "doctor", "shop", code=None).out

    refused = site.drd(*copy, "backup", "shop", code=11).err
    assert run in refused, "its process is one of this machine"

    (site.base / "go").touch()
    out, err = original.communicate(timeout=120)
    assert original.returncode == 0, err
    assert json.loads(out)["state"] == "succeeded"
    assert len(snapshots_of(site, run)) == 3
    assert site.drd("drill", "shop", "--json").json["result"] == "passed"
    assert retention(site)["state"] == "succeeded", "the original goes on (the healthy twin)"

    done = site.drd(*copy, "backup", "shop", "--json").json
    assert done["state"] == "succeeded", "what runs elsewhere, or died there, holds no backup here"
    # The easy way out, for a host that was renamed, moved or restored.
    assert "drd's state belongs to host" in site.drd(*copy, "adopt").out
    site.drd(*copy, "adopt", "--reason", "this is the new machine")
    site.drd(*copy, "backup", "shop")
    told = site.drd(*copy, "retention", "shop", "--json").json
    assert codes(told) == ["listing-shrank"], (
        "what the original forgot since is for a person to say"
    )
    assert codes(retention(site)) == ["copied-state"], "the original sees that another one goes on"
    site.assert_clean(settled=False)


def test_a_state_behind_the_repository_is_recognised(site: Site) -> None:
    """The same machine, host and file, as a cloned or rolled back machine has them: the repository
    holds a state of drd that no run of this catalogue stored."""
    policy(site, "{last: 1}")
    site.drd("adopt")
    time.sleep(6)  # a state that is seconds older than a copy of it may be the same
    database = site.base / "state/drd.db"
    with sqlite3.connect(database) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    before = database.read_bytes()
    lost = backup(site)
    with sqlite3.connect(database) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    with database.open("r+b") as file:
        file.truncate()
        file.write(before)
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)

    backup(site)
    new = backup(site)
    told = retention(site)
    assert "copied-state" in codes(told)
    assert told["forgotten"] == []
    assert lost in kept(site)
    told = site.drd("adopt", "--reason", "restored from yesterday's image").out
    assert "newer restore points: drd catalogue rebuild\n" in told
    unknown = "contains 1 restore point of the plan that drd's catalogue does not know"
    doctored = site.drd("doctor", "shop", code=None).out
    assert unknown in " ".join(doctored.split())
    assert "drd catalogue rebuild shop\n" in doctored
    site.drd("catalogue", "rebuild", "shop")
    assert "does not know" not in site.drd("doctor", "shop", code=None).out
    assert retention(site)["state"] == "succeeded"
    assert new in kept(site)


def foreign_lock(site: Site) -> None:
    """A lock by this host's name, of a process that is not here."""
    restic = subprocess.Popen(
        ["restic", "-r", site.repository, "--no-cache", "backup", "--stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD},
    )
    wait_for("the lock", site.locks)
    restic.send_signal(signal.SIGKILL)
    restic.wait()


@pytest.mark.parametrize("cloned", [True, False])
def test_a_clone_that_was_booted_asks_the_repository_before_it_settles(
    site: Site, cloned: bool
) -> None:
    site.killed_at("after:capture db", "backup", "shop")
    [(run,)] = site.catalogue("select id from runs where state = 'running'")
    if site.locks():
        site.restic("unlock", "--remove-all")
    with sqlite3.connect(site.base / "state/drd.db") as connection:
        connection.execute("update runs set owner_boot = 'an earlier one' where id = ?", (run,))
    stored = snapshots_of(site, run)
    assert stored
    if cloned:
        foreign_lock(site)
    done = site.drd("backup", "shop")
    [(state,)] = site.catalogue("select state from runs where id = ?", run)
    if not cloned:
        assert (state, snapshots_of(site, run)) == ("interrupted", [])
        return
    assert state == "running"
    assert set(snapshots_of(site, run)) == set(stored)
    assert f"another machine with this host name seems to execute run {run}" in done.err
    site.drd("adopt", "--reason", "the other one is off")
    site.restic("unlock", "--remove-all")
    site.drd("backup", "shop")
    [(state,)] = site.catalogue("select state from runs where id = ?", run)
    assert (state, snapshots_of(site, run)) == ("interrupted", [])


@pytest.mark.parametrize("removed", [True, False])
def test_a_backup_checks_again_before_it_seals(site: Site, removed: bool) -> None:
    restic = f"restic -q -r {site.repository} --no-cache --password-file secrets/restic"
    forget = f"{restic} forget $({restic} snapshots --json --tag component:db | jq -r '.[].id')"
    stored = f"{restic} snapshots --json --tag component:db | grep -q component:db"
    hooked(site, f"until {stored}; do sleep 0.2; done\n{forget if removed else 'true'}")
    done = site.drd("backup", "shop", "--json", code=1 if removed else 0)
    if not removed:
        assert done.json["state"] == "succeeded"
        return
    assert "no longer in the repository" in done.json["error"]["message"]
    assert kept(site) == set(), "no manifest of what is not there"
    assert site.points() == []
