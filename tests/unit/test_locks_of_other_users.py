"""restic takes a process that it may not signal for dead: drd must not let it remove such locks."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.ports import LockInfo
from drd.repositories.restic import locks
from drd.repositories.restic.runner import ResticRunner

NAME = "ab" * 32
MINE, ROOTS, DEAD = 1 << 30, (1 << 30) + 1, (1 << 30) + 2  # no process has such a number


def _runner(unlocked: list[str]) -> ResticRunner:
    def ask(work: Any) -> None:
        work(SimpleNamespace(unlock=lambda: unlocked.append(NAME)))

    place = SimpleNamespace(
        by_file=False,
        lock_files=lambda: [NAME],
        locks=lambda: frozenset() if unlocked else frozenset({NAME}),
    )
    session = SimpleNamespace(place=place, program="/usr/bin/restic")
    return cast("ResticRunner", SimpleNamespace(session=session, ask=ask))


def test_a_process_belongs_to_the_user_who_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where we may signal it, as root that acts for another user may."""
    assert not locks._is_closed(os.getpid())
    monkeypatch.setattr(os, "geteuid", lambda: Path("/proc/self").stat().st_uid + 1)
    assert locks._is_closed(os.getpid())


def _kill(pid: int, _: int) -> None:
    if pid == ROOTS:
        raise PermissionError
    if pid == DEAD:
        raise ProcessLookupError


@pytest.mark.parametrize(
    ("pid", "minutes", "host", "uid", "removed"),
    [
        (ROOTS, 1, "", 1000, 0),
        (ROOTS, 31, "", 1000, 1),  # nobody has renewed it: the number is another process's
        (ROOTS, 1, "elsewhere", 1000, 1),
        (ROOTS, 1, "", 0, 1),  # root may signal everybody, so restic judges right
        (MINE, 1, "", 1000, 1),
        (DEAD, 1, "", 1000, 1),
    ],
)
def test_a_lock_of_a_living_process_of_another_user_stays(
    *,
    pid: int,
    minutes: int,
    host: str,
    uid: int,
    removed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    held = LockInfo(NAME, host or socket.gethostname(), pid, at)
    monkeypatch.setattr(locks, "lock_holders", lambda _: [held])
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(os, "kill", _kill)
    monkeypatch.setattr(locks.init_lock, "remove_dead_marks", lambda *_: None)
    unlocked: list[str] = []
    assert locks.remove_stale(_runner(unlocked)) == removed
    assert len(unlocked) == removed
