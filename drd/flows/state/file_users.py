"""Find which processes use a file of the state, by locks or open: drd's own, or other ones."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_WAIT_S = 10.0
_POLL_S = 0.05

_LOCK_BYTES = (0x40000000, 512)
"""The range of bytes in which SQLite locks a database. Each connection that has read it, or waits
to read, locks some of them.
"""

_LONGEST_S = 60.0
"""Longer than a connection of drd's waits for a lock."""


def is_held(path: Path, trusted: Collection[int], *, kind: str = "POSIX") -> bool:
    """Return whether a process of these users has a lock of this kind on the file: SQLite's
    connections lock a database, and a run locks its file (`FLOCK`). True if drd cannot find out.

    Locks of others do not count: they would keep drd from fixing a file that these users have
    opened. Nor does a lock under the number of a process that does not have the file open: a FLOCK
    outlives the process that took it, and process numbers are reused.
    """
    try:
        info = path.lstat()
        table = Path("/proc/locks").read_text("ascii")
    except OSError:
        return True
    holders = set(_holders(table, info.st_ino, kind))
    return any(_is_of(pid, trusted) and _has_open(pid, info) is not False for pid in holders)


def _holders(table: str, inode: int, kind: str) -> Iterator[int]:
    """Return the lock holders by inode number alone: some file systems report another device here
    than for `stat`.
    """
    for line in table.splitlines():
        words = line.split()
        if kind not in words:
            continue
        place = next((n for n, word in enumerate(words) if word.count(":") == 2), None)
        if place is not None and words[place].rpartition(":")[2] == str(inode):
            yield int(words[place - 1])


def _is_of(pid: int, trusted: Collection[int]) -> bool:
    """Return whether the process belongs to one of these users, by its real user, which does not
    change when it runs a set-user-ID program.
    """
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


def _has_open(pid: int, info: os.stat_result) -> bool | None:
    """Return whether the process has the file open; None if this process may not see that."""
    try:
        fds = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 - names are wanted
    except (ProcessLookupError, FileNotFoundError):
        return False
    except OSError:
        return None
    for fd in fds:
        with suppress(OSError):
            if os.path.samestat(os.stat(f"/proc/{pid}/fd/{fd}"), info):  # noqa: PTH116
                return True
    return False


def _is_open(info: os.stat_result, trusted: Collection[int]) -> bool:
    """Return whether another process of these users has the file open, as far as this one may
    see."""
    pids = (int(n) for n in os.listdir("/proc") if n.isdecimal())  # noqa: PTH208
    return any(p != os.getpid() and _is_of(p, trusted) and _has_open(p, info) for p in pids)


@contextmanager
def sole(database: Path, trusted: Collection[int]) -> Iterator[Callable[[], bool]]:
    """Prevent connections of these users' SQLite to the file during the body, which may replace it.
    Yields a function that says whether somebody has the file open (perhaps since before the lock),
    or waits for it. If a lock of a group member prevents drd's lock, drd has no lock, and the body
    has to check.
    """
    fd = os.open(database, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    info, locked = os.fstat(fd), _locked_for_sqlite(fd)
    try:
        yield lambda: not is_held(database, trusted) and not _is_open(info, trusted)
    finally:
        # Who came to the old file in the last moment must not write to it.
        replaced = not _is_same(database, info)
        limit = time.monotonic() + _LONGEST_S
        while replaced and locked and _is_open(info, trusted) and time.monotonic() < limit:
            time.sleep(_POLL_S)
        if not (replaced and locked and os.geteuid() != 0):
            os.close(fd)
        # Else it stays locked as long as this process lives, which cannot see what root has open.


def _locked_for_sqlite(fd: int) -> bool:
    """Lock by the open file description: other opens and closes in this process do not
    release it.
    """
    words = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, *_LOCK_BYTES, 0)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, words)
    except OSError:
        return False
    return True


def _is_same(path: Path, info: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), info)
    except OSError:
        return False


@contextmanager
def kept_out(directory: Path, trusted: Collection[int]) -> Iterator[bool]:
    """Prevent other processes of these users from running such a body at the same time; yields
    False if one of them is running it.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        limit = time.monotonic() + _WAIT_S
        while not (ours := _locked(fd) or not is_held(directory, trusted, kind="FLOCK")):
            if time.monotonic() >= limit:
                break
            time.sleep(_POLL_S)
        yield ours
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
