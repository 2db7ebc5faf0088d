"""Show a restore point to the server of an instant drill: mounted, so that the server reads what it
is asked for, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from contextlib import ExitStack
from typing import TypeVar

from drd import process
from drd.errors import DrdError, RepositoryDamaged, SandboxUnavailable
from drd.flows.components.fetch import Fetch
from drd.flows.components.repository_choice import Holders
from drd.model.instant import Reading
from drd.model.recovery_phases import Span
from drd.model.snapshot import ComponentSnapshot
from drd.ports import ReadsInPlace, Repository, Serving
from drd.ports.adopted import CopyDamaged
from drd.process import rights
from drd.process.mounter import Mounter, clear_room, make_room
from drd.process.rights import Purpose

T = TypeVar("T")

ENDS_S = 2.0
"""How long drd waits for the end of a program that seems to serve no longer, in seconds."""


class Mounts:
    """The mounts of an instant drill: `places` are the sandboxes whose servers read in place, by
    component. Safe in several threads."""

    def __init__(self) -> None:
        self.places: dict[str, ReadsInPlace] = {}
        self._serving: dict[str, tuple[str, Serving]] = {}
        self._ends = ExitStack()

    def show(
        self, holders: Holders, snapshot: ComponentSnapshot, restore: Callable[[Fetch], T]
    ) -> T:
        """Mount the component for the server of its sandbox, and restore it from the mount. If the
        mounted files are damaged, mount the component from the next repository."""
        clock, name = holders.services.clock, snapshot.component
        begun = clock.monotonic()
        place = self.places[name]
        damaged: dict[str, RepositoryDamaged] = {}

        def attempt(repository: Repository, snapshot_there: str) -> T:
            # As for a restore: what drd's own user could do is not enough.
            with rights.root(Purpose.OWNERS), ExitStack() as undo:
                serving = _shown(holders, repository, snapshot, snapshot_there, place, undo=undo)
                shown = undo.pop_all()
            self._serving[name] = repository.name, serving
            try:
                restored = restore(Fetch(Span("fetch", begun, clock.monotonic())))
            except RepositoryDamaged as error:
                del self._serving[name]
                _ended(shown)
                damaged[repository.name] = error
                # The backup may have stored damaged files: then the repository is not damaged.
                raise CopyDamaged(error.message, hint=error.hint) from error
            except BaseException:
                self._ends.callback(_ended, shown)
                raise
            self._ends.callback(_ended, shown)
            return restored

        restored = holders.show(name, str(snapshot.snapshot), attempt)
        # Another repository has the same files undamaged: so these repositories are damaged.
        holders.damaged.update(damaged)
        return restored

    def require_served(self, within_s: float = 0.0) -> None:
        """Raise SandboxUnavailable if the files could not be read any more at some time: what the
        checks said then proves nothing about the backup. `within_s` as for `Serving.why_ended`."""
        for _, serving in self._serving.values():
            if (why := serving.why_ended(within_s)) is not None:
                raise SandboxUnavailable(
                    f"the restore point was not readable until the end of the drill: {why.message}",
                    hint=why.hint or "drill again.",
                )

    def damage(self) -> dict[str, RepositoryDamaged]:
        """Return, by repository, the damage that a server met in a file which it read later."""
        damaged = {}
        for name, (repository, serving) in self._serving.items():
            with rights.root(Purpose.OWNERS):
                error = self.places[name].unreadable()
            if error is not None and serving.why_ended(ENDS_S) is None:
                damaged[repository] = error
        return damaged

    def readings(self, restored: Container[str]) -> tuple[Reading, ...]:
        """Return what was read of each mounted component that was restored."""
        return tuple(p.read() for name, p in self.places.items() if name in restored)

    def close(self) -> None:
        """Unmount everything. The servers have ended before."""
        self._ends.close()


def _shown(
    holders: Holders,
    repository: Repository,
    snapshot: ComponentSnapshot,
    snapshot_there: str,
    place: ReadsInPlace,
    *,
    undo: ExitStack,
) -> Serving:
    """Mount a snapshot, and return the program that serves it; `undo` gets how all of it ends."""
    room = place.room()
    undo.callback(clear_room, room)
    make_room(room, place.own)
    mounter = Mounter()
    undo.callback(mounter.close)
    served = mounter.begin(room, *place.user())
    tags = ("drd", f"run:{holders.point.id}", f"component:{snapshot.component}")
    try:
        serving = repository.serve(served, room.parent, host=holders.point.plan, tags=[tags])
    finally:
        os.close(served)
    undo.callback(serving.close)

    def require_serving() -> None:
        if (why := serving.why_ended()) is not None:
            raise why

    try:
        mounter.finish(f"{snapshot_there[:8]}/{place.below(snapshot)}", require_serving)
    except DrdError:
        # What the program says, when it has ended, explains more than the kernel does.
        require_serving()
        raise
    return serving


def _ended(undo: ExitStack) -> None:
    with process.shielded(), rights.root(Purpose.OWNERS):
        undo.close()
