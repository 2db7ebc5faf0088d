"""Close a state to everybody but its owner, since an earlier version shared it with a group.

Only drd's own files are closed: the catalogue may be in a directory that somebody uses for more.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from drd import log
from drd.errors import CatalogueError
from drd.flows.state.foreign_files import (
    IN_USE,
    SIDES,
    ForeignFile,
    Renew,
    note_shared,
    put_right,
    wrong_entries,
)
from drd.flows.state.places import StatePlaces
from drd.model.text import escaped, left_out
from drd.modes import UNRECORDED, close_to_others, is_open_to_others
from drd.process.private import why_not_private
from drd.process.state_owner import SHARED

_log = log.get()

_NAMED = 8
"""The number of closed paths that are logged."""

_IN_WORK_DIR = ("run-*", "started-*", "templates", "kept")


def close_state(places: StatePlaces, renew: Renew) -> list[str]:
    """Remove all rights of group and others to the catalogue, its copies and its locks, and to
    drd's directories; fix what such users have left there, and log it. Returns the paths that were
    open. Only for root and the state's owner: for others it changes nothing. Raises CatalogueError
    for a catalogue of another user that could not be set aside, and for a catalogue with another
    user's journal.
    """
    before, places = open_to_others(places), places.as_found()
    if places.group is not None:
        note_shared(places)  # should this process die as soon as the state is closed
    for path in before:
        if path.is_dir():  # first, so that nobody comes in meanwhile
            close_to_others(path)
    noted = note_shared(places)  # before the modes, which are all that shows it
    entries = put_right(places, renew)
    shared = [e for e in entries if e.left]
    _close_files(places, shared if noted else (), () if noted else _catalogue_files(places))
    closed = [str(p) for p in before if os.path.lexists(p) and not is_open_to_others(p)]
    for entry in entries:
        if entry.is_worth_telling:
            _tell(entry)
    if closed:
        more = left_out(len(closed) - _NAMED)
        what = "drd closed its state to group and others: directories 0700, files 0600"
        unsafe = shared or _others_change(places.state) or open_to_others(places)
        if unsafe or wrong_entries(places):
            what = (
                "drd closed its state to group and others, but could not close everything. "
                "To see the rest: drd doctor"
            )
        _log.warning("state.closed", what=what, paths=f"{', '.join(closed[:_NAMED])}{more}")
    _refuse(shared)
    return closed


def _close_files(
    places: StatePlaces, shared: Collection[ForeignFile], kept_open: Collection[Path]
) -> None:
    """Close the files, except two kinds: those for which drd could not note that they were open,
    and those of other users, since drd itself could not open these afterwards."""
    for path in open_to_others(places):
        if path not in kept_open and _is_trusted(path, places):
            close_to_others(path)
    for entry in shared:
        if entry.deed == "renewed" and _is_trusted(entry.path, places):
            close_to_others(entry.path, second_name=entry.left == IN_USE)


def _refuse(shared: Collection[ForeignFile]) -> None:
    for entry in shared:
        if entry.is_catalogue and entry.deed == "set aside":
            raise CatalogueError(
                f"{entry}: drd does not open this file, and could not set it aside "
                f"({escaped(entry.left)})",
                hint=f"give {entry.path.parent} to the owner of the state, mode 0700, and "
                "start drd again",
            )
        journal = entry.path.with_name(f"{entry.path.name}-journal")
        if entry.is_catalogue and os.path.lexists(journal):
            # SQLite would roll it back, and remove the file that it names, whatever that is.
            raise CatalogueError(
                f"{entry}: drd does not open this catalogue. The file {journal.name} is in "
                "the same directory and may belong to other users, and drd could not make "
                f"its own copy ({escaped(entry.left)})",
                hint="stop drd (systemctl stop drd) and its commands, and start drd again. "
                f"If that does not help: find out who owns {journal}, move that file "
                "away, then run drd doctor",
            )


def _catalogue_files(places: StatePlaces) -> tuple[Path, ...]:
    real = places.real_database
    return () if real is None else (real, *(real.with_name(f"{real.name}{s}") for s in SIDES))


def _others_change(directory: Path) -> bool:
    try:
        return why_not_private(directory, directory.stat().st_uid) is not None
    except OSError:
        return False


def _tell(entry: ForeignFile) -> None:
    if entry.left:
        remedy = "drd doctor"
        if entry.left == IN_USE:
            remedy = "stop drd (systemctl stop drd) and its commands, then start drd"
        _log.error("state.shared", what=f"{entry}: {escaped(entry.left)}", remedy=remedy)
    elif entry.is_catalogue and entry.became is not None:
        _log.error(
            "state.catalogue-set-aside",
            what=f"{entry}: drd does not trust this file, and has made a new catalogue",
            kept=escaped(str(entry.became)),
            remedy="run drd doctor, then drd catalogue rebuild, which restores the points",
        )
    elif entry.became is not None:
        _log.warning("state.set-aside", what=str(entry), kept=escaped(str(entry.became)))
    else:
        done = {"renewed": "drd replaced the file with a private copy"}.get(entry.deed, entry.deed)
        _log.warning("state.put-right", what=f"{entry}: {done}")


def open_to_others(places: StatePlaces) -> list[Path]:
    """Return what `close_state` would close."""
    return [p for p in _own_files(places) if is_open_to_others(p)]


def _own_files(places: StatePlaces) -> Iterator[Path]:
    database, locks = places.database, places.locks
    work_dir, cache_dir = places.work_dir, places.cache_dir
    if database is not None:
        state = database.parent
        names = _names(state)
        ours = [n for n in names if _is_of_catalogue(database.name, n)]
        inside = {p.name for p in (locks, work_dir, cache_dir) if p.parent == state}
        if _is_shared(state) or not set(names) - inside - set(ours):
            yield state
        yield from (state / name for name in ours)
        real = places.real_database
        if real is not None and real != database and _is_trusted(real, places):
            directory = real.parent
            beside = [n for n in _names(directory) if _is_of_catalogue(real.name, n)]
            yield from (directory for _ in beside[:1] if _is_shared(directory))
            yield from (directory / name for name in beside)
    yield locks
    yield from (locks / name for name in _names(locks) if name.endswith(".lock"))
    names = _names(work_dir)
    ours = [n for n in names if any(fnmatchcase(n, pattern) for pattern in _IN_WORK_DIR)]
    if (database is not None and work_dir.parent == database.parent) or _is_shared(work_dir):
        if _can_be_read(work_dir):
            yield work_dir
        # Not below these: what was restored there keeps its modes, and a run may be at work in it.
        yield from (p for name in ours if _can_be_read(p := work_dir / name))
    if _is_shared(cache_dir) or not set(_names(cache_dir)) - {"restic"}:
        yield cache_dir


def _is_trusted(real: Path, places: StatePlaces) -> bool:
    try:
        return real.stat().st_uid in places.trusted()
    except OSError:
        return False


def _is_of_catalogue(database: str, name: str) -> bool:
    """Return whether this is the catalogue, a file that SQLite or drd keeps beside it, or a copy
    that drd made of it.
    """
    return name in (database, UNRECORDED) or name.startswith(
        (f"{database}-", f"{database}.", f".{database}.")
    )


def _is_shared(directory: Path) -> bool:
    try:
        return stat.S_IMODE(directory.lstat().st_mode) == SHARED
    except OSError:
        return False


def _can_be_read(directory: Path) -> bool:
    """Return whether others can read it. They may pass through: a sandbox's user needs that to
    reach its files.
    """
    try:
        mode = directory.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and bool(mode & 0o066)


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))  # noqa: PTH208 - names are wanted
    except OSError:
        return []
