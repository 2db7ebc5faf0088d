"""Which run a directory belongs to.

The content of a run's directory is trusted: journals say what to remove and to rename elsewhere,
and which processes to end. So a directory counts only if nobody else can have created or exchanged
it: it belongs to this user, nobody else can write to the directories above it, and it contains the
stamp of a run that the catalogue knows. Other directories are left alone; `drd doctor` names them.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from drd.errors import SandboxUnavailable, UsageError
from drd.flows.services import Services
from drd.model.run import Run
from drd.process import rights
from drd.process.private import (
    STAMP,
    Identity,
    half_made,
    identity,
    is_in_root_place,
    make_private,
    read_own,
)
from drd.process.rights import Purpose

_making = threading.Lock()
_made: dict[Path, Identity] = {}
"""Directories that this very process has made, for work without a run's row."""


def rights_in(root: Path) -> AbstractContextManager[None]:
    """Return the rights of the user who may change the place: root's for root's own."""
    return rights.root(Purpose.OWNERS) if is_in_root_place(root) else nullcontext()


def stamped(directory: Path, run: str, row: Run | None, mode: int) -> Path:
    """Make the directory. It gets its name after its stamp, so that a kill leaves no directory with
    this name but without a stamp.
    """
    with _making:
        if not os.path.lexists(directory):
            new = half_made(directory)
            shutil.rmtree(new, ignore_errors=True)
            make_private(new, mode)
            _put_stamp(new, row)
            new.rename(directory)
            if (made := identity(directory)) is not None:
                _made[directory] = made
    require_ours(directory, run, row)
    return directory


def require_ours(directory: Path, run: str, row: Run | None) -> None:
    """Raise SandboxUnavailable for a directory that is not of this run."""
    if not is_own_directory(directory, row):
        raise SandboxUnavailable(
            f"drd does not use {directory}, because run {run} did not make it",
            hint=f"find out who made this directory: `ls -ld {directory}`. If nobody needs it: `rm "
            f"-r {directory}`",
        )


def _put_stamp(directory: Path, run: Run | None) -> None:
    if run is None or run.stamp is None:
        return
    fd = os.open(directory / STAMP, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(run.stamp.encode("ascii"))


def row_of(services: Services, run: str) -> Run | None:
    """Return the run with exactly this id, read as the owner of the state and so of the
    catalogue.
    """
    try:
        with rights.owners():
            run_row = services.catalogue.runs.get(run)
    except UsageError:
        return None
    return run_row if run_row.id == run else None


def is_own_directory(directory: Path, run: Run | None) -> bool:
    """Return whether a directory is this user's, and of this run: by the stamp in its row, or
    because this process made it. (A run from before there were stamps has neither a stamp nor a
    directory.)
    """
    now = identity(directory)
    if now is None:
        return False
    if _made.get(directory) == now:
        return True
    if run is None:
        return False
    put = read_own(directory / STAMP, 100)
    return (put.decode("ascii", "replace") if put is not None else None) == run.stamp


def is_made_here(directory: Path) -> bool:
    """Return whether this very process has made a directory of this name."""
    return directory in _made


def forget(directory: Path) -> None:
    """Forget a directory that was removed."""
    _made.pop(directory, None)


def why_foreign(services: Services, directory: Path, run: str) -> str | None:
    """Say why a directory of this name belongs to no known run; None if it is the run's."""
    if is_made_here(directory):
        return None
    row = row_of(services, run)
    if row is None:
        return f"the catalogue does not contain run {run}"
    with rights_in(directory.parent):
        return (
            None
            if is_own_directory(directory, row)
            else f"run {run} of this drd did not create this directory"
        )
