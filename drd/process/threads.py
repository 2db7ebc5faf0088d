"""Run work in its own thread, which can be abandoned or restricted to one directory.

A system call that waits for another process (for example, opening a named pipe in the place of a
file) does not react to a cancel; the caller that waits for the thread does. Landlock restricts what
a thread can change until the thread ends.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from pathlib import Path
from typing import TypeVar

from drd.errors import Cancelled
from drd.fence import kernel, landlock
from drd.fence.available import detect
from drd.process.cancel import cancelled
from drd.process.child import GRACE_S

T = TypeVar("T")

_TURN_S = 0.2


def can_confine() -> bool:
    """Return whether this kernel has Landlock."""
    return detect().landlock_abi > 0


def run_in_thread(work: Callable[[], T], *, changes: Path | None = None, removes: bool = True) -> T:
    """Run `work` in a thread with this thread's rights; return its result. With `changes`, it can
    change only files in that directory, and can read as before. Without `removes`, it can remove
    nothing there.

    Raises the errors of `work`, OSError when the thread could not be restricted, and Cancelled: the
    thread is then abandoned if it has not ended.
    """
    result: Future[T] = Future()

    def begin() -> None:
        try:
            if changes is not None:
                _confine(changes, removes=removes)
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised by who waits
            result.set_exception(error)

    threading.Thread(
        target=copy_context().run, args=(begin,), name="drd-apart", daemon=True
    ).start()
    while not _has_ended(result, _TURN_S):
        if cancelled() and not _has_ended(result, GRACE_S):
            raise Cancelled("cancelled")
    return result.result()


def _confine(directory: Path, *, removes: bool) -> None:
    kernel.no_new_privileges()
    rights = landlock.CHANGE if removes else landlock.CHANGE & ~landlock.REMOVE
    rules = [("/", landlock.READ), (os.fspath(directory), rights)]
    landlock.restrict(detect().landlock_abi, rules, warden=False)


def _has_ended(result: Future[T], within_s: float) -> bool:
    return bool(wait([result], within_s).done)
