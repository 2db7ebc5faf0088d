"""The daemon on a real repository: it starts what is due and loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.daemons import (
    Daemon,
    WallClock,
    children,
    daemon,
    overlapping,
    quick_plan,
    rows,
    until,
)
from tests.e2e.site import Site, make_tree


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    return site


def storing(site: Site) -> bool:
    return any(w.split()[0].endswith("restic") and " backup " in w for w in _words(site))


def _words(site: Site) -> list[str]:
    return [w for w in site.processes().values() if w]


def succeeded(site: Site) -> int:
    return len(rows(site, where="kind = 'backup' and state = 'succeeded'"))


def test_the_daemon_backs_up_drills_and_shows_the_next_start(site: Site) -> None:
    quick_plan(site, more="drill: {every: 1h}\nretention: {last: 2, every: 1h}\n")
    with daemon(site) as running:
        until(lambda: succeeded(site) >= 3, "three backups", running)
        until(lambda: rows(site, where="kind = 'drill' and state = 'succeeded'"), "a drill")
        items = site.drd("schedule", "--json").json["items"]
        status = site.drd("status", "--json").json
        assert {i["kind"] for i in items} >= {"backup", "drill", "retention", "prune"}
        assert items[0]["kind"] == "backup"
        assert items[0]["why"].startswith("every 2s, last ")
        assert status["plans"][0]["rpo"]["verdict"] == "met"
        assert status["plans"][0]["drill"]["result"] == "passed"
        assert running.stop() == 0
    triggers = {t for (t,) in rows(site, "trigger", "kind = 'backup'")}
    assert triggers <= {"schedule", "catch-up"}
    assert not overlapping(site)
    # What had no process of its own yet when the service stopped waits for its next start.
    assert {s for (s,) in rows(site, "state", "started_at is null")} <= {"pending"}
    errors = {e for (e,) in rows(site, "error", "started_at is not null and state <> 'succeeded'")}
    assert errors <= {"the service was stopped"}, "only the stop ended one that was under way"
    site.assert_clean()


@pytest.mark.kills
def test_a_killed_run_is_recorded_cleaned_up_and_repeated(site: Site) -> None:
    """First what it started, then itself: as the kernel does when memory runs out."""
    quick_plan(site, backup="every: 4s")
    site.slow_down()
    with daemon(site) as running:
        until(lambda: storing(site), "restic", running)
        for pid in children(site):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: rows(site, where="error like '%memory ran out%'"), "its record", running)
        until(lambda: storing(site), "another try", running)
        [worker] = [
            p for p, w in site.processes().items() if " worker " in w and "setpriv" not in w
        ]
        os.kill(worker, signal.SIGKILL)
        until(lambda: rows(site, where="state = 'interrupted'"), "the record", running)
        until(lambda: succeeded(site), "another backup", running)
    # The end of the daemon may have interrupted one more.
    [(error,)] = rows(site, "error", "state = 'interrupted' and error <> 'the service was stopped'")
    assert error == "the process of the run was killed by SIGKILL"
    [(error,)] = rows(site, "error", "state in ('failed', 'incomplete')")
    assert "restic was killed by SIGKILL, perhaps because memory ran out" in error
    assert running.process.returncode == 0
    site.assert_clean()


def test_a_stop_interrupts_runs_and_the_next_start_repeats_them(site: Site) -> None:
    quick_plan(site, backup="every: 9s")
    site.slow_down()
    with daemon(site) as running:
        until(lambda: storing(site), "restic", running)
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 20
    site.assert_clean()
    assert rows(site, "state, error") == [("interrupted", "the service was stopped")]
    with daemon(site) as running:
        until(lambda: succeeded(site), "the backup", running)
        assert running.stop() == 0
    assert site.catalogue("select kind from alerts where kind like '%-failing'") == []
    site.assert_clean()


def test_a_killed_daemon_leaves_nothing_and_is_replaced(site: Site) -> None:
    quick_plan(site, backup="every: 5s")
    site.slow_down()
    running = Daemon(site)
    until(lambda: storing(site), "restic", running)
    running.process.kill()
    running.process.wait()
    site.assert_clean(settled=False)
    with daemon(site) as running:
        until(lambda: succeeded(site), "a backup", running, within_s=90)
    states = [s for (s,) in rows(site, "state")]
    assert states[0] == "interrupted"
    assert not overlapping(site)
    site.assert_clean()


def test_two_daemons_do_not_share_a_state(site: Site) -> None:
    quick_plan(site, backup="every: 1h, jitter: none")
    with daemon(site):
        refused = site.drd("daemon", code=11)
    assert (
        "another drd process is doing this work already (it holds the lock daemon)" in refused.err
    )


def test_a_reload_applies_valid_plans_and_keeps_the_others(site: Site) -> None:
    quick_plan(site, backup="every: 1h, jitter: none", name="shop")
    quick_plan(site, backup="every: 1h, jitter: none", name="old")
    plan = site.base / "plans/shop.yaml"
    with daemon(site) as running:
        until(lambda: succeeded(site) == 2, "the first backups", running)
        plan.write_text(plan.read_text().replace("every: 1h", "evry: 1s"))
        (site.base / "plans/old.yaml").unlink()
        quick_plan(site, backup="every: 1h, jitter: none", name="new")
        running.reload()
        until(lambda: succeeded(site) == 3, "the new plan's backup", running)
        [refused] = running.events("plan.refused")
        assert (refused["plan"], refused["before_stays"]) == ("shop", True)
        assert "shop.yaml" in refused["error"]
        assert "evry" in refused["error"]
        scheduled = {
            (i["plan"], i["why"][:8]) for i in site.drd("schedule", "--json").json["items"]
        }
        assert ("shop", "every 1h") in scheduled
        [shop] = site.drd("status", "shop", "--json", code=None).json["plans"]
        assert any(
            "evry" in r["text"] if isinstance(r, dict) else "evry" in r for r in shop["reasons"]
        )

        plan.write_text(plan.read_text().replace("evry: 1s", "every: 2s"))
        running.reload()
        until(lambda: succeeded(site) >= 5, "backups by the mended plan", running)
        assert running.process.poll() is None


def test_a_reload_refuses_a_credential_that_needs_a_restart(site: Site) -> None:
    quick_plan(site, backup="every: 1h, jitter: none")
    site.environment["CREDENTIALS_DIRECTORY"] = str(site.base / "given")
    (site.base / "given").mkdir()
    plan = site.base / "plans/shop.yaml"
    with daemon(site) as running:
        until(lambda: succeeded(site), "the first backup", running)
        plan.write_text(
            plan.read_text().replace(f"{{file: {site.base}/secrets/restic}}", "{credential: new}")
        )
        running.reload()
        [refused] = running.events("plan.refused")
        assert "credential new" in refused["error"]
        stays = site.drd("schedule", "shop", "--json").json["items"]
        assert stays, "the plan of before is in force"
        doctor = site.drd("status", "shop", "--json", code=None).json["plans"][0]
        assert "restart" in str(doctor["reasons"]) or "credential" in str(doctor["reasons"])


@pytest.mark.parametrize("stopped", [False, True])
def test_cancel_ends_a_run_within_ten_seconds(site: Site, stopped: bool) -> None:
    quick_plan(site, backup="every: 1h, jitter: none")
    site.slow_down()
    with daemon(site) as running:
        until(lambda: storing(site), "restic", running)
        [(run,)] = rows(site, "id")
        if stopped:  # a process that hears nothing
            for pid in site.processes():
                if pid != running.process.pid:
                    os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        ended = site.drd("cancel", run, "--json").json
        assert time.monotonic() - began < 11
        assert (ended["run"], ended["state"]) == (run, "cancelled")
        site_left = {p: w for p, w in site.processes().items() if p != running.process.pid}
        assert not any("restic" in w.split()[0] for w in site_left.values())
        again = site.drd("cancel", run, code=2)
        assert f"run {run} of shop has ended already: it was cancelled (drd cancel at " in again.err
    assert rows(site, "state") == [("cancelled",)]
    site.assert_clean()


@pytest.mark.parametrize("beside", [False, True])
def test_cancel_ends_a_process_that_ignores_signals(site: Site, beside: bool) -> None:
    """Three of a hook's processes, one of them out of its group: of the daemon's run, and of one in
    somebody's terminal beside it."""
    hook = site.base / "hook.sh"
    hook.write_text(
        "#!/bin/sh\ntrap '' TERM INT\n"
        f"setsid sh -c 'trap \"\" TERM INT; sleep 1001; : {site.base}' &\n(sleep 1002) &\nsleep "
        "1003\n"
    )
    hook.chmod(0o755)
    every = "backup: {every: 1h, jitter: none}\n" if not beside else ""
    site.plan(
        f"components:\n  conf:\n    kind: files\n    paths: [{site.base}/etc]\n"
        f"    before: {{command: [{hook}], timeout: 5m}}\n{every}"
    )

    def sleeping() -> list[str]:
        return [w for w in site.processes().values() if w.startswith("sleep 100")]

    with daemon(site) as running:
        terminal = site.start("backup", "shop") if beside else None
        until(lambda: len(sleeping()) == 3, "the hook", running)
        [(run,)] = rows(site, "id")
        began = time.monotonic()
        assert site.drd("cancel", run, "--json").json["state"] == "cancelled"
        assert time.monotonic() - began < 11
        assert not sleeping()
        if terminal is not None:
            assert terminal.wait(30) == 130
            terminal.communicate()
    site.assert_clean()


