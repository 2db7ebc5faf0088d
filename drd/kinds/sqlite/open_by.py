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
from contextlib import suppress
from pathlib import Path

from drd import modes
from drd.errors import TargetError

_FLOCK = "hhqqi4x"
"""The layout of struct flock with 64 bit offsets: type, whence, start, length, pid."""


def user(path: Path) -> str:
    """Return another process that holds a lock on the database or its -shm file; empty if none
    does.
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
                return _name(answer[4])
    return ""


def _name(pid: int) -> str:
    """Name the process. The lock of an open file description belongs to no process."""
    with suppress(OSError):
        return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (process {pid})"
    return "another process"


def require_unused(path: Path) -> None:
    """Raise TargetError if somebody uses the file."""
    if who := user(path):
        raise TargetError(
            f"{path} is in use by {who}, which would continue to use the old file",
            hint="stop this program first (in a runbook: by an earlier step `stop`), then try "
            "again (a recovery: drd resume RUN).",
        )
