"""Make a consistent copy of a WAL database in a directory that drd may not write, as in a service
that sees the host read-only.

SQLite needs a -shm file that it may change. So database and -wal are copied as files, and SQLite
recovers the copy as it does after a power cut. That is safe as long as the -wal file is not
restarted in the meantime: what a checkpoint moves into the database while it is copied is still in
the -wal, which is copied after it. Readers keep the -wal from being restarted or removed, by locks
that a file opened for reading can hold: https://sqlite.org/walformat.html, "WAL Locks". Writers and
checkpoints continue.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from drd import modes
from drd.errors import SourceError, SourceUnreachable
from drd.kinds.sqlite.database import error_name
from drd.process import check_cancelled

_NO_SHM = ("READONLY", "CANTOPEN")
"""SQLite's errors if it may not make, or change, the -shm file."""

_PENDING = (0x40000000, 1)
_SHARED = (0x40000002, 510)
"""Bytes of the database file that readers lock: https://sqlite.org/lockingv3.html."""
_READ_MARKS = range(124, 128)
"""Bytes of the -shm file; a lock on one of them prevents changes of the -wal."""

_TRIES = 5
_POLL_S = 0.01
_AT_ONCE = 1 << 20


class _Wal(NamedTuple):
    """What changes when a -wal file is restarted: the file, and its header with the salts."""

    inode: int
    header: bytes


def is_about_shm(error: sqlite3.Error, source: Path) -> bool:
    """Return whether SQLite failed because a -shm file is missing, and the files can be read
    without it. False for a database in another journal mode, and for a database that may not be
    read.
    """
    if not error_name(error).startswith(_NO_SHM):
        return False
    try:
        for file in (source, _neighbour(source, "-wal"), _neighbour(source, "-shm")):
            with suppress(FileNotFoundError):
                os.close(_open(file))
        return is_wal(source)
    except OSError:
        return False


def is_wal(source: Path) -> bool:
    """Return whether a database is in WAL mode, by its header. Raises OSError."""
    return modes.read_regular(source, 20, how=0)[18:20] == b"\x02\x02"


def copy_files(source: Path, copy: Path, *, wait_s: float) -> datetime:
    """Copy one committed state of `source` into the existing empty file `copy`; return its data
    time. Raises SourceUnreachable (locked) or SourceError, or sqlite3.Error for a copy that SQLite
    does not recover.
    """
    for _ in range(_TRIES):
        try:
            at = _try(source, copy, time.monotonic() + wait_s)
        except OSError as error:
            raise SourceError(
                f"cannot copy {source}: {error.strerror}",
                hint="check the disk of the database and that of work_dir: dmesg, df.",
            ) from error
        if at is not None:
            _recover(copy)
            return at
    raise SourceUnreachable(
        f"the -wal file of {source} was restarted during each of {_TRIES} copies",
        hint="try again, or let the user that runs drd write to the directory of the database.",
    )


def _try(source: Path, copy: Path, deadline: float) -> datetime | None:
    """Try to copy; None if the -wal was restarted meanwhile."""
    with _opened(source) as database:
        _hold(database, source, [_PENDING], deadline)
        _hold(database, source, [_SHARED], deadline)
        _release(database, _PENDING)
        try:
            with _opened(_neighbour(source, "-shm")) as shm:
                _hold(shm, source, [(mark, 1) for mark in _READ_MARKS], deadline)
                return _copy_both(source, database, copy)
        except FileNotFoundError:
            # Nobody has it open; who opens it meanwhile begins or goes on with a -wal.
            at = _copy_both(source, database, copy)
            return None if _neighbour(source, "-shm").exists() else at


def _copy_both(source: Path, database: int, copy: Path) -> datetime | None:
    before = _wal(source)
    _copy(database, copy)
    at = datetime.now(UTC)
    target = _neighbour(copy, "-wal")
    target.unlink(missing_ok=True)
    if before is not None:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
        with suppress(FileNotFoundError), _opened(_neighbour(source, "-wal")) as wal:
            _copy(wal, target)
    return at if _wal(source) == before else None


def _copy(file: int, target: Path) -> None:
    with target.open("r+b", buffering=0) as out:
        out.truncate()
        os.lseek(file, 0, os.SEEK_SET)
        while part := os.read(file, _AT_ONCE):
            check_cancelled()
            while part:
                part = part[out.write(part) :]


def _wal(source: Path) -> _Wal | None:
    with suppress(FileNotFoundError), _opened(_neighbour(source, "-wal")) as wal:
        return _Wal(os.fstat(wal).st_ino, os.pread(wal, 32, 0))
    return None


def _recover(copy: Path) -> None:
    """Move the content of the -wal into the copy, and leave nothing beside it."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as recovered:
        recovered.execute("PRAGMA synchronous = OFF")
        recovered.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


# --- locks --------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = _open(path)
    try:
        yield file
    finally:
        os.close(file)


def _open(path: Path) -> int:
    return modes.open_regular(path, os.O_RDONLY | os.O_CLOEXEC)


def _hold(file: int, source: Path, ranges: list[tuple[int, int]], deadline: float) -> None:
    """Lock one of these ranges for reading, until the file is closed. Locks of open file
    descriptions conflict with SQLite's own, and stay when this process closes the file elsewhere.
    """
    while True:
        check_cancelled()
        for each in ranges:
            with suppress(BlockingIOError, PermissionError):
                fcntl.fcntl(file, fcntl.F_OFD_SETLK, _flock(fcntl.F_RDLCK, each))
                return
        if time.monotonic() > deadline:
            raise SourceUnreachable(
                f"database {source} stayed locked",
                hint=f"end the process that locks the database. To find it: fuser -v {source}",
            )
        time.sleep(_POLL_S)


def _release(file: int, byte_range: tuple[int, int]) -> None:
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, byte_range))


def _flock(kind: int, byte_range: tuple[int, int]) -> bytes:
    """Return a `struct flock` of fcntl(2)."""
    return struct.pack("hhqqi", kind, os.SEEK_SET, *byte_range, 0)


def _neighbour(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
