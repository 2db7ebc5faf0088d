"""Who uses a database file: it may not be renamed under them.

A process that goes on with a renamed file removes and makes companions by the old name, which are
those of the file that has the name then (https://sqlite.org/howtocorrupt.html, section 1.4). In WAL
mode every connection that has read holds a lock on the -shm file; otherwise only a transaction
holds one on the database, and SQLite itself keeps an idle connection from writing to a file that
was moved.
"""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

from drd import modes
from drd.errors import TargetError

_FLOCK = "hhqqi4x"
"""struct flock with 64 bit offsets: type, whence, start, length, pid."""


def user(path: Path) -> str:
    """Another process that holds a lock on the database or its -shm file; empty when none does."""
    for file in (path, path.with_name(f"{path.name}-shm")):
        with suppress(OSError):
            descriptor = modes.open_regular(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                answer = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
            finally:
                os.close(descriptor)
            if answer[0] != fcntl.F_UNLCK:
                return _name(answer[4])
    return ""


def _name(pid: int) -> str:
    """An open file description's lock has no process that could be named."""
    with suppress(OSError):
        return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (process {pid})"
    return "another process"


def require_unused(path: Path) -> None:
    """Raise TargetError when somebody uses it."""
    if who := user(path):
        raise TargetError(
            f"{path} is in use by {who}, which would keep using the file that is moved away",
            hint="stop it first (in a runbook: an earlier step `stop`), then continue.",
        )
