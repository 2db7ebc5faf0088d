"""Gives the catalogue a new file, when other users may have a second name of the old file, or have
it open. No drd process may have it open. drd copies the bytes of the file and of its log, and
SQLite makes one database of the two. The old file is not opened by SQLite, so that no lock of other
users can prevent this."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from drd import modes
from drd.errors import CatalogueError
from drd.model.custody import token_of
from drd.model.state_place import StatePlace

_TRIES = 3
_LOGS = ("-wal", "-journal")
_SIDES = (*_LOGS, "-shm")
_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""The magic number of a rollback journal. It is at the beginning, and again at the end when the
journal names another file."""


def renew(database: Path, is_free: Callable[[], bool] = lambda: True) -> None:
    """Put a new file in the place of the catalogue. Raises CatalogueError when drd cannot make a
    sound copy, or when another process opened the database meanwhile (`is_free`) or wrote to it;
    then nothing has changed."""
    fresh = database.with_name(f".{database.name}.fresh")
    former = database.with_name(f".{database.name}.former")
    inode = database.lstat().st_ino
    try:
        for _ in range(_TRIES):
            before = _state(database)
            if _copied(database, fresh) and _made_whole(fresh):
                break
        else:
            raise CatalogueError(
                f"drd could not make a sound copy of its catalogue {database}",
                hint="end all other drd processes, then try again. If that does not help, the "
                "catalogue may be damaged: run drd doctor.",
            )
        _note_place(fresh, database, inode)
        _sync(fresh)
        former.unlink(missing_ok=True)
        former.hardlink_to(database)
        if not is_free() or _state(database) != before:
            raise _in_use(database)
        # The logs are removed last: until then they repeat what the new file contains.
        fresh.rename(database)
        if _state(database, former) != before:
            former.rename(database)
            raise _in_use(database)
        _sync(database.parent)
        for suffix in _SIDES:
            _with(database, suffix).unlink(missing_ok=True)
    finally:
        former.unlink(missing_ok=True)
        for suffix in ("", *_SIDES):
            _with(fresh, suffix).unlink(missing_ok=True)


def _in_use(database: Path) -> CatalogueError:
    return CatalogueError(
        f"another process opened drd's catalogue {database} while drd copied this file",
        hint="end all other drd processes (systemctl stop drd), then try again.",
    )


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")


def _copied(database: Path, fresh: Path) -> bool:
    """Copy the file and its logs. Returns whether nobody wrote to them meanwhile."""
    before = _state(database)
    for suffix in ("", *_SIDES):
        _with(fresh, suffix).unlink(missing_ok=True)
    for suffix in ("", *_LOGS):
        try:
            how = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            source = modes.open_regular(_with(database, suffix), how)
        except FileNotFoundError:
            continue
        target = modes.open_private_file(_with(fresh, suffix))
        with os.fdopen(source, "rb") as old, os.fdopen(target, "wb") as new:
            if os.fstat(target).st_mode & 0o066:
                raise CatalogueError(
                    f"the file system of drd's catalogue {database} does not store file modes",
                    hint="set `state` in drd.yaml to a place on a local file system such as ext4.",
                )
            shutil.copyfileobj(old, new, 1 << 20)
    return _state(database) == before


def _state(database: Path, former: Path | None = None) -> list[tuple[int, int, int]]:
    """Inode, size and modification time of the file, or of what was the file and has another name
    now, and of its logs."""
    states = []
    for path in (former or database, *(_with(database, suffix) for suffix in _LOGS)):
        with suppress(FileNotFoundError):
            info = path.lstat()
            states.append((info.st_ino, info.st_size, info.st_mtime_ns))
    return states


def _without_name(journal: Path) -> None:
    """Cut the name of another file off the end of the copy of a rollback journal. SQLite removes
    the file of that name after it has rolled the journal back, whatever file it is. Only a
    transaction in several databases writes such a name, and drd makes none. It does not change what
    is rolled back."""
    with suppress(FileNotFoundError), journal.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        while size >= len(_MAGIC):
            size -= len(_MAGIC)
            file.seek(size)
            if file.read(len(_MAGIC)) != _MAGIC:
                break
            file.truncate(size)


def _made_whole(fresh: Path) -> bool:
    _without_name(_with(fresh, "-journal"))
    try:
        with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
            if connection.execute("PRAGMA quick_check").fetchall() != [("ok",)]:
                return False
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
    except sqlite3.DatabaseError:
        return False


def _note_place(fresh: Path, database: Path, before: int) -> None:
    """Record the number of the new file. The catalogue and its unfinished runs know the number of
    their file (`custody`); with it the new file is not taken for a copy of another host's state."""
    with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
        with suppress(sqlite3.OperationalError, ValueError, KeyError, TypeError):
            query = "SELECT value FROM daemon_state WHERE key = 'custody'"
            value = json.loads(connection.execute(query).fetchone()[0])
            old = StatePlace(**value["owner"])
            if (old.path, old.inode) != (str(database.resolve()), before):
                return
            new = old._replace(inode=fresh.lstat().st_ino)
            value["owner"] = new._asdict()
            connection.execute("BEGIN IMMEDIATE")
            noted = json.dumps(value, separators=(",", ":"))
            connection.execute("UPDATE daemon_state SET value = ? WHERE key = 'custody'", (noted,))
            connection.execute(
                "UPDATE runs SET owner_place = ? WHERE owner_place = ?",
                (token_of(new), token_of(old)),
            )
            connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
