"""Find out whether a file is gone, and whether a process has ended, with the rights of this user.

`drd status`, which starts cold, imports this: the standard library is enough for it."""

from __future__ import annotations

import os


def is_gone(path: str) -> bool:
    """Return whether the file does not exist; False if this user may not look for it."""
    try:
        os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def is_hidden(path: str) -> bool:
    """Return whether this user may not look for the file: then it may exist."""
    try:
        os.stat(path)  # noqa: PTH116
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def process_start_time(pid: int) -> int | None:
    """Clock ticks after boot at which `pid` started, or None when there is no such process.

    With the pid it names a process for ever: pids are used again, pairs are not.
    """
    try:
        return _started(pid)
    except OSError:
        return None


def has_ended(pid: int, start_time: int | None, host: str, boot: str | None) -> bool:
    """Return whether a process is proven to have ended, by what it had recorded about itself: its
    pid and `process_start_time`, its host, and the host's `boot_id`."""
    if host != os.uname().nodename:
        return False
    if boot is not None and (now := boot_id()) is not None and boot != now:
        return True
    try:
        started = _started(pid)
    except OSError:  # /proc may hide the process from this user
        return not _takes_signals(pid)
    return started is None or (start_time is not None and started != start_time)


def boot_id() -> str | None:
    """Return the kernel's random id of the running boot; None where /proc does not report it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip()
    except (OSError, ValueError):
        return None


def _started(pid: int) -> int | None:
    """Return the start time of a process; None if it has ended. Raises OSError if there is none, or
    if this user does not see it."""
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 (4 ms)
        fields = file.read().rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def _takes_signals(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
