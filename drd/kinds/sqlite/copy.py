"""Make a consistent copy of a database that others write to."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from drd.errors import SourceUnreachable
from drd.kinds.file_system import remove
from drd.kinds.sqlite.database import connect, in_words, is_about
from drd.kinds.sqlite.shared_directory import SIDE_FILES, for_reading
from drd.kinds.sqlite.unwritable import copy_files, is_about_shm
from drd.kinds.sqlite.without_traces import would_stay
from drd.model.units import format_duration
from drd.process import check_cancelled
from drd.process.threads import run_in_thread

_PAGES = 4096
"""Pages between two checks for a cancel. A read transaction around all steps keeps SQLite from
starting over whenever somebody writes, which a stepped backup otherwise does.
"""


_POLL_S = 0.0005


def consistent_copy(source: Path, copy: Path, *, wait_s: float) -> datetime:
    """Copy one committed state of `source` into the new file `copy` (mode 0600); return its data
    time.

    Writers of a WAL database are not blocked; those of a rollback-journal one wait meanwhile.
    Unless SQLite cannot read it in place, or would leave files of this user there, only SQLite
    opens the live file: opening and closing it otherwise would drop the locks that this process
    holds on it. Waits `wait_s` for an exclusive writer. Raises SourceUnreachable (locked) or
    SourceError.
    """
    _make_private(copy)
    try:
        if not would_stay(source):
            return _copy_locked(source, copy, wait_s)
    except sqlite3.Error as error:
        if not is_about_shm(error, source):
            raise in_words(error, source) from error
    _make_private(copy)
    try:
        return copy_files(source, copy, wait_s=wait_s)
    except sqlite3.Error as error:
        raise in_words(error, source) from error


def begin_reading(live: sqlite3.Connection, source: Path, wait_s: float) -> datetime:
    """Hold one state of `source` until ROLLBACK; return the instant just before.

    Without WAL, a writer that commits one transaction after the other unlocks for some ten
    microseconds at a time: SQLite's own waiting sleeps longer and longer, and would miss these
    moments. Therefore `live` has no timeout of its own.
    """
    deadline = time.monotonic() + wait_s
    while True:
        check_cancelled()
        at = datetime.now(UTC)
        try:
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            if live.in_transaction:
                live.execute("ROLLBACK")
            if not is_about(error, "BUSY", "LOCKED"):
                raise
            if time.monotonic() > deadline:
                raise SourceUnreachable(
                    f"database {source} stayed locked for {format_duration(wait_s)}",
                    hint=f"end the process that locks the database. To find it: fuser -v {source}",
                ) from error
            time.sleep(_POLL_S)
        else:
            return at


def opened_reading(source: Path, wait_s: float) -> tuple[sqlite3.Connection, datetime]:
    """Return a connection that holds one state of the database (see `begin_reading`), opened in a
    separate thread: so a cancel still works if somebody puts a pipe beside the database and SQLite
    blocks on the pipe.
    """

    def work() -> tuple[sqlite3.Connection, datetime]:
        # All that it ever opens beside the database: the copy is made with drd's rights.
        with for_reading(source) as place:
            live = connect(place, timeout_s=0)
            try:
                return live, begin_reading(live, source, wait_s)
            except BaseException:
                live.close()
                raise

    return run_in_thread(work)


def _copy_locked(source: Path, copy: Path, wait_s: float) -> datetime:
    live, at = opened_reading(source, wait_s)
    with closing(live):
        _fill(live, copy)
        live.execute("ROLLBACK")
    return at


def _make_private(copy: Path) -> None:
    discard(copy)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))


def discard(copy: Path) -> None:
    """Remove the copy and the files that SQLite may have put beside it; idempotent."""
    for suffix in ("", *SIDE_FILES):
        remove(copy.with_name(copy.name + suffix))


def _fill(live: sqlite3.Connection, copy: Path) -> None:
    def poll(*_: int) -> None:
        check_cancelled()

    with closing(sqlite3.connect(copy, isolation_level=None)) as target:
        # The copy lives as long as this run and is thrown away when anything goes wrong.
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        live.backup(target, pages=_PAGES, progress=poll)
        if copy.stat().st_size == 0:
            # A database without a page is an empty file, and no repository stores an empty stream.
            target.execute("CREATE TABLE t (x)")
            target.execute("DROP TABLE t")
