"""The descendants of this process."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os
import time

GRACE_S = 5.0


def _children(pid: int) -> list[int]:
    pids: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - only the names
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                pids += map(int, file.read().split())
    except OSError:
        pass
    return pids


def descendants() -> set[int]:
    """Return all processes that came of ours."""
    pids: set[int] = set()
    todo = [os.getpid()]
    while todo:
        new = [c for c in _children(todo.pop()) if c not in pids]
        pids.update(new)
        todo += new
    return pids


def end_descendants() -> None:
    """Kill all processes left of a fence; returns when they are gone."""
    limit = time.monotonic() + GRACE_S
    while time.monotonic() < limit:
        left = descendants()
        for pid in left:
            kill(pid)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def kill(pid: int) -> None:
    send(pid, signal.SIGKILL)


def send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass
