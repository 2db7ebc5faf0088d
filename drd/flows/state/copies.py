"""The copies of the catalogue on which commands work that leave no trace.

Each is in a directory in `work_dir`, which its process keeps locked. What a killed process left
there is removed at the next copy or run.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

from drd.flows.state.run_dirs import RUN
from drd.process import process_alive, process_start_time
from drd.process.private import identity, why_not_private

_PREFIX = f"{RUN}doctor-copy-"
"""The beginning of the names by which `drd doctor` finds copies that nobody removed."""

_NAME = re.compile(rf"{_PREFIX}(\d{{1,10}})-(\d{{1,20}})-[0-9a-f]{{8}}", re.ASCII)


class CopyPlace(NamedTuple):
    """An empty directory for a copy of the catalogue; `lock` is the descriptor that locks it."""

    directory: Path
    lock: int

    def remove(self) -> None:
        """Remove the directory with the copy, then release the lock."""
        shutil.rmtree(self.directory, ignore_errors=True)
        os.close(self.lock)


def make_copy_place(work_dir: Path) -> CopyPlace:
    """Make the directory of a copy of this process's."""
    sweep_copies(work_dir)
    pid = os.getpid()
    directory = work_dir / f"{_PREFIX}{pid}-{process_start_time(pid)}-{token_hex(4)}"
    directory.mkdir(mode=0o700)
    return CopyPlace(directory, _locked(directory))


def sweep_copies(work_dir: Path) -> None:
    """Remove the copies of dead processes, if nobody else can have created or exchanged them."""
    left = [d for d in sorted(work_dir.glob(f"{_PREFIX}*")) if _is_dead(d)]
    if not left or why_not_private(work_dir) is not None:
        return
    for directory in left:
        if identity(directory) is None:
            continue
        try:
            # A container has pids of its own, but not locks.
            lock = _locked(directory)
        except OSError:
            continue
        CopyPlace(directory, lock).remove()


def _is_dead(directory: Path) -> bool:
    name = _NAME.fullmatch(directory.name)
    return name is not None and not process_alive(int(name[1]), int(name[2]))


def _locked(directory: Path) -> int:
    """Raises OSError if another process has locked it."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd
