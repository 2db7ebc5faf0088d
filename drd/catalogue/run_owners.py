"""Who owns a run: who holds its lock file, and whether the process of a row is dead."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from drd import process
from drd.catalogue.locks import HeldLock, LockFiles
from drd.catalogue.runs import OwnerProcess
from drd.errors import CatalogueError
from drd.model.custody import token_of
from drd.model.run import Run, sound_id
from drd.model.state_place import StatePlace

_LOCK = "run-"
_SHORT_WAIT_S = 0.5
"""How long drd tries to take a lock that others are checking. A check takes milliseconds."""


def me() -> OwnerProcess:
    return OwnerProcess(os.getpid(), process.process_start_time(os.getpid()), socket.gethostname())


class RunOwners:
    """The owners of runs, by the lock files of this host. `elsewhere` and `place` have the same
    meaning as in `SqlRunStore`."""

    def __init__(self, locks: LockFiles, place: StatePlace | None, *, elsewhere: bool) -> None:
        self._locks = locks
        self._elsewhere = elsewhere
        self._place = token_of(place) if place is not None else None
        boot = process.booted()
        self._boot = boot.id if boot is not None else None

    def me(self) -> OwnerProcess:
        """Return this process, with the state and the boot that it works in."""
        return replace(me(), place=self._place, boot=self._boot)

    def take(self, run: str) -> HeldLock | None:
        """Take the lock of a run; None if another process has it."""
        return self._locks.take(_lock_name(run))

    def take_from_glances(self, run: str) -> HeldLock | None:
        """As `take`, but also wait for processes that only check whether the lock is free."""
        limit = time.monotonic() + _SHORT_WAIT_S
        while (held := self.take(run)) is None and time.monotonic() < limit:
            time.sleep(0.02)
        return held

    def take_left(self, unfinished: Collection[str]) -> Iterator[tuple[str, HeldLock]]:
        """Take each lock that nobody holds, except those of the `unfinished` runs. Yield it with
        the id of its run."""
        for name in self._locks.names(_LOCK):
            run = name.removeprefix(_LOCK)
            if run not in unfinished and (held := self._locks.take(name)) is not None:
                yield run, held

    def process_of(self, run: Run) -> int | None:
        """Return the process that holds the lock of a run here."""
        pid = run.owner_pid
        if pid is None or pid <= 1 or run.owner_host != me().host:
            return None
        return pid if self._locks.is_held_by(_lock_name(run.id), pid) else None

    def is_of_another_state(self, row: Row[Any]) -> bool:
        """Return whether the row belongs to the state from which this state was copied, and its
        process does not run here."""
        return self._is_anothers(row) and not self._lives_here(row)

    def _is_anothers(self, row: Row[Any]) -> bool:
        return row.owner_place is not None and row.owner_place != self._place

    def _lives_here(self, row: Row[Any]) -> bool:
        """Return whether the process of the row runs on this machine, whose name may have changed
        since."""
        pid = row.owner_pid
        if row.owner_boot != self._boot or pid is None:
            return False
        return process.process_alive(pid, row.owner_start)

    @contextmanager
    def proven_dead(self, row: Row[Any]) -> Iterator[bool]:
        """Whether the process of the row is proven dead. If it is, nobody else can take over the
        run during the body."""
        if self._elsewhere and row.owner_host != me().host:
            yield False
            return
        if self._is_anothers(row):
            yield False
            return
        with self._locks.glance(_lock_name(row.id)) as free:
            if free is not None:
                yield free
                return
            # Somebody removed the lock files; a lock on a removed file proves nothing.
            pid = row.owner_pid
            yield pid is None or not process.process_alive(pid, row.owner_start)


def _lock_name(run: str) -> str:
    try:
        return f"{_LOCK}{sound_id(run)}"
    except ValueError as error:
        raise CatalogueError(
            str(error),
            hint="somebody changed the catalogue without drd. To see its runs: drd runs",
        ) from None
