"""Give restored data its final name as the last act, by renames on one file system.

The order, and what a kill in between leaves: 1. the journal (in the run's workplace) names the
inode that is to be published; 2. the target's content is set aside as `NAME.drd_<run>_before`
(`kept_files` says where), companions (-wal) after it; 3. the working file or directory is renamed
to the target: from here on it is published, because the target's inode is the one in the journal;
4. the staging directory is removed, and so is what was set aside, unless it is to be kept and has
content. If nothing was to be overwritten, that was checked before: what appeared since is kept.

Killed after 1 or 2: `publish` continues, `undo` gives the old name back. After 3: both tidy up.

A journal says what to remove and to rename. It is trusted only as far as it names paths that bear
the mark of the run in whose directory it is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drd.errors import TargetError
from drd.kinds.file_system import fsync_path, remove
from drd.kinds.kept_files import Beside
from drd.kinds.untrusted_dirs import pinned, remove_landing, working
from drd.ports import mark_of
from drd.process.private import read_own

JOURNAL = "target.json"

_MARK = re.compile(r"drd_[A-Za-z0-9_-]{1,40}")


def is_nothing(path: Path) -> bool:
    """Return whether the content at a path is worthless: an empty directory or file, or nothing at
    all."""
    if path.is_dir() and not path.is_symlink():
        return next(path.iterdir(), None) is None
    return not path.is_symlink() and (not path.exists() or path.stat().st_size == 0)


@dataclass(frozen=True, slots=True)
class Publication:
    """The publication at one target of one run. `landing` is the marked staging directory beside it
    on the same file system; `companions` are suffixes of files that belong to the target's old
    content; `nothing` says whether this content is worthless.
    """

    target: Path
    landing: Path
    journal: Path
    mark: str
    companions: tuple[str, ...] = ()
    keep: bool = False
    nothing: Callable[[Path], bool] = is_nothing

    @property
    def before(self) -> Path:
        """The name of the old content after it was set aside."""
        return Beside(self.target, self.mark).before

    def announce(self, *, overwrite: bool) -> None:
        """Record what will be touched, before it is: a sweep finds it by this record."""
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
        """Return whether parts of the new content are in the target: never, it is published as a
        whole."""
        return False

    def content(self) -> list[str]:
        """The names in the target, which is a directory."""
        return sorted(os.listdir(self.target))  # noqa: PTH208 - names

    @working
    def published(self) -> bool:
        """Return whether this run has put the present target there."""
        promised = read_journal(self.journal).get("inode")
        return promised is not None and promised == _inode(pinned(self.target))

    @working
    def publish(self, fresh: Path) -> None:
        """Carry out steps 1 to 4; idempotent. `fresh` is in the staging directory, or is the
        staging directory. Raises TargetError if something new has the target's name, after a killed
        run had set the old content aside.
        """
        if not self.published():
            promised = _inode(fresh)
            write_journal(self.journal, read_journal(self.journal) | {"inode": promised})
            self._set_aside()
            fresh.rename(pinned(self.target))
            fsync_path(pinned(self.target).parent)
            if not self.published():
                raise TargetError(
                    f"{self.target} is not the file that drd has restored: another program has "
                    "replaced it",
                    hint="find out who can write to the directory of this file, then start the "
                    "recovery again.",
                )
        self.tidy()

    def _set_aside(self) -> None:
        for suffix in ("", *self.companions):
            old, aside = _with(self.target, suffix), _with(self.before, suffix)
            if not os.path.lexists(pinned(old)):
                continue
            if os.path.lexists(pinned(aside)):
                raise TargetError(
                    f"{old} exists again, but drd had kept its old content as {aside}",
                    hint=f"move one of the two away ({aside} is the older one), then: drd "
                    "resume RUN.",
                )
            Beside(self.target, self.mark).make_room(aside)
            pinned(old).rename(pinned(aside))

    @working
    def tidy(self) -> None:
        """Remove what is no longer needed after the work is finished."""
        aside = [pinned(_with(self.before, suffix)) for suffix in ("", *self.companions)]
        if self.may_overwrite() and not self.keep:
            for path in aside:
                remove(path)
        elif self._nothing_aside():
            for path in aside:
                remove_nothing(path)
        Beside(self.target, self.mark).leave_room()
        remove_landing(self.landing)

    def _nothing_aside(self) -> bool:
        before = pinned(self.before)
        if os.path.lexists(before):
            return self.nothing(before)
        return all(is_nothing(pinned(_with(self.before, s))) for s in self.companions)

    @working
    def appeared(self) -> list[str]:
        """Return sentences about content that appeared in the target after the last check, and was
        set aside although nothing was to be replaced.
        """
        if self.may_overwrite() or not os.path.lexists(pinned(self.before)):
            return []
        return [came_meanwhile(self.target, self.before)]

    @working
    def undo(self) -> list[str]:
        """Undo what a run that will not continue has left; return sentences about it."""
        notes: list[str] = []
        if self.published():
            self.tidy()
            return notes
        for suffix in ("", *self.companions):
            old, aside = _with(self.target, suffix), _with(self.before, suffix)
            if not os.path.lexists(pinned(aside)):
                continue
            if os.path.lexists(pinned(old)):
                notes.append(
                    f"{aside} has the content that {old} had before an unfinished recovery"
                )
            else:
                pinned(aside).rename(pinned(old))
                notes.append(f"restored the former content of {old} after an unfinished recovery")
        Beside(self.target, self.mark).leave_room()
        if os.path.lexists(pinned(self.landing)):
            remove_landing(self.landing)
            notes.append(f"removed {self.landing}, which an unfinished recovery left")
        return notes


def remove_nothing(path: Path) -> None:
    """Remove content that was found to be worthless. A directory that has got an entry since is
    kept."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def came_meanwhile(target: Path, before: Path) -> str:
    """Return the note that something appeared in the target meanwhile."""
    return f"{target} received new content during the recovery; drd keeps it as {before}"