def test_a_run_that_hangs_is_killed_and_nothing_is_done_twice(site: Site) -> None:
    hang = site.base / "hang.sh"
    hang.write_text("#!/bin/sh\nkill -STOP $PPID\nsleep 1000\n")
    hang.chmod(0o755)
    body = (
        f"components:\n  conf:\n    kind: files\n    paths: [{site.base}/etc]\n"
        f"    before: {{command: [{hang}], timeout: 5m}}\n"
        "backup: {every: 1h, timeout: 4s, jitter: none}\n"
    )
    site.plan(body)
    site.environment["DRD_GRACE_S"] = "1"
    with daemon(site) as running:
        until(lambda: rows(site, where="state = 'interrupted'"), "the end", running, within_s=90)
    [(error,)] = rows(site, "error")[:1]
    assert "did not finish within 4s" in error
    assert site.points() == []
    site.assert_clean()


def test_missed_work_is_done_once_after_a_start(site: Site) -> None:
    quick_plan(site, backup="cron: '*/10 * * * *'", rpo="15m")
    site.drd("backup", "shop")
    WallClock(site).set(3 * 86400)
    with daemon(site) as running:
        until(
            lambda: len(rows(site, where="kind = 'backup'")) >= 2,
            "the backup that was missed",
            running,
        )
        time.sleep(2)
        until(lambda: succeeded(site) == 2, "its end", running)
    assert [t for (t,) in rows(site, "trigger", "kind = 'backup'")] == ["manual", "catch-up"]


