"""Find and fix files in a state that others could once write to, and that belong to others too:
links, files and directories of others, files with a second name elsewhere.

Only root and the owner are trusted. A link of root was made by an administrator, and is kept.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from drd import modes
from drd.errors import CatalogueError
from drd.flows.state.file_users import is_held, kept_out, sole
from drd.flows.state.places import StatePlaces, lstat
from drd.model.text import escaped, some
from drd.ports import Finding
from drd.process import user_name
from drd.process.private import why_not_private

SIDES = ("-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite keeps beside a database."""

_ASIDE = ".not-ours-"
_OPEN = 0o066
_LONGEST_MARK = 100

IN_USE = "a process of drd has this file open"

Deed = Literal["set aside", "removed", "replaced", "renewed", "made private"]
Renew = Callable[[Path, Callable[[], bool]], None]
"""Gives a database a new inode, with all that was committed, unless somebody opens it meanwhile,
which the second argument says. Raises CatalogueError, OSError.
"""


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A foreign file, the reason, and what to do. `became` is the new name of a file that was set
    aside, `left` says why nothing could be done.
    """

    path: Path
    why: str
    deed: Deed
    is_catalogue: bool = False
    became: Path | None = None
    left: str = ""

    @property
    def is_worth_telling(self) -> bool:
        """Locks are not reported one by one, because they contain nothing."""
        return bool(self.left) or self.deed != "replaced" or self.path.suffix != ".lock"

    def __str__(self) -> str:
        return escaped(f"{self.path} {self.why}")


def wrong_entries(places: StatePlaces) -> list[ForeignFile]:
    """Return all such files; nothing is changed."""
    trusted = places.trusted()
    if not trusted:
        return []
    entries = [] if places.database is None else [*_catalogue(places, trusted)]
    inside = [d for d in (places.work_dir, places.cache_dir) if d.parent == places.state]
    ours = [*(places.work_dir / n for n in ("templates", "kept")), places.cache_dir / "restic"]
    for directory in (places.locks, *inside, *ours):
        entries += _directory(directory, trusted)
    if not any(e.path == places.locks for e in entries):
        entries += [
            e for lock in _listed(places.locks, ".lock") for e in _file(lock, trusted, _OPEN)
        ]
    return entries


def put_right(places: StatePlaces, renew: Renew) -> list[ForeignFile]:
    """Fix what `wrong_entries` found, while no other process of drd does; return the results."""
    if not wrong_entries(places):
        return []
    with suppress(OSError), kept_out(places.state, places.trusted()) as ours:
        if not ours:
            return [
                replace(e, left="another drd process that is starting corrects this")
                for e in wrong_entries(places)
            ]
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        return [_put_right(e, places, renew, stamp) for e in wrong_entries(places)]
    return []


def note_shared(places: StatePlaces) -> bool:
    """Leave a mark that the catalogue needs a new file: later nothing else may show it, but a
    process that opened the shared file still has it open. Returns False if the mark could not be
    written.
    """
    try:
        for entry in wrong_entries(places):
            if entry.deed == "renewed":
                mark, info = _mark(entry.path), entry.path.lstat()
                if _is_marked(entry.path, info) and not [*_file(mark, places.trusted())]:
                    continue
                mark.unlink(missing_ok=True)
                with os.fdopen(modes.open_private_file(mark), "r+b") as file:
                    file.write(f"{info.st_ino}\n".encode())
                    file.flush()
                    os.fsync(file.fileno())
    except OSError:
        return False
    return True


def set_aside(places: StatePlaces) -> list[Path]:
    """Return files that were set aside and still exist."""
    where = dict.fromkeys((places.state, places.work_dir, places.cache_dir))
    return [p for directory in where for p in _listed(directory) if _ASIDE in p.name]


def standing(places: StatePlaces) -> str | None:
    """Return the text of the alert: the first wrong entry, or files that were set aside and still
    exist; None if there is neither.
    """
    aside, wrong = set_aside(places), [e for e in wrong_entries(places) if e.is_worth_telling]
    if wrong:
        return str(wrong[0])
    if not aside:
        return None
    named = some([escaped(str(entry)) for entry in aside], 1)
    return f"{named} was set aside, because another user had put it there"


def findings(places: StatePlaces) -> list[Finding]:
    """Return the findings for `drd doctor`."""
    findings = []
    for path in set_aside(places):
        catalogue = places.database is not None and path.name.startswith(
            f"{places.database.name}{_ASIDE}"
        )
        detail = f"{escaped(str(path))} was set aside, because another user had put it there"
        hint = f"find out which user did this; when nobody needs the file any more: rm -r -- {path}"
        if catalogue:
            hint = (
                "stop drd. If drd's own catalogue is in the same directory under another "
                f"name, rename that file to {places.database}. Otherwise restore the points "
                f"with drd catalogue rebuild. Then: rm -- {path}*"
            )
        findings.append(
            Finding("state-set-aside", "warning" if not catalogue else "error", "", detail, hint)
        )
    for entry in wrong_entries(places):
        hint = (
            "stop drd (`systemctl stop drd`), wait until its commands have ended, then start it "
            "(`systemctl start drd`): drd corrects this when it starts."
        )
        if entry.deed == "made private":
            hint = (
                f"change the owner of {entry.path} and of the directories above it to root or to "
                "the owner of drd's state, and its mode to 0700"
            )
        findings.append(Finding("state-shared", "error", "", str(entry), hint))
    return findings


# --- looking --------------------------------------------------------------------------------


def _listed(directory: Path, suffix: str = "") -> list[Path]:
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208 - names are wanted
    except OSError:
        return []
    return [directory / name for name in names if name.endswith(suffix)]


def _mark(database: Path) -> Path:
    return database.with_name(f".{database.name}.shared")


def _is_marked(database: Path, info: os.stat_result) -> bool:
    """Return whether the mark is for this very file, and not for one that replaced it since."""
    return _marked(database) in ("", str(info.st_ino))


def _marked(database: Path) -> str | None:
    try:
        return modes.read_regular(_mark(database), _LONGEST_MARK).decode("ascii").strip()
    except (OSError, ValueError):
        return None


def _catalogue(places: StatePlaces, trusted: Collection[int]) -> Iterator[ForeignFile]:
    """Return the catalogue, the files that SQLite keeps beside it, and the copies that drd made."""
    link, database = places.database, places.real_database
    assert link is not None
    assert database is not None
    if database != link:
        if theirs := _of_others(link, link.lstat(), trusted):
            yield ForeignFile(link, theirs, "set aside", is_catalogue=True)
            return
        yield from _linked_directory(database.parent, trusted)
    yield from _copies(database, trusted)
    yield from _itself(database, trusted, places.sharing())


def _copies(database: Path, trusted: Collection[int]) -> Iterator[ForeignFile]:
    own = {database.name, *(f"{database.name}{suffix}" for suffix in SIDES)}
    for path in _listed(database.parent):
        copy = path.name.startswith((f"{database.name}.", f".{database.name}."))
        if copy and path.name not in own and _ASIDE not in path.name:
            yield from _file(path, trusted)


def _itself(database: Path, trusted: Collection[int], group: int | None) -> Iterator[ForeignFile]:
    info = lstat(database)
    unbelieved = _of_others(database, info, trusted) if info is not None else None
    shared = _shared(info, _OPEN) if info is not None and stat.S_ISREG(info.st_mode) else None
    if info is not None and unbelieved and _is_like_the_owners(database, info, group):
        shared, unbelieved = f"{unbelieved}, who created it while the state was shared", None
    if info is not None and not shared and _is_marked(database, info):
        shared = "could be opened by other users, who may still have the file open"
    for suffix in SIDES:
        side = database.with_name(f"{database.name}{suffix}")
        beside = lstat(side)
        if beside is None:
            continue
        theirs = _of_others(side, beside, trusted, links=False)
        legible = stat.S_ISREG(beside.st_mode) and os.access(side, os.R_OK, effective_ids=True)
        if theirs and (info is None or not legible):
            yield ForeignFile(side, theirs, _way_with(beside))
        elif legible:
            why = theirs or _shared(beside, _OPEN)
            shared = shared or (f"has the file {side.name} beside it, which {why}" if why else None)
    if unbelieved:
        yield ForeignFile(database, unbelieved, "set aside", is_catalogue=True)
    elif shared and info is not None and not stat.S_ISLNK(info.st_mode):
        yield ForeignFile(database, shared, "renewed", is_catalogue=True)


def _is_like_the_owners(database: Path, info: os.stat_result, group: int | None) -> bool:
    """Return whether a catalogue that belongs to another user can be trusted as much as the
    owner's: it belongs to the group that could write in the state, so each member could have
    written the owner's file, too.

    An earlier drd made it so when a member gave the first command. If an earlier start closed the
    state but could not copy the catalogue, only the mark shows this.
    """
    if not stat.S_ISREG(info.st_mode) or info.st_nlink > 1:
        return False
    return info.st_gid == group or _marked(database) == str(info.st_ino)


def _linked_directory(directory: Path, trusted: Collection[int]) -> Iterator[ForeignFile]:
    """Return the directory of a catalogue that a link of root's leads to: drd does not change its
    modes.
    """
    try:
        why = why_not_private(directory, max(trusted, default=0))
    except OSError:
        return
    if why:
        text = (
            "is the real directory of the catalogue, which a link names, and other users "
            f"can replace the catalogue: {why}"
        )
        yield ForeignFile(directory, text, "made private")


def _link(path: Path, info: os.stat_result) -> str:
    to = os.readlink(path)  # noqa: PTH115 (as it is written)
    return f"is a symbolic link to {to} that belongs to user {user_name(info.st_uid)}"


def _of_others(
    path: Path, info: os.stat_result, trusted: Collection[int], *, links: bool = True
) -> str | None:
    """Say why the file does not belong to users whom drd trusts, or (with `links`) is a
    symbolic link of theirs; None if it does.
    """
    if stat.S_ISLNK(info.st_mode):
        if not links or info.st_uid not in trusted:
            return _link(path, info)
        try:
            info = path.stat()
        except OSError:
            return None
    if info.st_uid not in trusted:
        return f"belongs to user {user_name(info.st_uid)}"
    return None if stat.S_ISREG(info.st_mode) else "is not a regular file"


def _shared(info: os.stat_result, rights: int) -> str | None:
    if info.st_nlink > 1:
        return "has a second name (a hard link), so another user may open the file"
    return (
        "can be opened by other users, who may have the file open"
        if info.st_mode & rights
        else None
    )


def _way_with(info: os.stat_result) -> Deed:
    return "removed" if stat.S_ISLNK(info.st_mode) else "set aside"


def _file(path: Path, trusted: Collection[int], rights: int = 0) -> Iterator[ForeignFile]:
    info = lstat(path)
    if info is None:
        return
    if why := _of_others(path, info, trusted, links=False):
        yield ForeignFile(path, why, _way_with(info))
    elif why := _shared(info, rights):
        yield ForeignFile(path, why, "replaced")


def _directory(path: Path, trusted: Collection[int]) -> Iterator[ForeignFile]:
    info = lstat(path)
    if info is None or (stat.S_ISDIR(info.st_mode) and info.st_uid in trusted):
        return
    if stat.S_ISLNK(info.st_mode):
        if info.st_uid not in trusted:
            yield ForeignFile(path, _link(path, info), "set aside")
    elif info.st_uid not in trusted:
        yield ForeignFile(path, f"belongs to user {user_name(info.st_uid)}", "set aside")


# --- doing ----------------------------------------------------------------------------------


def _put_right(entry: ForeignFile, places: StatePlaces, renew: Renew, stamp: str) -> ForeignFile:
    trusted = places.trusted()
    owner = max(trusted, default=0)
    try:
        place = entry.path if entry.deed == "made private" else entry.path.parent
        if (why := why_not_private(place, owner)) is not None:
            return replace(entry, left=why)
        if entry.deed == "set aside":
            return replace(entry, became=_set_aside(entry, stamp))
        if entry.deed == "removed":
            entry.path.unlink()
        elif is_held(entry.path, trusted, kind=_lock_kind(entry.path)):
            return replace(entry, left=IN_USE)
        elif entry.deed == "renewed":
            with sole(entry.path, trusted) as is_free:
                if not is_free():
                    return replace(entry, left=IN_USE)
                renew(entry.path, is_free)
            _mark(entry.path).unlink(missing_ok=True)
        elif entry.deed == "replaced":
            _replace(entry.path, with_content=not entry.path.name.endswith(".lock"))
    except CatalogueError as error:
        return replace(entry, left=error.message)
    except OSError as error:
        return replace(entry, left=error.strerror or str(error))
    return entry


def _lock_kind(path: Path) -> str:
    """Return the kind of lock: SQLite uses POSIX locks, a run uses flock."""
    return "FLOCK" if path.suffix == ".lock" else "POSIX"


def _set_aside(entry: ForeignFile, stamp: str) -> Path:
    """Rename the file, and with a catalogue the files that SQLite keeps beside it. Returns the new
    name.
    """
    name, number = f"{entry.path.name}{_ASIDE}{stamp}", 1
    became = entry.path.with_name(name)
    while os.path.lexists(became):
        number += 1
        became = entry.path.with_name(f"{name}-{number}")
    for suffix in SIDES if entry.is_catalogue else ():
        side = entry.path.with_name(f"{entry.path.name}{suffix}")
        if os.path.lexists(side):
            side.rename(became.with_name(f"{became.name}{suffix}"))
    entry.path.rename(became)
    return became


def _replace(path: Path, *, with_content: bool) -> None:
    """Replace the file by a new one, which has one name, and which nobody else ever had open."""
    fresh = path.with_name(f".{path.name}.fresh")
    fresh.unlink(missing_ok=True)
    with os.fdopen(modes.open_private_file(fresh), "wb") as target:
        if with_content:
            how = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(modes.open_regular(path, how), "rb") as source:
                while chunk := source.read(1 << 20):
                    target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    fresh.rename(path)
