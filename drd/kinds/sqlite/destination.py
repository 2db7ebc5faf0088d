"""Where a SQLite database comes back: a throw-away file, or the named file of a target."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from drd.errors import (
    RepositoryDamaged,
    SourceError,
    TargetError,
    TargetNotEmpty,
)
from drd.kinds.landing import content, make_landing, resolved, working
from drd.kinds.places import (
    fresh,
    fsync_path,
    may_own,
    no_directory,
    owner_finding,
    remove,
    space_finding,
    unwritable,
    work_finding,
)
from drd.kinds.publish import JOURNAL, Publication
from drd.kinds.sqlite import database
from drd.kinds.sqlite.exposed import SIDE_FILES, for_reading
from drd.kinds.sqlite.inspector import FencedInspector, SqliteInspector
from drd.kinds.sqlite.reader import Reader, reads
from drd.kinds.sqlite.use import require_unused, user
from drd.kinds.sqlite.written import filename
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint
from drd.model.text import escaped
from drd.ports import Finding, Inspector, OnProgress, Progress, Restored, Workplace

_ANOTHER = "choose another restore point, and verify the repository."


def landed_file(landing: Path, snapshot: ComponentSnapshot) -> Path:
    """The file that the repository put into the landing, proven to be a sound database.

    Raises RepositoryDamaged when it is missing, no plain file, of another size or damaged.
    """
    file = landed_bytes(landing, snapshot)
    require_sound(lambda: database.check_integrity(file, called=Path(file.name), quick=True))
    return file


def require_sound(check: Callable[[], None]) -> None:
    """The indexes were compared before these very bytes were stored. Raises RepositoryDamaged."""
    try:
        check()
    except SourceError as error:
        raise RepositoryDamaged(f"what came back is unusable: {error}", hint=_ANOTHER) from error


def landed_bytes(landing: Path, snapshot: ComponentSnapshot) -> Path:
    """The file that the repository put into the landing, unread.

    Raises RepositoryDamaged when it is missing, no plain file or of another size, or has something
    beside it, which SQLite would believe.
    """
    file = landing / filename(snapshot.component)
    hint = _ANOTHER
    try:
        found = file.lstat()
    except FileNotFoundError as error:
        raise RepositoryDamaged(
            f"snapshot {snapshot.snapshot} has no {file.name}", hint=hint
        ) from error
    size = found.st_size
    if not stat.S_ISREG(found.st_mode):
        # A link would lead what is done to it (its mode, its owner) to another file.
        raise RepositoryDamaged(f"{file.name} came back as something else than a file", hint=hint)
    if size != snapshot.bytes:
        raise RepositoryDamaged(
            f"{file.name} came back with {size:,} of {snapshot.bytes:,} bytes", hint=hint
        )
    if others := sorted(set(os.listdir(landing)) - {file.name}):  # noqa: PTH208 - names
        raise RepositoryDamaged(
            f"{escaped(others[0])} came back beside {file.name}, which drd stores alone", hint=hint
        )
    return file


def differences(file: Path, snapshot: ComponentSnapshot) -> tuple[str, ...]:
    """The database's properties against those of the source."""
    saved = snapshot.fingerprint
    if not isinstance(saved, DatabaseFingerprint):
        return ()
    with for_reading(file) as place, closing(database.connect(place, immutable=True)) as found:
        return compared(saved, database.properties(found))


def compared(saved: DatabaseFingerprint, now: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"{name} is {now.get(name)!r}, was {value!r}"
        for name, value in saved.properties.items()
        if now.get(name) != value
    )


class SqliteSandbox:
    """A file in the run's workplace."""

    def __init__(self, component: str, place: Workplace) -> None:
        self._component = component
        self._landing = place.directory / "landing"
        self._file = place.directory / "sandbox" / f"{component}.sqlite"
        fence = place.fence(place.directory.name, [self._file.parent], reads=reads())
        self._reader = Reader(fence) if fence is not None else None

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:  # noqa: ARG002 - nothing to overwrite
        what = f"{self._component} restored"
        return [work_finding(self._landing, snapshot.bytes, what=what)]

    def prepare(self) -> None:
        """A database in a file needs no server, but one who opens it."""
        if self._reader is not None:
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
            self._reader.start()

    def landing(self) -> Path:
        return fresh(self._landing)

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing of a file is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        if not self._file.exists():
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
            self._place(snapshot)
        remove(self._landing)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        if self._reader is None:
            return Restored(differences=differences(self._file, snapshot))
        saved = snapshot.fingerprint
        if not isinstance(saved, DatabaseFingerprint):
            return Restored()
        return Restored(differences=compared(saved, self._reader.properties(self._file)))

    def _place(self, snapshot: ComponentSnapshot) -> None:
        """The landed file under its name, once it is proven to be sound."""
        reader = self._reader
        if reader is None:
            landed_file(self._landing, snapshot).rename(self._file)
            return
        unread = self._file.with_suffix(".unread")
        landed_bytes(self._landing, snapshot).rename(unread)
        called = Path(filename(self._component))
        require_sound(lambda: reader.require_sound(unread, called=called))
        unread.rename(self._file)

    def inspector(self) -> Inspector:
        if self._reader is None:
            return SqliteInspector(self._file)
        return FencedInspector(self._file, self._reader)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        remove(self._landing)
        remove(self._file.parent)


