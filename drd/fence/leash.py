"""Run one command without a fence, and end the processes that it has started, also those that left
its group.

Orphans of the command become children of this process. If drd demands an end, or dies, all of them
are killed. With `ALWAYS`, they are also killed when the command ends; if one of them still had the
output of the command open, the output may be cut off, and the command has failed.
"""

from __future__ import annotations

import os
import sys
import time

from drd.fence import kernel
from drd.fence.processes import (
    as_status,
    close_streams,
    descendants,
    end_descendants,
    execute,
    reap,
)
from drd.fence.watch import DRD_DIED, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

ON_STOP, ALWAYS = "on-stop", "always"

LEFT_OPEN = 125
"""The exit code of a command that has ended with 0, and left its output open."""

_ENDING_S = 0.3
"""How long a process that is ending may still have the output."""

_TEXT = (
    b"it ended, but left a process that still has its output open, so the output may be cut off: "
    b"let the command wait for the programs that it starts\n"
)


def main() -> NoReturn:
    when, death_signal, argv = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    kernel.die_with_parent(DRD_DIED)
    kernel.adopt_orphans()
    child = os.fork()
    if child == 0:
        execute(argv)
    output, complaints = _identity("/proc/self/fd/1"), os.dup(2)
    close_streams()
    watch = Watch(child, death_signal)
    status = watch.until_it_ends()
    if when == ALWAYS and status == 0 and not watch.stopped and _is_open(output):
        os.write(complaints, _TEXT)
        status = LEFT_OPEN << 8
    if when == ALWAYS or watch.stopped:
        end_descendants()
    os._exit(as_status(status))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        info = os.stat(path)  # noqa: PTH116 - without the modules that pathlib needs
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _is_open(output: tuple[int, int] | None) -> bool:
    limit = time.monotonic() + _ENDING_S
    while True:
        reap()
        if not any(_has(pid, output) for pid in descendants()):
            return False
        if time.monotonic() > limit:
            return True
        time.sleep(0.01)


def _has(pid: int, output: tuple[int, int] | None) -> bool:
    """Return whether a process has the output open; what may not be looked at has it."""
    place = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(place)  # noqa: PTH208 - only the names
    except PermissionError:
        return True
    except OSError:
        return False
    return any(_identity(f"{place}/{number}") == output for number in numbers)
