"""Whether a process is proven to have ended, by what it recorded of itself."""

from __future__ import annotations

import os
import subprocess
import sys

from drd.presence import boot_id, has_ended, process_start_time

HOST = os.uname().nodename


def test_a_process_that_runs_has_not_ended() -> None:
    pid = os.getpid()
    started = process_start_time(pid)
    assert started is not None
    assert not has_ended(pid, started, HOST, boot_id())
    assert not has_ended(pid, None, HOST, None)


def test_another_process_with_the_same_pid_or_another_boot_proves_the_end() -> None:
    pid = os.getpid()
    started = process_start_time(pid)
    assert started is not None
    assert has_ended(pid, started + 1, HOST, boot_id())
    assert has_ended(pid, started, HOST, "a boot of before")


def test_of_a_process_on_another_host_nothing_is_proven() -> None:
    assert not has_ended(1, 1, f"not-{HOST}", "another boot")


def test_a_zombie_and_a_process_that_is_gone_have_ended() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        started = process_start_time(child.pid)
        assert not has_ended(child.pid, started, HOST, boot_id())
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert has_ended(child.pid, started, HOST, boot_id()), "nobody has reaped it yet"
        child.wait()
    assert has_ended(child.pid, started, HOST, boot_id())