def publication_of(directory: Path) -> Publication | None:
    """Return the publication that a run in this workplace directory had announced; None if there is
    none."""
    return publication_at(directory / JOURNAL)


def publication_at(journal: Path) -> Publication | None:
    """Return the publication that a run had announced in this journal; None if there is none, and
    for paths that a run cannot have announced.
    """
    known = read_journal(journal)
    mark = mark_in(known, journal.parent)
    target, landing = place_in(known, "target"), place_in(known, "landing")
    if target is None or landing is None or mark is None:
        return None
    companions = known.get("companions")
    plain = isinstance(companions, list) and all(s in COMPANIONS for s in companions)
    if not plain or not is_landing(landing, mark):
        return None
    keep = bool(known.get("keep"))
    return Publication(target, landing, journal, mark, tuple(known["companions"]), keep=keep)


COMPANIONS = ("-wal", "-shm", "-journal")
"""Suffixes of files that belong to another file."""


def mark_in(known: Mapping[str, Any], workplace: Path) -> str | None:
    """Return the mark in a journal; None if it is malformed, or if it is not the mark of the run in
    whose directory the journal is."""
    mark, of = known.get("mark"), workplace.parent.name
    if not isinstance(mark, str) or not _MARK.fullmatch(mark):
        return None
    return None if of.startswith("run-") and mark != mark_of(of.removeprefix("run-")) else mark


def place_in(known: Mapping[str, Any], key: str) -> Path | None:
    """Read a path of a journal: absolute, and without `..`."""
    text = known.get(key)
    if not isinstance(text, str) or not text.startswith("/") or "\0" in text:
        return None
    return Path(text) if os.path.normpath(text) == text else None


def is_landing(path: Path, mark: str) -> bool:
    """Return whether a path is, or is in, a staging directory that a run of this mark made beside
    its target.
    """
    return any(part.startswith(f".{mark}.") for part in path.parts)


def read_journal(journal: Path) -> dict[str, Any]:
    """Read a journal; empty if nothing was recorded yet, or if another user recorded it."""
    written = read_own(journal)
    if written is None:
        return {}
    data = json.loads(written)
    assert isinstance(data, dict)
    return data


def write_journal(journal: Path, data: dict[str, Any]) -> None:
    """Replace the journal completely and durably."""
    fresh = journal.with_suffix(".new")
    fresh.write_text(json.dumps(data), "ascii")
    fsync_path(fresh)
    fresh.rename(journal)
    fsync_path(journal.parent)


def _inode(path: Path) -> int | None:
    """Return the inode, which a rename keeps. Device numbers are left out: a reboot may change
    them.
    """
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
