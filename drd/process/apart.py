"""Work in a thread of its own, which can be left behind, and held to one directory.

A system call that waits for somebody else (the open of a pipe that took a file's name) heeds no cancel,
but who waits for the thread does. And Landlock holds a thread to what it may change for as long as it
lives.
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
from drd.fence.available import look
from drd.process.cancel import cancelled
from drd.process.child import GRACE_S

T = TypeVar("T")

_TURN_S = 0.2


def can_confine() -> bool:
    """Whether this kernel has Landlock."""
    return look().landlock_abi > 0


def apart(work: Callable[[], T], *, changes: Path | None = None, removes: bool = True) -> T:
    """What `work` gives, with this thread's rights; of the file system it can change what lies in the
    directory `changes` alone, where that is given, and read what it could before. Without `removes`
    it can remove nothing there.

    Raises what it raises, OSError where it could not be confined, and Cancelled: then it is left to
    itself, if it has not ended by then.
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
    while not _ended(result, _TURN_S):
        if cancelled() and not _ended(result, GRACE_S):
            raise Cancelled("cancelled")
    return result.result()


def _confine(directory: Path, *, removes: bool) -> None:
    kernel.no_new_privileges()
    rights = landlock.CHANGE if removes else landlock.CHANGE & ~landlock.REMOVE
    rules = [("/", landlock.READ), (os.fspath(directory), rights)]
    landlock.restrict(look().landlock_abi, rules, warden=False)


def _ended(result: Future[T], within_s: float) -> bool:
    return bool(wait([result], within_s).done)
