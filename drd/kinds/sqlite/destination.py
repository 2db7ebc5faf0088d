"""Destinations of a SQLite database: a throw-away file, or the named file of a target."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from drd.errors import RepositoryDamaged, SourceError, TargetNotEmpty
from drd.kinds.file_system import ANOTHER_POINT
from drd.kinds.one_file import (
    NOT_EMPTY,
    FileForm,
    OneFileSandbox,
    OneFileTarget,
    holds_bytes,
    landed_file,
)
from drd.kinds.sqlite import database
from drd.kinds.sqlite.inspector import FencedInspector, SqliteInspector
from drd.kinds.sqlite.manifest import SUFFIX, filename
from drd.kinds.sqlite.open_by import require_unused, user
from drd.kinds.sqlite.reader import SqliteReader, reads
from drd.kinds.sqlite.shared_directory import SIDE_FILES, for_reading
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint
from drd.model.text import counted
from drd.ports import AS_IT_IS, Inspector, RestoreOptions, Workplace

FORM = FileForm(SUFFIX, SqliteInspector)


def proven(landing: Path, snapshot: ComponentSnapshot) -> Path:
    """Return the restored file after proving that it is an intact database. Raises
    RepositoryDamaged.
    """
    file = landed_file(landing, snapshot, filename(snapshot.component))
    prove(file)
    return file


def prove(landed: Path) -> None:
    """Check that a file is an intact database. Indexes are not compared: that was done at backup,
    with these very bytes. Raises RepositoryDamaged.
    """
    _proof(lambda: database.check_integrity(landed, called=Path(landed.name), quick=True))


def _proof(check: Callable[[], None]) -> None:
    try:
        check()
    except SourceError as error:
        raise RepositoryDamaged(
            f"the restored database is unusable: {error}", hint=ANOTHER_POINT
        ) from error


def differences(file: Path, snapshot: ComponentSnapshot) -> tuple[str, ...]:
    """Compare the database's properties with those of the source."""
    saved = snapshot.fingerprint
    if not isinstance(saved, DatabaseFingerprint):
        return ()
    with for_reading(file) as place, closing(database.connect(place, immutable=True)) as restored:
        return compared(saved, database.properties(restored))


def compared(saved: DatabaseFingerprint, now: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"{name} is {now.get(name)!r}, but {value!r} at backup"
        for name, value in saved.properties.items()
        if now.get(name) != value
    )


class SqliteSandbox(OneFileSandbox):
    """A file in the run's workplace; with a fence only a separate process opens it."""

    def __init__(self, component: str, place: Workplace) -> None:
        super().__init__(component, place, FORM)
        fence = place.fence(place.directory.name, [self._file.parent], reads=reads())
        self._reader = SqliteReader(fence) if fence is not None else None

    def prepare(self) -> None:
        """Start the process that opens the file; there is no server to start."""
        if self._reader is not None:
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
            self._reader.start()

    def prove(self, landed: Path) -> None:
        reader = self._reader
        if reader is None:
            prove(landed)
            return
        # The process sees no other place than this one.
        unread = landed.rename(self._file.with_suffix(".unread"))
        _proof(lambda: reader.require_sound(unread, called=Path(self._file.name)))
        unread.rename(landed)

    def differences(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        if self._reader is None:
            return differences(self._file, snapshot)
        saved = snapshot.fingerprint
        if not isinstance(saved, DatabaseFingerprint):
            return ()
        return compared(saved, self._reader.properties(self._file))

    def inspector(self) -> Inspector:
        if self._reader is None:
            return super().inspector()
        return FencedInspector(self._file, self._reader)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        super().close()


class SqliteTargetDestination(OneFileTarget):
    """A named database file."""

    companions = SIDE_FILES

    def __init__(
        self, component: str, path: str, place: Workplace, options: RestoreOptions = AS_IT_IS
    ) -> None:
        super().__init__(component, path, place, FORM, options)

    def prove(self, landed: Path) -> None:
        prove(landed)

    def refuse_content(self, target: Path) -> None:
        refuse_content(target)

    def user(self, target: Path) -> str:
        return user(target)

    def require_unused(self, target: Path) -> None:
        require_unused(target)

    def differences(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        return differences(self._publication.target, snapshot)


def refuse_content(target: Path) -> None:
    """Raise TargetNotEmpty unless there is nothing, an empty file or a database without tables.
    Raises TargetError if it is no file.
    """
    if not holds_bytes(target):
        return
    hint = NOT_EMPTY
    try:
        with for_reading(target) as place:
            content = _objects(place)
    except (SourceError, sqlite3.Error) as error:
        raise TargetNotEmpty(
            f"target {target} is not empty, and drd could not read it as an SQLite database: "
            f"{error}",
            hint="restore to another target, or move this file away first.",
        ) from error
    if content is None:
        raise TargetNotEmpty(f"target {target} is not empty: its -wal file has data", hint=hint)
    if content:
        objects = counted(content, "table or view", "tables and views")
        raise TargetNotEmpty(f"target {target} is not empty ({objects})", hint=hint)


def _objects(place: Path) -> int | None:
    """Return the number of tables, views, indexes and triggers; None if it cannot be counted
    without writing.
    """
    connection = database.peek(place)
    if connection is None:
        return None
    with closing(connection):
        query = "SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        return int(connection.execute(query).fetchone()[0])
