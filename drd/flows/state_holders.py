"""Which processes hold locks on a file of the state: drd's own, or somebody else's."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

_WAIT_S = 10.0
_POLL_S = 0.05


def is_held(path: Path, trusted: Collection[int]) -> bool:
    """Whether a process of these users has a lock on it, as SQLite's connections have on a database and
    a run has on its file; also where nobody can tell. Locks of others count for nothing: they would
    keep drd from putting right what they have got hold of."""
    try:
        inode = path.lstat().st_ino
        table = Path("/proc/locks").read_text("ascii")
    except OSError:
        return True
    return any(_is_of(pid, trusted) for pid in _holders(table, inode))


def _holders(table: str, inode: int) -> Iterator[int]:
    """By the number alone: some file systems name another device here than for `stat`."""
    for line in table.splitlines():
        words = line.split()
        place = next((n for n, word in enumerate(words) if word.count(":") == 2), None)
        if place is not None and words[place].rpartition(":")[2] == str(inode):
            yield int(words[place - 1])


def _is_of(pid: int, trusted: Collection[int]) -> bool:
    """By the real user, which somebody's process keeps when it becomes a set-user-ID program."""
    if pid <= 0:
        return False  # of an open file, which neither SQLite nor drd takes
    try:
        lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()
        real = next(int(line.split()[1]) for line in lines if line.startswith(b"Uid:"))
    except (OSError, StopIteration):
        return _lives(pid)
    return real in trusted


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


@contextmanager
def alone(directory: Path, trusted: Collection[int]) -> Iterator[None]:
    """No other process of these users is in such a body meanwhile."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        limit = time.monotonic() + _WAIT_S
        while not _locked(fd) and is_held(directory, trusted) and time.monotonic() < limit:
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
