"""Read a database in WAL mode, and leave no files beside it that were not there before.

SQLite makes a -shm and a -wal file for every reader, and a read-only connection leaves them when it
closes. These files belong to the user who read, so an application that runs as another user can no
longer write.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from drd.errors import DrdError
from drd.kinds.sqlite.database import connect, connect_to_write
from drd.kinds.sqlite.shared_directory import (
    SIDE_FILES,
    DatabasePlace,
    for_reading,
    for_writing,
)
from drd.kinds.sqlite.unwritable import is_wal


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection to a database. Raises SourceError and sqlite3.Error."""
    with for_reading(path) as place:
        alone = not any(os.path.lexists(file) for file in _beside(place))
        # Somebody who may not write could remove nothing afterwards.
        unseen = alone and not _may_write(place) and is_wal(place)
        with closing(connect(place, immutable=unseen)) as connection:
            yield connection
    if alone and any(os.path.lexists(file) for file in _beside(place)):
        with suppress(DrdError, sqlite3.Error, OSError):
            for_writing(place, _close_last)


def would_stay(path: Path) -> bool:
    """Return whether the files that SQLite makes for a reader would stay beside the database, as
    files of another user than its owner.
    """
    with suppress(OSError):
        return os.geteuid() not in (0, path.stat().st_uid) and (
            is_wal(path) and not os.path.lexists(path.with_name(f"{path.name}-shm"))
        )
    return False


def _close_last(place: DatabasePlace) -> None:
    """Let SQLite remove its files, which it does under a lock, and only when nobody else has the
    database open.
    """
    with closing(connect_to_write(place.path, timeout_s=0)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _beside(place: Path) -> list[Path]:
    return [place.with_name(place.name + suffix) for suffix in SIDE_FILES]


def _may_write(place: Path) -> bool:
    return os.access(place, os.W_OK, effective_ids=True)
