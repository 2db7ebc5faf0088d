"""The descendants of this process, and the program that it becomes."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

GRACE_S = 5.0


def execute(argv: list[str]) -> NoReturn:
    """Become this command. If there is no such program, say so, and end as a shell does."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted
    except OSError as error:
        text = f"cannot run {argv[0]}: {error.strerror}\n"
        os.write(2, text.encode("utf-8", "backslashreplace"))
    os._exit(127)


def _children(pid: int) -> list[int]:
    pids: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - only the names
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                pids += map(int, file.read().split())
    except OSError:
        pass
    return pids


def descendants() -> set[int]:
    """Return all processes that came of ours."""
    pids: set[int] = set()
    todo = [os.getpid()]
    while todo:
        new = [c for c in _children(todo.pop()) if c not in pids]
        pids.update(new)
        todo += new
    return pids


def end_descendants() -> None:
    """Kill all processes left of a fence; returns when they are gone."""
    limit = time.monotonic() + GRACE_S
    while time.monotonic() < limit:
        left = descendants()
        for pid in left:
            kill(pid)
        if not reap():
            return
        time.sleep(0.002)


def reap() -> bool:
    """Reap all children that have ended; returns whether there are others."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def close_streams() -> None:
    """Close the copies of the streams, because their other ends wait until the command closes
    them."""
    nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.chdir("/")


def as_status(status: int) -> int:
    """Return the exit code; if a signal ended the command, it ends us as well."""
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


def kill(pid: int) -> None:
    send(pid, signal.SIGKILL)


def send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass
