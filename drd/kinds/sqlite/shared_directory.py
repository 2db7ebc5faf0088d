"""Open a database although others can write files beside it.

SQLite trusts the files beside a database. Opening a database for writing rolls back the journal
there and then removes the file that the journal names, whatever its path
(https://sqlite.org/fileformat.html, "The Rollback Journal"). A check beforehand does not help,
since the files may be exchanged after it. So drd opens a database with the rights of the user who
owns it; and if other users can write beside it, in a thread that can change nothing outside its
directory.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from drd.errors import SourceError, SourceUnreachable
from drd.process import rights
from drd.process.path_walk import walk
from drd.process.private import why_not_private, why_others_write
from drd.process.threads import can_confine, run_in_thread

T = TypeVar("T")

SIDE_FILES = ("-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite keeps beside a database."""


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """The path of a database, without links. With `confined`, the work has no directory for
    temporary files. With `kept`, the work can remove no files beside the database."""

    path: Path
    confined: bool = False
    kept: bool = False


@contextmanager
def for_reading(path: Path) -> Iterator[Path]:
    """The path of the database, which is a regular file, with the rights to read it safely. Raises
    SourceError."""
    place, info = _found(path)
    user = _user(place, info)
    given = user is None and os.geteuid() == 0 and (info.st_uid != 0 or _theirs_beside(place, 0))
    with _rights(user, given=bool(given)):
        yield place


def for_writing(path: Path, work: Callable[[DatabasePlace], T]) -> T:
    """Run `work`, which opens the database for writing, with safe rights; return its result. The
    path must not contain links; a link that appears on the path later is not followed. Raises
    SourceError, also when others could redirect the work to another place, and the errors of
    `work`."""
    place, info = _found(path, exchanged=True)
    user = _user(place, info)
    whose = user.uid if user is not None else os.geteuid()
    above, beside = why_not_private(place.parent, whose), _theirs_beside(place, whose)
    why = above or beside or why_others_write(place, info.st_uid)
    # A directory in which others can make nothing, and something of theirs in it all the same.
    kept = beside is not None if user is None else why_not_private(place.parent, 0) is None
    kept = kept and above is None
    given = user is None and os.geteuid() == 0 != info.st_uid
    confined = can_confine() and (why is not None or kept or given)
    if why is not None and not confined and user is None:
        raise SourceError(
            f"drd does not open {place} for writing: other users can write beside this file "
            f"({why}), and with a forged journal they could remove any file of the user that "
            "runs drd",
            hint=f"remove the right of other users to write in {place.parent}. Or give {place} to "
            "the user of its application, and run drd as root: drd then works as that "
            "user. If the kernel has Landlock, neither is necessary.",
        )

    def as_its_user() -> T:
        with _rights(user, given=given):
            return work(DatabasePlace(place, confined, kept))

    if not (confined or given or user is not None):
        return as_its_user()
    return run_in_thread(as_its_user, changes=place.parent if confined else None, removes=not kept)


def _rights(user: rights.Owner | None, *, given: bool) -> AbstractContextManager[None]:
    """Return the rights for the work. SQLite gives the files that it makes beside a database to the
    database's owner. `given` prevents that: the owner could write into the journal that root rolls
    back, or somebody else's journal would look like root's own.
    """
    if user is not None:
        return rights.as_user(user)
    return rights.keeping_owners() if given else nullcontext()


def _user(place: Path, info: os.stat_result) -> rights.Owner | None:
    """Return the user as whom root opens the database; None for root's own rights. Root uses these
    for its own database, and if nobody else can write beside the database and it has no companion
    of another user.
    """
    if os.geteuid() != 0 or info.st_uid == 0:
        return None
    if why_not_private(place.parent, 0) is None and not _theirs_beside(place, 0):
        return None
    return rights.user_of(info)


def _theirs_beside(place: Path, whose: int) -> str | None:
    """Name others who can write to an existing file beside the database. Writing to it needs no
    right to the directory.
    """
    reasons = (why_others_write(place.with_name(place.name + s), whose) for s in SIDE_FILES)
    return next((why for why in reasons if why), None)


def require_files_beside(place: Path) -> None:
    """Raise SourceError if a pipe, a link or another special file has the name of a file that
    SQLite keeps beside a database: SQLite would block on it or follow it.
    """
    for file in (place.with_name(place.name + s) for s in SIDE_FILES):
        with suppress(OSError):
            if not stat.S_ISREG(file.lstat().st_mode):
                raise SourceError(
                    f"{file} is not a file, and SQLite would open it with the database",
                    hint=f"check who owns this file (ls -l {shlex.quote(os.fspath(file))}), "
                    "remove it, and try again.",
                )


def _found(path: Path, *, exchanged: bool = False) -> tuple[Path, os.stat_result]:
    """Return the path of the database and its owner. With `exchanged`, a link of another user in
    the path is refused: somebody must have put it there since drd checked.
    """
    try:
        with closing(walk(os.fspath(path))) as way:
            if way.missing:
                raise SourceUnreachable(f"database {path} does not exist")
            if exchanged and os.geteuid() == 0 and way.links:
                place = way.links[0].place
                raise SourceError(
                    f"another process replaced {place} while drd worked there as root, so drd "
                    "stopped",
                    hint=f"find out which users other than root can write to {place.parent}, "
                    "remove this right, then try again.",
                )
            info = way.steps[-1].info
            if not stat.S_ISREG(info.st_mode):
                raise SourceError(
                    f"{path} is not a regular file",
                    hint="set `path` to the database file itself.",
                )
            require_files_beside(way.place)
            return way.place, info
    except OSError as error:
        raise SourceUnreachable(f"cannot open {path}: {error.strerror}") from error
