"""Giving what was restored its final name as the last act, by renames on one file system.

The order, and what a kill in between leaves:

1. the journal (in the run's workplace) names the inode that is to be published;
2. what the target holds is set aside as `NAME.drd_<run>_before`, companions (-wal) after it;
3. the working file or directory is renamed to the target: from here on it is published,
   because the target's inode is the one in the journal;
4. the landing is removed, and what was set aside, unless it is to be kept and holds something.

Killed after 1 or 2: `publish` continues, `undo` gives the old name back. After 3: both tidy up.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drd.errors import TargetError
from drd.kinds.aside import Beside
from drd.kinds.places import fsync_path, remove

JOURNAL = "target.json"


@dataclass(frozen=True, slots=True)
class Publication:
    """One target of one run. `landing` is the marked directory beside it on the same file system;
    `companions` are suffixes of files that belong to the target's old content."""

    target: Path
    landing: Path
    journal: Path
    mark: str
    companions: tuple[str, ...] = ()
    keep: bool = False

    @property
    def before(self) -> Path:
        """Where the old content waits until the new one has its name, or for longer."""
        return Beside(self.target, self.mark).before

    def announce(self, *, overwrite: bool) -> None:
        """Write down what will be touched, before it is: a sweep finds it by this."""
        known = read_journal(self.journal)
        known |= {
            "target": os.fspath(self.target),
            "landing": os.fspath(self.landing),
            "mark": self.mark,
            "companions": list(self.companions),
            "inside": False,
            "overwrite": overwrite,
            "keep": self.keep,
        }
        write_journal(self.journal, known)

    def may_overwrite(self) -> bool:
        return bool(read_journal(self.journal).get("overwrite"))

    def begun(self) -> bool:
        """Whether parts of what lands stand in the target: never, it comes as a whole."""
        return False

    def content(self) -> list[str]:
        """Names in the target, which is a directory."""
        return sorted(os.listdir(self.target))  # noqa: PTH208 - names

    def published(self) -> bool:
        """Whether the target is what this run put there."""
        promised = read_journal(self.journal).get("inode")
        return promised is not None and promised == _inode(self.target)

    def publish(self, working: Path) -> None:
        """Steps 1 to 4; idempotent. `working` lies in the landing or is it.

        Raises TargetError when something new took the target's name while a killed run's old
        content was set aside.
        """
        if not self.published():
            write_journal(self.journal, read_journal(self.journal) | {"inode": _inode(working)})
            self._set_aside()
            working.rename(self.target)
            fsync_path(self.target.parent)
        self.tidy()

    def _set_aside(self) -> None:
        for suffix in ("", *self.companions):
            old, aside = _with(self.target, suffix), _with(self.before, suffix)
            if not os.path.lexists(old):
                continue
            if os.path.lexists(aside):
                raise TargetError(
                    f"{old} appeared while its old content was set aside as {aside}",
                    hint=f"move one of the two away, then continue; {aside} is the older.",
                )
            old.rename(aside)

    def tidy(self) -> None:
        """Remove what the finished work no longer needs."""
        stays = self.keep and self.may_overwrite() and not is_nothing(self.before)
        for suffix in ("", *self.companions) if not stays else ():
            remove(_with(self.before, suffix))
        remove(self.landing)

    def undo(self) -> list[str]:
        """Take back what a run that will not continue has left; sentences about it."""
        found: list[str] = []
        if self.published():
            self.tidy()
            return found
        for suffix in ("", *self.companions):
            old, aside = _with(self.target, suffix), _with(self.before, suffix)
            if not os.path.lexists(aside):
                continue
            if os.path.lexists(old):
                found.append(f"{aside} has what was at {old} before an unfinished recovery")
            else:
                aside.rename(old)
                found.append(f"gave {old} back its name after an unfinished recovery")
        if os.path.lexists(self.landing):
            remove(self.landing)
            found.append(f"removed {self.landing}, left by an unfinished recovery")
        return found


def publication_of(directory: Path) -> Publication | None:
    """What a run in this workplace directory had announced."""
    return publication_at(directory / JOURNAL)


def publication_at(journal: Path) -> Publication | None:
    """What a run had announced in this journal."""
    known = read_journal(journal)
    if "landing" not in known:
        return None
    return Publication(
        Path(known["target"]),
        Path(known["landing"]),
        journal,
        known["mark"],
        tuple(known["companions"]),
        keep=bool(known.get("keep")),
    )


def is_nothing(path: Path) -> bool:
    """Nobody would want it back: an empty directory or file, or nothing at all."""
    if path.is_dir() and not path.is_symlink():
        return next(path.iterdir(), None) is None
    return not path.is_symlink() and (not path.exists() or path.stat().st_size == 0)


def read_journal(journal: Path) -> dict[str, Any]:
    """Empty when nothing was written down yet."""
    try:
        data = json.loads(journal.read_text("ascii"))
    except FileNotFoundError:
        return {}
    assert isinstance(data, dict)
    return data


def write_journal(journal: Path, data: dict[str, Any]) -> None:
    """Replace it whole, durably."""
    fresh = journal.with_suffix(".new")
    fresh.write_text(json.dumps(data), "ascii")
    fsync_path(fresh)
    fresh.rename(journal)
    fsync_path(journal.parent)


def _inode(path: Path) -> int | None:
    """A rename keeps it; device numbers are left out, they may change with a reboot."""
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
