"""Find the server that works in a data directory: its files must not be replaced while it runs.

When a server stops, it replaces the restored file by its own data. While it runs, it writes to its
append-only files.
"""

from __future__ import annotations

from pathlib import Path

from drd.errors import TargetError
from drd.kinds.open_files import in_the_way
from drd.kinds.servers import Working, servers_in
from drd.process.open_files import FileUser

_STOP = "stop the server first (in a runbook: by an earlier step `stop`), then try again."


def holder(directory: Path) -> int | None:
    """Return the process of the server that works in the directory, or of one that perhaps works
    there and that drd may not see; None if there is none."""
    return _working(directory).first


def _working(directory: Path) -> Working:
    return servers_in(directory, lambda words: b"-server" in words)


def require_unused(directory: Path) -> None:
    """Raise TargetError if a server works in the directory that a recovery is to write to."""
    _refuse(directory, by_runbook=True)


def require_unused_for_exchange(file: Path) -> None:
    """The same for an undo, which executes no steps of the runbook."""
    _refuse(file.parent, by_runbook=False)


def _refuse(directory: Path, *, by_runbook: bool) -> None:
    working = _working(directory)
    if (pid := working.first) is None:
        return
    user = FileUser.of(pid)
    if not working.here:
        raise TargetError(
            f"{user.words} perhaps works in {directory}: drd has no right to see the working "
            "directory of this process. A server there would replace the restored data by its own",
            hint="stop this server first, or run the recovery as root: root can see whether the "
            "server works there.",
        )
    fact = (
        f"{user.words} works in {directory}: when it stops, it replaces the restored data by its "
        "own"
    )
    raise TargetError(fact, hint=_STOP) if by_runbook else in_the_way(fact, user)
