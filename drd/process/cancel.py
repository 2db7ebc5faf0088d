"""Cancel the one run that this process executes.

`cancel` may be called from a signal handler: it sets a flag and wakes every wait for a child.
Tear-down happens inside `shielded`, which ignores the flag. A part of the work of a run can be
stopped alone (`CallOff`): the children that it has started then end as by a cancel.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from drd.errors import Cancelled
from drd.model.cause import Cause

_asked: list[bool] = []
"""Not empty after a cancel. No lock is taken: if a signal comes while the handler of another signal
runs, it would wait for ever for a lock of that handler (`threading.Event` has such a lock)."""
_interruption: list[Cause] = []
_shield = threading.local()
_part = threading.local()
_wake_read, _wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)


class CallOff:
    """Stops the threads that are inside `interruptible`: for them it is a cancel."""

    def __init__(self) -> None:
        self.called = False
        self.wake_fd, self._write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def call(self) -> None:
        """Stop the work. Can be called once and not be undone."""
        if not self.called:
            self.called = True
            os.write(self._write_end, b"x")

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Mark this thread's work as work that may be stopped."""
        _part.call_off = self
        try:
            yield
        finally:
            _part.call_off = None

    def close(self) -> None:
        """Free the resources, when no thread is inside `interruptible` any more."""
        os.close(self.wake_fd)
        os.close(self._write_end)


def cancel(interruption: Cause | None = None) -> None:
    """Ask everything in this process to end; safe in a signal handler.

    `interruption` gives the reason when the run itself is to be repeated, not ended.
    """
    if interruption is not None and not _asked:
        _interruption.append(interruption)
    if not _asked:
        _asked.append(True)
        os.write(_wake_write, b"x")


def reset_cancel() -> None:
    """Forget a cancel; for a process that goes on after a cancelled run (tests, the daemon)."""
    _interruption.clear()
    if _asked:
        _asked.clear()
        os.read(_wake_read, 64)  # two signals at once may have written twice


def cancelled() -> bool:
    """Return whether to stop: False inside `shielded`, even after a cancel."""
    if getattr(_shield, "depth", 0):
        return False
    part = _call_off()
    return bool(_asked) or (part is not None and part.called)


def _call_off() -> CallOff | None:
    call_off: CallOff | None = getattr(_part, "call_off", None)
    return call_off


def interruption() -> Cause | None:
    """Return why the run is interrupted rather than cancelled; None if it is not."""
    return _interruption[0] if _interruption else None


def check_cancelled() -> None:
    """Raise Cancelled after a cancel."""
    if cancelled():
        raise Cancelled("cancelled")


def wake_fds() -> list[int]:
    """File descriptors of which one becomes readable at a cancel (none is ever drained); empty
    inside
    `shielded`.
    """
    if getattr(_shield, "depth", 0):
        return []
    part = _call_off()
    return [_wake_read] if part is None else [_wake_read, part.wake_fd]


@contextmanager
def shielded() -> Iterator[None]:
    """Let the body finish even if the run is cancelled; for tear-down, which must be short."""
    _shield.depth = getattr(_shield, "depth", 0) + 1
    try:
        yield
    finally:
        _shield.depth -= 1
