"""Find the server that works in a data directory: its files must not be replaced while it runs.

A server writes its data over the restored file when it stops, and an append-only file goes on.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from drd.errors import TargetError
from drd.kinds.servers import processes_in
from drd.process import rights
from drd.process.open_files import FileUser

_SERVERS = b"-server"
_STOP = "stop the server first (in a runbook: by an earlier step `stop`), then try again."


@rights.as_root(rights.Purpose.PROCESSES)
def holder(directory: Path) -> int | None:
    """Return the server that works in the directory; None if there is none, or nobody can tell."""
    found = processes_in(directory, _SERVERS)
    return found[0] if found else None


def require_unused(directory: Path) -> None:
    """Raise TargetError if a server works in the directory that a recovery is to write to."""
    _refuse(directory, by_runbook=True)


def require_unused_for_exchange(file: Path) -> None:
    """The same for an undo, which executes no steps of the runbook."""
    _refuse(file.parent, by_runbook=False)


def _refuse(directory: Path, *, by_runbook: bool) -> None:
    pid = holder(directory)
    if pid is None:
        return
    user = FileUser.of(pid)
    hint = _STOP
    if not by_runbook:
        hint = f"stop {user.words} first, and start this program again afterwards."
        if user.unit:
            unit = shlex.quote(user.unit)
            hint = (
                f"stop this unit first: systemctl stop {unit}. Afterwards: systemctl start {unit}"
            )
    raise TargetError(
        f"{user.words} works in {directory}: when it stops, it replaces the restored data by its "
        "own",
        hint=hint,
    )
