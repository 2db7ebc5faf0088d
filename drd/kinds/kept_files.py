"""Kept copies in the file system: find, exchange and remove what a run has set aside, only by
names.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from drd.errors import TargetError
from drd.exhaustion import by_name
from drd.kinds.file_system import fsync_path, remove, unwritable
from drd.kinds.open_files import usage
from drd.kinds.untrusted_dirs import forget, held, pinned, working
from drd.model.restored import Usage
from drd.ports import Aside

LEFT_ALONE = "lost+found"
"""An entry that belongs to the file system of a mount point, and is never moved."""

NAMES = tuple(f"*.drd_????????_{what}" for what in ("before", "after", "returning", "aside"))
"""Patterns of the names of kept copies, which are no part of any tree."""

READ_BY_NAME = (Path("/etc"), Path("/usr/local/etc"))
"""Directories below which programs use whatever has a name there: `/etc/postgresql/17/NAME` is a
cluster of Debian's, so a kept copy beside it would be another one."""

_MEASURED_S = 1.0


class ReplacedPath(Protocol):
    """One path that a run has replaced."""

    @property
    def target(self) -> Path: ...

    def kept(self) -> list[tuple[Path, bool]]:
        """Return the kept copies, each with whether it is the former content."""

    def waits(self, *, back: bool) -> bool:
        """Return whether `swap` has something to do."""

    def require_exchangeable(self, *, back: bool) -> None: ...

    def swap(self, *, back: bool) -> None: ...

    def discard(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Beside:
    """Kept copies that were renamed as a whole, beside the current content; where programs read
    all names, in a hidden directory beside it. `companions` are suffixes of files that belong to
    it (-wal).
    """

    target: Path
    mark: str
    companions: tuple[str, ...] = ()

    @property
    def before(self) -> Path:
        return self._named("before")

    @property
    def after(self) -> Path:
        return self._named("after")

    def _named(self, what: str) -> Path:
        beside = self.target.with_name(f"{self.target.name}.{self.mark}_{what}")
        room = self._room
        # An earlier version of drd kept the copy beside the target everywhere.
        return beside if room is None or os.path.lexists(beside) else room / beside.name

    @property
    def _room(self) -> Path | None:
        if any(place in self.target.parents for place in READ_BY_NAME):
            return self.target.parent / f".{self.mark}_aside"
        return None

    def make_room(self, kept: Path) -> None:
        """Make the hidden directory if `kept` is to be in it."""
        if kept.parent != (room := self._room):
            return
        if not os.path.lexists(pinned(room)):
            pinned(room).mkdir(mode=0o700)
        held(room).chmod(0o755)  # as open as the place of what it keeps
        fsync_path(pinned(room).parent)

    def leave_room(self) -> None:
        """Remove the hidden directory if nothing is in it any more."""
        if (room := self._room) is not None:
            with suppress(OSError):
                pinned(room).rmdir()
                forget(room)

    def kept(self) -> list[tuple[Path, bool]]:
        kept_paths = ((self.before, True), (self.after, False))
        return [(path, former) for path, former in kept_paths if os.path.lexists(path)]

    def _ways(self, *, back: bool) -> tuple[Path, Path]:
        return (self.before, self.after) if back else (self.after, self.before)

    def waits(self, *, back: bool) -> bool:
        return os.path.lexists(self._ways(back=back)[0])

    @working
    def require_exchangeable(self, *, back: bool) -> None:
        give, take = self._ways(back=back)
        if os.path.lexists(self.target) and os.path.lexists(take):
            raise TargetError(
                f"cannot move {self.target} to {take}: {take} exists already, in addition to the "
                f"kept copy {give}",
                hint=f"drd did not make {take}: move it away, then try again.",
            )
        if self.target.is_mount():
            raise TargetError(
                f"a file system was mounted at {self.target} after the recovery",
                hint=f"unmount it: umount {self.target}. Mount it again after this command.",
            )
        _require_writable(self.target.parent)

    @working
    def swap(self, *, back: bool) -> None:
        if not self.waits(back=back):
            return
        self.require_exchangeable(back=back)
        give, take = self._ways(back=back)
        if os.path.lexists(self.target):
            self.make_room(take)
            self._move(self.target, take)
        self._move(give, self.target)
        fsync_path(self.target.parent)
        self.leave_room()

    def _move(self, old: Path, new: Path) -> None:
        """Rename the companions first: if the file itself is in place, all of its
        companions are.
        """
        for suffix in (*self.companions, ""):
            if os.path.lexists(_with(old, suffix)):
                pinned(_with(old, suffix)).rename(pinned(_with(new, suffix)))

    def _torn(self, kept: Path) -> bool:
        """Return whether companions exist without their file."""
        apart = any(os.path.lexists(_with(kept, s)) for s in self.companions)
        return apart and not os.path.lexists(kept)

    @working
    def discard(self) -> None:
        nothing = not os.path.lexists(self.target) and os.path.lexists(self.before)
        if nothing or any(self._torn(kept) for kept in (self.before, self.after)):
            raise TargetError(
                f"an earlier drd undo of {self.target} is not finished",
                hint="run drd undo again to finish it.",
            )
        for kept in (self.before, self.after):
            for suffix in ("", *self.companions):
                remove(pinned(_with(kept, suffix)))
        self.leave_room()


@dataclass(frozen=True, slots=True)
class Within:
    """Kept copies of the entries of a directory that cannot be renamed itself, in a directory
    within it. While entries are being moved back, this directory is called `returning`.
    """

    target: Path
    mark: str

    @property
    def before(self) -> Path:
        return self.target / f".{self.mark}_before"

    @property
    def after(self) -> Path:
        return self.target / f".{self.mark}_after"

    @property
    def returning(self) -> Path:
        return self.target / f".{self.mark}_returning"

    def entries(self) -> list[str]:
        """The names in the target that are not the run's."""
        names = (p.name for p in self.target.iterdir())
        return sorted(n for n in names if n != LEFT_ALONE and not n.startswith(f".{self.mark}"))

    def kept(self) -> list[tuple[Path, bool]]:
        kept_paths = ((self.before, True), (self.returning, True), (self.after, False))
        return [(path, former) for path, former in kept_paths if path.is_dir()]

    def _ways(self, *, back: bool) -> tuple[Path, Path]:
        return (self.before, self.after) if back else (self.after, self.before)

    def waits(self, *, back: bool) -> bool:
        return self.returning.is_dir() or self._ways(back=back)[0].is_dir()

    @working
    def require_exchangeable(self, *, back: bool) -> None:  # noqa: ARG002 - the same both ways
        _require_writable(self.target)

    @working
    def swap(self, *, back: bool) -> None:
        self._return()
        give, take = self._ways(back=back)
        if not give.is_dir():
            return
        pinned(take).mkdir(mode=0o700, exist_ok=True)
        for name in self.entries():
            pinned(self.target / name).rename(held(take) / name)
        pinned(give).rename(pinned(self.returning))
        forget(give)
        self._return()

    def _return(self) -> None:
        if not self.returning.is_dir():
            return
        for entry in sorted(held(self.returning).iterdir()):
            place = self.target / entry.name
            if os.path.lexists(pinned(place)):
                way = self.returning / entry.name
                raise TargetError(
                    f"drd cannot move {way} back: {place} exists already",
                    hint=f"move {place} away, then run drd undo again.",
                )
            entry.rename(pinned(place))
        pinned(self.returning).rmdir()
        forget(self.returning)
        fsync_path(self.target)

    @working
    def discard(self) -> None:
        if self.returning.is_dir() or (self.before.is_dir() and self.after.is_dir()):
            raise TargetError(
                f"an earlier drd undo of {self.target} is not finished",
                hint="run drd undo again to finish it.",
            )
        for kept in (self.before, self.after):
            if kept.is_dir():
                remove(pinned(kept))


@dataclass(frozen=True, slots=True)
class _KeptWay:
    """A path that a run has replaced; `before` is a kept copy, of either content."""

    target: Path
    before: Path


class KeptPlaces:
    """Implements the port `Kept`. `guard` is called before anything is moved, and may refuse."""

    def __init__(
        self,
        component: str,
        places: Sequence[ReplacedPath],
        guard: Callable[[Path], None] = lambda _: None,
    ) -> None:
        self._component = component
        self._places = places
        self._guard = guard

    def held(self) -> list[Aside]:
        asides = []
        for place in self._places:
            for kept, former in place.kept():
                target, size = os.fspath(place.target), size_of(kept)
                asides.append(Aside(self._component, target, os.fspath(kept), size, former))
        return asides

    def in_use(self) -> list[Usage]:
        """Implements the port `KnowsUsers`."""
        ways = [_KeptWay(p.target, kept) for p in self._places for kept, _ in p.kept()]
        beside = (p.companions for p in self._places if isinstance(p, Beside))
        companions = dict.fromkeys(suffix for suffixes in beside for suffix in suffixes)
        return usage(ways, tuple(companions)) if ways else []

    @working
    def require_exchangeable(self, *, back: bool) -> None:
        for place in self._places:
            if place.waits(back=back):
                self._guard(place.target)
                place.require_exchangeable(back=back)

    @working
    def swap(self, *, back: bool) -> None:
        self.require_exchangeable(back=back)
        for place in self._places:
            with as_target_error(place.target):
                place.swap(back=back)

    @working
    def discard(self) -> None:
        for place in self._places:
            with as_target_error(place.target):
                place.discard()

    def close(self) -> None:
        """Do nothing: nothing is open."""


def _require_writable(directory: Path) -> None:
    if (wrong := unwritable(directory)) is not None:
        raise TargetError(wrong.text, hint=wrong.remedy)


def size_of(path: Path) -> int | None:
    """Return the bytes of a file, or of all files below a directory; None if counting takes too
    long.
    """
    limit = time.monotonic() + _MEASURED_S
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    total = 0
    for directory, _, files in os.walk(path):
        if time.monotonic() > limit:
            return None
        for name in files:
            try:
                total += os.lstat(os.path.join(directory, name)).st_size  # noqa: PTH118
            except OSError:
                continue
    return total


@contextmanager
def as_target_error(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TargetError(
            f"cannot exchange the present data at {place} and its kept copy: "
            f"{by_name(error.filename)}: "
            f"{error.strerror}",
            hint="run the command as a user with the right to write there, for instance root.",
        ) from error


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
