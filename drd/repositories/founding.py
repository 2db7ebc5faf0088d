"""One process at a time begins a repository, whatever hosts they are on: two `restic init` at once
leave one that nobody can open.

Each writes a mark where restic keeps its locks, and lists them. Alone it goes on; otherwise it
takes its mark away and tries again later, at a time of its own. A listing shows what was written
before it, on S3 as on a file system, so of two that write at once at least one sees the other, and
whoever comes later sees who went on.
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
from drd.repositories.place import Place

MARK = "drd-init-"
"""How the names of marks begin."""

DEAD_S = 600.0
"""A mark of another host this old is of a process that died: `init` takes seconds."""


@dataclass
class Waits:
    """Seconds: until it is given up, and between two tries at most. Tests set them."""

    all_s: float = 120.0
    one_s: float = 2.0


WAITS = Waits()


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """Raises RepositoryLocked when others are at it for too long."""
    mine = _mark()
    limit = time.monotonic() + WAITS.all_s
    while True:
        place.put_mark(mine)
        marks = _marks(place.lock_files())
        if all(name == mine or _is_dead(name, age_s) for name, age_s in marks.items()):
            break
        place.remove("locks", [mine])
        if time.monotonic() > limit:
            raise RepositoryLocked(
                f"others have been beginning the repository at {place.url} for long",
                hint="see that no other host does; what a dead one left counts for nothing after "
                f"{DEAD_S / 60:.0f} minutes.",
            )
        process.check_cancelled()
        time.sleep(random.uniform(0.1, WAITS.one_s))  # noqa: S311 - so that they part
    try:
        yield
    finally:
        _remove(place, marks)


def sweep(place: Place, lock_files: Mapping[str, float]) -> None:
    """Remove the marks of the dead among what lies where restic keeps its locks."""
    dead = [name for name, age_s in _marks(lock_files).items() if _is_dead(name, age_s)]
    if dead:
        place.remove("locks", dead)


def _marks(lock_files: Mapping[str, float]) -> dict[str, float]:
    return {name: age_s for name, age_s in lock_files.items() if name.startswith(MARK)}


def _remove(place: Place, marks: Mapping[str, float]) -> None:
    """Ours, and those of the dead that were there beside it."""
    try:
        place.remove("locks", marks)
    except DrdError as error:
        log.get().warning("repository.mark_left", repository=place.url, error=error.message)


def _mark() -> str:
    pid = os.getpid()
    return f"{MARK}{_here()}-{pid}-{process.process_start_time(pid)}"


def _here() -> str:
    """Where a pid means the same: this host, since it booted, and its processes."""
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
    if here == _here() and pid.isdigit() and born.isdigit():
        return not process.process_alive(int(pid), int(born))
    return age_s > DEAD_S