def test_a_command_beside_the_daemon_counts_for_it(site: Site) -> None:
    quick_plan(site, backup="every: 8s")
    with daemon(site) as running:
        until(lambda: succeeded(site) == 1, "the first backup", running)
        site.drd("backup", "shop")
        [item] = [
            i for i in site.drd("schedule", "shop", "--json").json["items"] if i["kind"] == "backup"
        ]
        [(started,)] = rows(site, "max(started_at)")
    assert item["due_at"] > started
    assert not overlapping(site)


def test_a_dead_foreground_run_is_found_by_the_daemon(site: Site) -> None:
    quick_plan(site, backup="every: 1h, jitter: none")
    site.drd("backup", "shop")
    site.slow_down()
    with daemon(site) as running:
        child = site.start("backup", "shop")
        until(lambda: storing(site), "restic", running)
        child.kill()
        child.communicate()
        until(lambda: rows(site, where="state = 'interrupted'"), "its record", running)
        until(lambda: len(running.events("run.over")) >= 1, "the settling", running)
    site.assert_clean()


def test_a_plan_without_schedules_starts_nothing(site: Site) -> None:
    site.plan(f"components:\n  conf: {{kind: files, paths: [{site.base}/etc]}}\n")
    with daemon(site) as running:
        time.sleep(2)
        assert running.process.poll() is None
    assert rows(site) == []


def test_the_configuration_is_refused_with_its_line(site: Site) -> None:
    config = site.base / "drd.yaml"
    config.write_text(config.read_text() + "limits: {runs: none}\n")
    done = subprocess.run(
        site.argv("daemon"), capture_output=True, env=site.env(), timeout=60, check=False
    )
    assert done.returncode == 2
    assert b"drd.yaml:5" in done.stderr