class SqliteTarget:
    """A named file. A symlink there stays and its file is replaced."""

    def __init__(
        self,
        component: str,
        path: str,
        place: Workplace,
        *,
        no_owner: bool,
        keep: bool = False,
    ) -> None:
        self._component = component
        self._no_owner = no_owner
        target = resolved(path)
        self._publication = Publication(
            target,
            target.with_name(f".{place.mark}.{component}"),
            place.directory / JOURNAL,
            place.mark,
            SIDE_FILES,
            keep,
            holds_nothing,
        )

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        target = self._publication.target
        if self._publication.published():
            return [Finding("target", "ok", "", f"{target} has been restored by this run")]
        wrong = self._wrong_place(target.parent)
        if wrong is not None:
            return [wrong]
        if not overwrite:
            refuse_content(target)
        self._publication.announce(overwrite=overwrite)
        return self.check_access(snapshot)

    @staticmethod
    def _wrong_place(parent: Path) -> Finding | None:
        return no_directory(parent) or unwritable(parent)

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        target = self._publication.target
        parent = target.parent
        wrong = self._wrong_place(parent)
        if wrong is not None:
            return [wrong]
        findings = [
            Finding("target", "ok", "", f"{target} can be written"),
            space_finding(
                parent,
                snapshot.bytes,
                what=f"{self._component} restored",
                hint=f"make room in {parent}.",
            ),
        ]
        if (who := user(target)) and not self._publication.published():
            detail = f"{target} is in use by {who}, which has to end before it is replaced"
            findings.append(Finding("in-use", "warning", "", detail))
        foreign = not may_own(snapshot.facts["uid"], snapshot.facts["gid"])
        owner = owner_finding(int(foreign), no_owner=self._no_owner)
        return [*findings, owner] if owner else findings

    def prepare(self) -> None:
        """Nothing: the directory is there, `preflight` saw to that."""

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:  # noqa: ARG002 - one file
        return (os.fspath(self._publication.target),)

    def lands_apart(self, snapshot: ComponentSnapshot) -> bool:  # noqa: ARG002 - wherever it is
        return False

    def landing(self) -> Path:
        self._publication.announce(overwrite=self._publication.may_overwrite())
        return make_landing(self._publication.landing)

    @working
    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing of a file is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        publication = self._publication
        lost: tuple[str, ...] = ()
        if publication.published():
            publication.tidy()
        else:
            if not publication.may_overwrite():
                refuse_content(publication.target)
            working = landed_file(content(publication.landing), snapshot)
            lost = self._dress(working, snapshot)
            fsync_path(working)
            require_unused(publication.target)
            publication.publish(working)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return Restored(
            notes=tuple(publication.appeared()),
            differences=differences(publication.target, snapshot),
            not_restored=lost,
        )

    def _dress(self, working: Path, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        """Owner and mode as at the source; what could not be."""
        uid, gid = snapshot.facts["uid"], snapshot.facts["gid"]
        lost: tuple[str, ...] = ()
        if not self._no_owner and may_own(uid, gid):
            os.chown(working, uid, gid)
        elif (uid, gid) != (os.geteuid(), os.getegid()):
            lost = (f"owner {uid}:{gid} of {self._publication.target}",)
        # A database runs as nobody, under another owner least of all.
        working.chmod(snapshot.facts["mode"] & 0o1777)
        return lost

    def inspector(self) -> SqliteInspector:
        return SqliteInspector(self._publication.target)

    def close(self) -> None:
        """Nothing is held: every question opens the file and closes it."""


def holds_nothing(path: Path) -> bool:
    """Whether it is what `refuse_content` lets pass."""
    with suppress(TargetError):
        refuse_content(path)
        return True
    return False


def refuse_content(target: Path) -> None:
    """Raise TargetNotEmpty unless there is nothing, an empty file or a database without tables.

    Raises TargetError when it is something else than a file.
    """
    if not os.path.lexists(target):
        return
    if not target.is_file():
        raise TargetError(
            f"{target} is not a file", hint="`path` of the target names the database file itself."
        )
    if target.stat().st_size == 0:
        return
    hint = "give an empty --target, or --overwrite if losing what is there is intended."
    try:
        with for_reading(target) as place:
            found = _objects(place)
    except (SourceError, sqlite3.Error) as error:
        raise TargetNotEmpty(f"{target} holds data: {error}", hint=hint) from error
    if found is None:
        raise TargetNotEmpty(f"{target} holds data: its -wal file has some", hint=hint)
    if found:
        objects = "1 table or view" if found == 1 else f"{found} tables and views"
        raise TargetNotEmpty(f"target {target} is not empty ({objects})", hint=hint)


def _objects(place: Path) -> int | None:
    """The number of tables, views, indexes and triggers; None when it cannot be counted without
    writing."""
    connection = database.peek(place)
    if connection is None:
        return None
    with closing(connection):
        query = "SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        return int(connection.execute(query).fetchone()[0])
