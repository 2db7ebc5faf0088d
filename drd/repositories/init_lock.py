"""Make sure that only one process at a time initialises a repository, across hosts: two `restic
init` at once leave a repository that nobody can open.

Each process writes a mark where restic keeps its locks, then lists the marks. If there is no other
mark, it initialises the repository; otherwise it removes its mark and tries again after a random
wait. A listing shows everything that was written before it, on S3 as on a file system. So if two
processes write at the same time, at least one sees the other's mark, and a later process sees the
mark of the process that initialises.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drd import log, process
from drd.errors import DrdError, RepositoryLocked
from drd.model.units import format_duration
from drd.repositories.place import RepositoryPlace

MARK = "drd-init-"
"""The prefix of the names of marks."""

MARK_EXPIRES_S = 600.0
"""A mark of another host this old belongs to a process that died: `init` takes seconds."""


@dataclass
class Waits:
    """Limits in seconds: the whole wait, and the longest wait between two tries. Tests
    change them.
    """

    all_s: float = 120.0
    one_s: float = 2.0


WAITS = Waits()


@contextmanager
def init_lock(place: RepositoryPlace) -> Iterator[None]:
    """Hold the mark that allows `init`. Raises RepositoryLocked when others hold it for
    too long.
    """
    mine = _new_mark()
    limit = time.monotonic() + WAITS.all_s
    while True:
        place.put_mark(mine)
        marks = _marks_among(place.lock_files())
        if all(name == mine or _is_dead(name, age_s) for name, age_s in marks.items()):
            break
        place.remove("locks", [mine])
        if time.monotonic() > limit:
            raise RepositoryLocked(
                f"another drd has been initialising the repository at {place.url} for more "
                f"than {format_duration(WAITS.all_s)}",
                hint="if another host initialises this repository now, wait until it has "
                "finished. Otherwise a process died and left its lock: try again in "
                f"{MARK_EXPIRES_S / 60:.0f} minutes, when this lock has expired.",
            )
        process.check_cancelled()
        time.sleep(random.uniform(0.1, WAITS.one_s))  # noqa: S311 - so that they part
    try:
        yield
    finally:
        _remove_marks(place, marks)


def remove_dead_marks(place: RepositoryPlace, lock_files: Mapping[str, float]) -> None:
    """Remove the marks of dead processes among the lock files."""
    dead = [name for name, age_s in _marks_among(lock_files).items() if _is_dead(name, age_s)]
    if dead:
        place.remove("locks", dead)


def _marks_among(lock_files: Mapping[str, float]) -> dict[str, float]:
    return {name: age_s for name, age_s in lock_files.items() if name.startswith(MARK)}


def _remove_marks(place: RepositoryPlace, marks: Mapping[str, float]) -> None:
    """Remove our mark and the marks of dead processes that were there beside it."""
    try:
        place.remove("locks", marks)
    except DrdError as error:
        log.get().warning("repository.mark_left", repository=place.url, error=error.message)


def _new_mark() -> str:
    pid = os.getpid()
    return f"{MARK}{_pid_scope()}-{pid}-{process.process_start_time(pid)}"


def _pid_scope() -> str:
    """Return the scope in which a pid is unique: this host, its current boot, and its pid
    namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    parts = (
        socket.gethostname(),
        boot.read_text(encoding="ascii") if boot.is_file() else "",
        str(Path("/proc/self/ns/pid").readlink()),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _is_dead(mark: str, age_s: float) -> bool:
    here, _, rest = mark.removeprefix(MARK).partition("-")
    pid, _, born = rest.partition("-")
    if here == _pid_scope() and pid.isdigit() and born.isdigit():
        return not process.process_alive(int(pid), int(born))
    return age_s > MARK_EXPIRES_S
