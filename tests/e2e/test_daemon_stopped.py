"""SIGSTOP for longer than any timeout, then SIGCONT: nothing is done twice, nothing waits for
ever."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.daemons import Daemon, early, overlapping, rows, unkept, unsealed, until
from tests.e2e.site import Site, make_tree

# The first backup hangs in its hook, as in a source that does not answer; the others do not.
HANGS_ONCE = """
components:
  conf:
    kind: files
    paths: [{base}/etc]
    before: {{command: [sh, -c, "mkdir {base}/hung && sleep 600 || true"], timeout: 10m}}
backup: {{every: 9s, timeout: 8s, jitter: none}}
"""
BESIDE = """
components:
  conf: {{kind: files, paths: [{base}/etc]}}
backup: {{every: 3s, jitter: none}}
"""


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    site.plan(HANGS_ONCE.format(base=site.base), name="shop", rpo="60s")
    site.plan(BESIDE.format(base=site.base), name="beside", rpo="60s")
    site.environment["DRD_GRACE_S"] = "1"
    return site


def send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def of_run(site: Site, run: str) -> list[int]:
    """Its process and all that this started."""
    found = []
    for pid in site.processes():
        with suppress(OSError):
            if f"DRD_RUN={run}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
    return found


@pytest.mark.parametrize(
    "whom",
    [
        pytest.param("run", marks=pytest.mark.faults),
        "run of a daemon that dies",
        pytest.param("daemon", marks=pytest.mark.faults),
        "everything",
    ],
)
def test_a_daemon_stopped_for_long_repeats_nothing(site: Site, whom: str) -> None:
    running = Daemon(site)
    try:
        until((site.base / "hung").exists, "the run that hangs", running)
        [(run,)] = rows(site, "id", "plan = 'shop' and state = 'running'")
        stopped = of_run(site, run) if whom.startswith("run") else [running.process.pid]
        if whom == "everything":
            stopped += list(site.processes())
        send(signal.SIGSTOP, stopped)
        if whom == "run of a daemon that dies":
            running.process.kill()
            running.process.wait()
            # The kernel continues a stopped process group that a death leaves without a parent.
            send(signal.SIGSTOP, stopped)
            running = Daemon(site)
        if not whom.startswith("run"):
            time.sleep(10)  # longer than the timeout, and than intervals of the plan beside
            send(signal.SIGCONT, stopped)
        until(lambda: rows(site, where=f"id = '{run}' and state <> 'running'"), "its end", running)
        until(
            lambda: rows(site, where="plan = 'shop' and state = 'succeeded'"),
            "the backup that does not hang",
            running,
        )
        assert not of_run(site, run), "nothing of it is left that could be continued"
        send(signal.SIGCONT, stopped)
        before = len(rows(site, where="plan = 'beside' and state = 'succeeded'"))
        until(
            lambda: len(rows(site, where="plan = 'beside' and state = 'succeeded'")) > before,
            "work that goes on",
            running,
        )
        assert running.stop() == 0
    finally:
        send(signal.SIGCONT, list(site.processes()))
        running.end()
    _look(site, run, whom)


def _look(site: Site, run: str, whom: str) -> None:
    [(state, error)] = rows(site, "state, error", f"id = '{run}'")
    assert state in ("interrupted", "failed")
    if whom == "run of a daemon that dies":
        assert error == "the process that did this run died"
    else:
        assert "did not finish within 8s" in error
    assert run not in [p["point"] for p in site.points()]
    assert not overlapping(site)
    assert not early(site, {("shop", "backup"): 9, ("beside", "backup"): 3})
    assert not unkept(site, "shop", "beside")
    assert not unsealed(site, "shop")
    site.assert_clean()
