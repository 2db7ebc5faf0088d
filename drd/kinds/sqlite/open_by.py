"""Find who uses a database file: it must not be renamed while somebody does.

A process that continues with a renamed file removes and makes companions by the old name, which
then belong to the new file of that name (https://sqlite.org/howtocorrupt.html, section 1.4). In WAL
mode every connection that has read holds a lock on the -shm file; otherwise only a transaction
holds one on the database, and SQLite itself keeps an idle connection from writing to a file that
was moved.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from drd import modes
from drd.errors import TargetError
from drd.kinds.open_files import in_the_way
from drd.process.open_files import OWN_UNIT, FileUser

_FLOCK = "hhqqi4x"
"""The layout of struct flock with 64 bit offsets: type, whence, start, length, pid."""


def holder(path: Path) -> int | None:
    """Return another process that holds a lock on the database or its -shm file; None if there is
    none, 0 if the process is unknown: the lock of an open file description belongs to no process.
    """
    for file in (path, path.with_name(f"{path.name}-shm")):
        with suppress(OSError):
            descriptor = modes.open_regular(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                answer = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
            finally:
                os.close(descriptor)
            if answer[0] != fcntl.F_UNLCK:
                return max(0, int(answer[4]))
    return None


def require_unused(path: Path) -> None:
    """Raise TargetError if somebody uses the file that a recovery is to replace."""
    _refuse_user(path, lambda fact, _: TargetError(fact, hint=_BY_RUNBOOK))


_BY_RUNBOOK = "stop this program first (in a runbook: by an earlier step `stop`), then try again."


_OWN_RUN = (
    "this is a run of drd: wait until it has ended, then try again. To see it: drd runs. To end "
    "it: drd cancel RUN"
)


def require_unused_for_exchange(path: Path) -> None:
    """The same for an undo, which executes no steps of the runbook."""
    _refuse_user(path, in_the_way)


def _refuse_user(path: Path, error: Callable[[str, FileUser], TargetError]) -> None:
    if (pid := holder(path)) is not None:
        user = FileUser.of(pid)
        fact = f"{path} is in use by {user.words}, which would continue to use the old file"
        if user.unit == OWN_UNIT:
            raise TargetError(fact, hint=_OWN_RUN)
        raise error(fact, user)
