"""Cancelling the one run that this process is.

`cancel` may be called from a signal handler: it sets a flag and wakes every wait for a child.
Tear-down happens inside `shielded`, where the flag is not looked at.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from drd.errors import Cancelled

_flag = threading.Event()
_interruption: list[str] = []
_shield = threading.local()
_wake_read, _wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)


def cancel(interruption: str = "") -> None:
    """Ask everything in this process to end; safe in a signal handler.

    `interruption` says why, when nobody wanted the run itself to end: it is to be done again.
    """
    if interruption and not _flag.is_set():
        _interruption.append(interruption)
    if not _flag.is_set():
        _flag.set()
        os.write(_wake_write, b"x")


def reset_cancel() -> None:
    """Forget a cancel; for a process that goes on after a cancelled run (tests, the daemon)."""
    _interruption.clear()
    if _flag.is_set():
        _flag.clear()
        os.read(_wake_read, 1)


def cancelled() -> bool:
    """Whether to stop: false inside `shielded`, also after a cancel."""
    return _flag.is_set() and not getattr(_shield, "depth", 0)


def interruption() -> str:
    """Why the run is interrupted rather than cancelled; empty when it is not."""
    return _interruption[0] if _interruption else ""


def check_cancelled() -> None:
    """Raise Cancelled when a cancel was asked for."""
    if cancelled():
        raise Cancelled("cancelled")


def wake_fd() -> int | None:
    """Readable from the cancel on (it is never drained); None inside `shielded`."""
    return None if getattr(_shield, "depth", 0) else _wake_read


@contextmanager
def shielded() -> Iterator[None]:
    """What runs inside finishes although the run was cancelled; for tear-down, kept short."""
    _shield.depth = getattr(_shield, "depth", 0) + 1
    try:
        yield
    finally:
        _shield.depth -= 1
