"""Killed at any moment, started again: the same end state, nothing left, no false success."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.site import PASSWORD, Site, make_sqlite, small_site

BACKUP_STEPS = ["repository", "capture db", "capture conf", "manifest"]
RESTORE_STEPS = ["restore db", "restore conf"]
MOMENTS = ["before", "undone", "after"]


@pytest.fixture
def site(short_tmp: Path) -> Site:
    return small_site(short_tmp)


@pytest.mark.parametrize("when", MOMENTS)
@pytest.mark.parametrize("step", BACKUP_STEPS)
def test_backup_killed_at_a_step_and_run_again(site: Site, step: str, when: str) -> None:
    if step == "repository":
        site.without_repository()
    site.killed_at(f"{when}:{step}", "backup", "shop")
    state = site.drd("status", "--json", code=3).json["plans"][0]
    assert state["rpo"]["verdict"] == "unknown", "a killed backup is no restore point"
    [killed] = site.runs()
    assert (killed["state"], killed["finished_at"]) == ("interrupted", None)
    assert killed["error"] == "the process of this backup died"
    shown = site.drd("run", "show", killed["run"], "--follow", code=1).out
    assert f"backup {killed['run']} of shop: interrupted" in shown
    told = site.drd("backup", "shop", "--json").json
    assert told["state"] == "succeeded"
    sealed = (when, step) in (("undone", "manifest"), ("after", "manifest"))
    points = site.points()
    assert len(points) == (2 if sealed else 1)
    assert all(p["complete"] for p in points)
    states = [r["state"] for r in site.runs()]
    assert states == ["succeeded", "succeeded" if sealed else "interrupted"]
    snapshots = site.restic("snapshots", "--json").count('"short_id"')
    assert snapshots == (7 if sealed else 4), "snapshots of the killed run are swept"
    assert site.drd("drill", "shop", "--json").json["result"] == "passed"
    site.restic("check")
    site.assert_clean()


@pytest.mark.parametrize("when", MOMENTS)
@pytest.mark.parametrize("step", RESTORE_STEPS)
def test_drill_killed_at_a_step_and_run_again(stored: Site, step: str, when: str) -> None:
    stored.killed_at(f"{when}:{step}", "drill", "shop")
    assert stored.drd("status", "--json", code=3).json["plans"][0]["drill"]["result"] is None
    assert stored.drd("drill", "shop", "--json").json["result"] == "passed"
    assert [r["state"] for r in stored.runs()[:2]] == ["succeeded", "interrupted"]
    stored.assert_clean()


@pytest.mark.parametrize("when", MOMENTS)
@pytest.mark.parametrize("step", ["preflight", *RESTORE_STEPS])
def test_recovery_killed_at_a_step_goes_on(stored: Site, step: str, when: str) -> None:
    with sqlite3.connect(stored.base / "shop.db") as connection:
        wanted = list(connection.iterdump())
    words = ("recover", "shop", "--target", "standby", "--yes")
    stored.killed_at(f"{when}:{step}", *words)
    told = stored.drd(*words, "--json").json
    assert told["result"] == "passed"
    with sqlite3.connect(stored.base / "back/shop.db") as connection:
        assert list(connection.iterdump()) == wanted
    assert sorted(p.name for p in (stored.base / "back").iterdir()) == ["etc", "shop.db"]
    runs = [r for r in stored.runs() if r["kind"] == "recovery"]
    assert [r["state"] for r in runs] == ["succeeded"], "the killed run goes on, none is begun"
    stored.assert_clean()


def test_a_dead_recovery_is_cleaned_up_by_a_different_request(stored: Site) -> None:
    stored.killed_at("undone:restore db", "recover", "shop", "--target", "standby", "--yes")
    words = ("recover", "shop", "--target", "standby", "--yes")
    assert "is in the future" in stored.drd(*words, "--lost-at", "2999-01-01T00:00:00Z", code=2).err
    stored.drd(*words, "--lost-at", "0s", "--overwrite", "--no-undo")
    assert sorted(p.name for p in (stored.base / "back").iterdir()) == ["etc", "shop.db"]
    stored.assert_clean()


def _run_until_restic(site: Site, *words: str) -> tuple[object, list[int]]:
    child = site.start(*words)
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        pids = [
            pid
            for pid, line in site.processes().items()
            if "restic" in line and " backup " in line and "/etc" not in line.split()[0]
        ]
        if pids:
            time.sleep(0.4)
            return child, pids
        time.sleep(0.01)
    raise AssertionError("no restic backup was seen")


@pytest.mark.kills
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_backup_is_cancelled_and_clean(stored: Site, number: signal.Signals) -> None:
    stored.slow_down()
    child, _ = _run_until_restic(stored, "backup", "shop")
    child.send_signal(number)  # type: ignore[attr-defined]
    assert child.wait(timeout=20) == 130  # type: ignore[attr-defined]
    assert stored.runs()[0]["state"] == "cancelled"
    assert len(stored.points()) == 1
    stored.assert_clean()


@pytest.mark.kills
def test_drd_killed_in_the_middle_of_storing(stored: Site) -> None:
    stored.slow_down()
    child, _ = _run_until_restic(stored, "backup", "shop")
    os.kill(child.pid, signal.SIGKILL)  # type: ignore[attr-defined]
    child.wait()  # type: ignore[attr-defined]
    stored.speed_up()
    told = stored.drd("backup", "shop", "--json").json
    assert told["state"] == "succeeded"
    assert len(stored.points()) == 2
    stored.restic("check")
    stored.assert_clean()


@pytest.mark.kills
def test_restic_killed_in_the_middle_of_storing(stored: Site) -> None:
    stored.slow_down()
    child, _ = _run_until_restic(stored, "backup", "shop", "--component", "conf", "--json")
    limit = time.monotonic() + 30
    killed = False
    while not killed and time.monotonic() < limit:
        for pid, line in stored.processes().items():
            if line.split()[0].endswith("restic") and " backup " in line:
                os.kill(pid, signal.SIGKILL)
                killed = True
    assert child.wait(timeout=60) == 1  # type: ignore[attr-defined]
    assert stored.runs()[0]["state"] == "failed"
    assert len([p for p in stored.points() if p["complete"]]) == 1
    stored.assert_clean()
    stored.speed_up()
    assert stored.drd("backup", "shop", "--json").json["state"] == "succeeded"
    stored.drd("retention", "shop")
    stored.restic("check")
    stored.assert_clean()


def _dead_restic_with_a_lock(site: Site, *words: str) -> None:
    """What a restic that was killed, without a drd to see it, leaves in the repository."""
    argv = ["restic", "-r", site.repository, "--no-cache", "--limit-download", "10000", *words]
    around = {**os.environ, "RESTIC_PASSWORD": PASSWORD}
    open_end, silent = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(argv, env=around, stdin=open_end, stdout=silent, stderr=silent) as dead:
        limit = time.monotonic() + 30
        while not any(len(name) == 64 for name in site.locks()):
            assert time.monotonic() < limit
        dead.kill()
    assert site.locks()


@pytest.mark.kills
@pytest.mark.parametrize("exclusive", [False, True])
def test_lock_of_a_dead_process_is_gone_after_the_next_backup(
    stored: Site, exclusive: bool
) -> None:
    stored.slow_down()
    stored.speed_up()
    stored.drd("backup", "shop", "--accept-size")
    busy = ("check", "--read-data") if exclusive else ("backup", "--stdin")
    _dead_restic_with_a_lock(stored, *busy)
    stored.drd("backup", "shop")
    stored.assert_clean()


def test_recovery_that_goes_on_removes_the_lock_of_its_dead_restic(site: Site) -> None:
    site.slow_down()
    site.speed_up()
    site.drd("backup", "shop")
    words = ("recover", "shop", "--target", "standby", "--yes")
    site.killed_at("after:preflight", *words)
    _dead_restic_with_a_lock(site, "check", "--read-data")
    site.drd(*words)
    site.assert_clean()


def test_a_killed_prune_is_settled_by_the_next_run(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    site.drd("backup", "shop")
    site.drd("backup", "shop")
    site.drd("retention", "shop")
    site.killed_at("undone:prune", "prune", "shop")
    site.drd("backup", "shop")
    assert [r["state"] for r in site.runs() if r["kind"] == "prune"] == ["interrupted"]
    site.assert_clean()


def test_a_killed_retention_is_settled_by_the_next_run(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"
    site.drd("backup", "shop")
    site.drd("backup", "shop")
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    [newest, _] = site.points()
    site.killed_at("undone:forget", "retention", "shop")
    assert len(site.points()) == 2, "it died before it could say what is gone"
    site.drd("drill", "shop")
    assert [p["point"] for p in site.points()] == [newest["point"]]
    assert [r["state"] for r in site.runs() if r["kind"] == "retention"] == ["interrupted"]
    site.assert_clean()


def _is_locked(database: Path) -> bool:
    """Whether the process was stopped in the middle of writing to it: then nobody gets far."""
    with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("begin immediate")
        except sqlite3.OperationalError:
            return True
    return False


def test_paused_backup_is_not_taken_over(site: Site) -> None:
    make_sqlite(site.base / "shop.db")
    site.slow_down()
    child, _ = _run_until_restic(site, "backup", "shop")
    while True:
        os.kill(child.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
        if not _is_locked(site.base / "state/drd.db"):
            break
        os.kill(child.pid, signal.SIGCONT)  # type: ignore[attr-defined]
        time.sleep(0.05)
    try:
        refused = site.drd("backup", "shop", code=11)
        assert "running" in refused.err
    finally:
        os.kill(child.pid, signal.SIGCONT)  # type: ignore[attr-defined]
    assert child.wait(timeout=60) == 0  # type: ignore[attr-defined]
    assert len(site.points()) == 1
    site.assert_clean()


def test_first_backups_started_at_once_make_one_healthy_repository(site: Site) -> None:
    """Also those of drd with another state, as on another host that shares the disk."""
    site.without_repository()
    other = small_site(site.base / "other", repository=site.repository)
    children = [host.start("backup", "shop") for host in (other, site, site, site)]
    codes = [child.wait(timeout=240) for child in children]
    assert codes[0] == min(codes[1:]) == 0
    assert set(codes) <= {0, 11}
    for host in (site, other):
        host.drd("backup", "shop")
        assert all(p["complete"] for p in host.points())
    site.restic("check", "--read-data")
    site.assert_clean()


def test_two_plans_on_one_new_repository_started_at_once(site: Site) -> None:
    site.without_repository()
    text = (site.base / "plans/shop.yaml").read_text()
    for name in ("one", "two"):
        (site.base / f"plans/{name}.yaml").write_text(text.replace("plan: shop", f"plan: {name}"))
    children = [site.start("backup", name) for name in ("one", "two")]
    assert [child.wait(timeout=90) for child in children] == [0, 0]
    site.restic("check", "--read-data")
    assert len(site.points("one")) == len(site.points("two")) == 1
    site.assert_clean()


def test_init_that_was_killed_half_way_is_finished(site: Site) -> None:
    site.without_repository()
    site.restic("init")
    (Path(site.repository) / "config").unlink()
    assert site.drd("backup", "shop", "--json").json["state"] == "succeeded"
    site.restic("check", "--read-data")
    site.assert_clean()


def test_repository_that_lost_its_config_is_not_begun_anew(stored: Site) -> None:
    (Path(stored.repository) / "config").unlink()
    for file in (stored.base / "state").glob("drd.db*"):
        file.unlink()
    keys = list((Path(stored.repository) / "keys").iterdir())
    told = stored.drd("backup", "shop", "--json", code=1).json
    assert "lost its file `config`" in told["error"]["message"]
    assert list((Path(stored.repository) / "keys").iterdir()) == keys
    stored.assert_clean()


def _stand_still(site: Site, pid: int) -> None:
    """Stop a process while it does not write the catalogue, which nobody else could then."""
    limit = time.monotonic() + 30
    while True:
        os.kill(pid, signal.SIGSTOP)
        path = site.base / "state/drd.db"
        try:
            with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as connection:
                connection.execute("begin immediate")
                connection.execute("rollback")
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
            assert time.monotonic() < limit
            time.sleep(0.005)
        else:
            return


def test_retention_spares_the_point_that_a_drill_is_restoring(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    site.slow_down()
    old = site.drd("backup", "shop", "--json").json["point"]
    (site.base / "etc/big").unlink()
    site.drd("backup", "shop", "--accept-size")
    child = site.start("drill", "shop", "--point", old)
    limit = time.monotonic() + 30
    while not any(" restore " in line for line in site.processes().values()):
        assert time.monotonic() < limit
        time.sleep(0.005)
    _stand_still(site, child.pid)
    try:
        told = site.drd("retention", "shop", "--json").json
    finally:
        os.kill(child.pid, signal.SIGCONT)
    assert told["forgotten"] == []
    assert any("restoring" in why for k in told["keep"] for why in k["reasons"])
    child.communicate(timeout=60)
    assert child.returncode == 0
    assert len(site.points()) == 2
    site.assert_clean()


def test_directory_that_a_kill_left_without_its_name_is_removed(stored: Site) -> None:
    (run,) = [r["run"] for r in stored.runs()]
    work = stored.base / "work"
    (work / f".run-{run}.4711").mkdir()
    (work / ".run-0badcafe.4711").mkdir()
    stored.drd("backup", "shop")
    assert not (work / f".run-{run}.4711").exists()
    assert (work / ".run-0badcafe.4711").exists(), "no run of this state has made it"


@pytest.mark.parametrize("verb", ["backup", "drill", "recover"])
def test_directory_whose_removal_a_kill_interrupted_is_removed(stored: Site, verb: str) -> None:
    words = [verb, "shop", *(["--target", "standby", "--yes"] if verb == "recover" else [])]
    stored.killed_at("amid:removal", *words)
    stored.drd("backup", "shop")
    stored.assert_clean()
