"""The places of drd's state, and who may own their content."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from drd.process.state_owner import SHARED


@dataclass(frozen=True, slots=True)
class StatePlaces:
    """The places of drd's state; `database` is None for a catalogue in PostgreSQL. `group` is a
    group that could write beside the catalogue when drd started (`as_found`).
    """

    database: Path | None
    locks: Path
    work_dir: Path
    cache_dir: Path
    group: int | None = None

    def __post_init__(self) -> None:
        """Resolve the directories: root may have put a link in the place of the state."""
        for name in ("database", "locks", "work_dir", "cache_dir"):
            path: Path | None = getattr(self, name)
            if path is not None:
                real = Path(os.path.realpath(path.parent)) / path.name
                object.__setattr__(self, name, real)

    @property
    def state(self) -> Path:
        return self.locks.parent

    def as_found(self) -> StatePlaces:
        """Return these places with the group that can write there now. Call this before the state
        is closed: afterwards nobody can find out who could.
        """
        return replace(self, group=self.sharing())

    def sharing(self) -> int | None:
        """Return the group whose members can write beside the catalogue, because an earlier drd
        allowed it."""
        real = self.real_database
        info = None if real is None else lstat(real.parent)
        if (
            info is None
            or stat.S_IMODE(info.st_mode) != SHARED
            or info.st_uid not in self.trusted()
        ):
            return self.group
        return info.st_gid

    @property
    def real_database(self) -> Path | None:
        """The database itself: root or the owner may have put a link in its place."""
        info = None if self.database is None else lstat(self.database)
        if info is None or not stat.S_ISLNK(info.st_mode) or info.st_uid not in self.trusted():
            return self.database
        return Path(os.path.realpath(self.database or ""))

    def trusted(self) -> frozenset[int]:
        """Return who may own the content; empty if this process cannot correct it."""
        try:
            owner = self.state.stat().st_uid
        except OSError:
            return frozenset()
        return frozenset({0, owner}) if os.geteuid() in (0, owner) else frozenset()


def lstat(path: Path) -> os.stat_result | None:
    """Return the status of a path without following links; None when it does not exist or cannot be
    read."""
    try:
        return path.lstat()
    except OSError:
        return None
