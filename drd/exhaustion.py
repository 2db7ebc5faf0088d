"""Errors of the operating system: their text, and whether room or processes ran out."""

from __future__ import annotations

import errno
import os
import re

from drd.errors import DrdError

NO_MORE_TASKS = (
    "raise TasksMax= of the unit (systemctl show drd -P TasksMax) or the user's limit "
    "(ulimit -u), or let fewer runs work at the same time (`limits` in drd.yaml)."
)


def exhausted(error: BaseException, place: object = "") -> DrdError | None:
    """Return the error to report when the operating system had no space left, or could not start
    more processes; None for all other errors. An error of a write does not name the file: then
    `place` is reported.
    """
    if isinstance(error, BlockingIOError) or text_of(error) == "can't start new thread":
        return DrdError(
            "the system cannot start more processes or threads", hint=NO_MORE_TASKS, permanent=False
        )
    if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    where = _without_temporary(str(error.filename or place))
    return DrdError(
        f"no space left on the disk{where and f' of {where}'}",
        hint="free space on this disk; for drd's own files, set `work_dir` to a directory "
        "on a larger disk.",
    )


def by_name(text: object) -> str:
    """Return a text with the real name of each directory instead of `/proc/PID/fd/N`. drd works in
    other users' directories through such descriptors, but a person cannot use these paths.
    """
    return re.sub(rf"/proc/(?:self|{os.getpid()})/fd/([0-9]+)", _present_name, str(text))


def place_of(path: object) -> str:
    """Return a path with real names, as `by_name` does, and without the part that begins with a
    temporary name of drd.
    """
    return _without_temporary(by_name(path))


def _present_name(path: re.Match[str]) -> str:
    try:
        name = os.readlink(f"/proc/self/fd/{path[1]}")  # noqa: PTH115 - no path in case of a pipe
    except OSError:
        return path[0]
    return name if name.startswith("/") else path[0]


def _without_temporary(path: str) -> str:
    return path.partition("/.drd_")[0]


def system_reason(error: OSError) -> str:
    """Return the words of the operating system for an error, in lower case: `permission denied`."""
    return (error.strerror or str(error)).lower()


def text_of(error: BaseException) -> str:
    """Return the text of an error, whose class may fail to make one."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the code of others
        return "(it has no text: its __str__ raised an error)"
