"""Destinations of a SQLite database: a throw-away file, or the named file of a target."""

from __future__ import annotations

import os
import shlex
import sqlite3
import stat
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from drd.errors import RepositoryDamaged, SourceError, TargetNotEmpty
from drd.kinds.file_system import ANOTHER_POINT, is_root
from drd.kinds.one_file import (
    NOT_EMPTY,
    FileForm,
    OneFileSandbox,
    OneFileTarget,
    holds_bytes,
    landed_file,
    owner_of,
)
from drd.kinds.sqlite import database
from drd.kinds.sqlite.inspector import FencedInspector, SqliteInspector
from drd.kinds.sqlite.manifest import SUFFIX, filename
from drd.kinds.sqlite.open_by import holder, require_unused
from drd.kinds.sqlite.reader import SqliteReader, reads
from drd.kinds.sqlite.shared_directory import SIDE_FILES, for_reading
from drd.model.finding_codes import TARGET_DIRECTORY
from drd.model.restored import Task
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint
from drd.model.text import counted
from drd.ports import AS_IT_IS, Finding, Inspector, RestoreOptions, Workplace
from drd.process import rights

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
    """Return the differences between the database's properties and those of the source."""
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

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        findings = super().check_access(snapshot)
        if any(f.failed for f in findings) or not is_root() or self._no_owner:
            return findings
        shut_out = shut_out_finding(self._publication.target, snapshot)
        return [*findings, shut_out] if shut_out is not None else findings

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:
        """Return the tasks for remedies from the preflight that nobody has followed meanwhile."""
        left = super().left_to_do(snapshot)
        if not is_root() or self._no_owner:
            return left
        shut_out = _shut_out(self._publication.target, snapshot)
        if shut_out is None:
            return left
        owner, directory, command = shut_out
        text = (
            f"let user {owner} write in {directory}: SQLite makes files in this directory "
            "whenever it writes"
        )
        return (*left, Task(code=TARGET_DIRECTORY, text=text, command=command))

    def prove(self, landed: Path) -> None:
        prove(landed)

    def refuse_content(self, target: Path) -> None:
        refuse_content(target)

    def holder(self, target: Path) -> int | None:
        return holder(target)

    def require_unused(self, target: Path) -> None:
        require_unused(target)

    def differences(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        return differences(self._publication.target, snapshot)


def shut_out_finding(target: Path, snapshot: ComponentSnapshot) -> Finding | None:
    """Return a finding if the application could read the restored file, but not write to it."""
    shut_out = _shut_out(target, snapshot)
    if shut_out is None:
        return None
    owner, directory, command = shut_out
    text = (
        f"{target} will belong to user {owner}, who cannot write in {directory}, where SQLite "
        "makes files whenever it writes"
    )
    return Finding(TARGET_DIRECTORY, "warning", "", text, command)


def _shut_out(target: Path, snapshot: ComponentSnapshot) -> tuple[str, Path, str] | None:
    """Return the owner of the restored file, its directory and the command that helps, if nobody
    who may write to the file could make SQLite's files beside it.
    """
    (uid, gid), mode = owner_of(snapshot), snapshot.facts["mode"]
    owner = rights.account(uid, gid)
    writers = [owner] if mode & stat.S_IWUSR else []
    if mode & stat.S_IWGRP:
        writers.append(rights.Owner(rights.NOBODY, gid, (gid,), "", "/"))
    if mode & stat.S_IWOTH:
        writers.append(rights.Owner(rights.NOBODY, rights.NOBODY, (), "", "/"))
    directory = target.parent
    if not writers or any(rights.can_make_in(directory, user) for user in writers):
        return None
    of_root = directory.stat().st_uid == 0
    place = shlex.quote(os.fspath(directory))
    command = f"chown {owner.name} {place}" if of_root else f"setfacl -m u:{owner.name}:rwx {place}"
    return owner.name, directory, command


def refuse_content(target: Path) -> None:
    """Raise TargetNotEmpty unless the target does not exist, is an empty file, or is a database
    without tables. Raises TargetError if it is not a file.
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
