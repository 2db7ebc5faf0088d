"""Restore one table beside the existing ones: in the same database, under another name.

In the restored file the table is renamed, so that SQLite itself writes its SQL; references to other
tables are removed from this SQL. Table, rows and indexes are written into the database in one
transaction.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from drd.errors import (
    NotInPoint,
    NotSupported,
    SourceError,
    TargetError,
    TargetNotEmpty,
    UsageError,
)
from drd.kinds.file_system import fresh, work_finding
from drd.kinds.publish import read_journal, write_journal
from drd.kinds.sqlite import database
from drd.kinds.sqlite.definition import renamed_index, without_foreign_keys
from drd.kinds.sqlite.destination import proven
from drd.kinds.sqlite.inspector import SqliteInspector
from drd.kinds.sqlite.shared_directory import DatabasePlace, for_reading, for_writing
from drd.kinds.sqlite.without_traces import opened
from drd.kinds.untrusted_dirs import resolved
from drd.model.single_item import Part, hint_of_names, near
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint, TableState
from drd.model.text import some
from drd.ports import Finding, NamedDestination, OnProgress, Progress, Restored, Workplace
from drd.process import check_cancelled

T = TypeVar("T")

_JOURNAL = "table.json"
# Says in the workplace that the name was free when this run began to use it.

_WAIT_S = 30.0
"""How long to wait for a writer that locks the database."""

_WHOLE = "restore the whole database beside this one: --into NAME without --table."


def narrow(snapshot: ComponentSnapshot, part: Part) -> tuple[Part, ComponentSnapshot]:
    """Implements `Kind.narrow`."""
    if part.is_whole:
        return part, snapshot
    if len(part.tables) > 1:
        raise NotSupported(
            "SQLite has no schemas, so drd restores only one table of a SQLite database at a time",
            hint="restore the tables one after the other.",
        )
    if not part.into:
        raise UsageError(
            f"the copy of table {part.tables[0]} needs a name",
            hint="give --into NAME: drd makes the copy beside the existing table. If the table "
            "was dropped, NAME can be its former name.",
        )
    if part.into.lower().startswith("sqlite_") or "\0" in part.into:
        raise UsageError(f"--into {part.into} is reserved by SQLite", hint="give another name.")
    known = snapshot.fingerprint
    if not isinstance(known, DatabaseFingerprint) or known.mode == "off":
        return part, snapshot
    table = _find(part.tables[0], known, snapshot.component)
    return replace(part, tables=(table,)), replace(snapshot, fingerprint=known.only([table]))


def _find(asked: str, known: DatabaseFingerprint, component: str) -> str:
    names = (*known.tables, *known.not_reached, *known.others)
    candidates = [n for n in names if n == asked] or [
        n for n in names if n.lower() == asked.lower()
    ]
    if not candidates:
        raise NotInPoint(
            f"this restore point of component {component} does not contain table {asked}",
            hint=hint_of_names(near(asked, names, separator="."))
            or f"check the name: the restore point contains {some(sorted(names), 10)}.",
        )
    if candidates[0] in known.others:
        raise UsageError(
            f"{candidates[0]} is a {known.others[candidates[0]]}, which has no rows of its own",
            hint=_WHOLE,
        )
    return candidates[0]


def live(path: Path, part: Part, like: Fingerprint, budget_s: float) -> Fingerprint:
    """Implements `Kind.live`."""
    digests = database.wants_digests(like)
    try:
        with opened(path) as connection:
            fingerprint = database.take_fingerprint(
                connection,
                path,
                digests=digests,
                budget_s=budget_s,
                only=part.tables or None,
            )
    except sqlite3.Error as error:
        raise database.in_words(error, path) from error
    return fingerprint if part.is_whole else fingerprint.only(part.tables)


class SqliteTables(NamedDestination):
    """The copy of one table in the database that a target names."""

    def __init__(self, component: str, path: str, place: Workplace, part: Part) -> None:
        assert part.into is not None
        self._component = component
        self._path = resolved(path)
        self._landing = place.directory / "landing"
        self._journal = place.directory / _JOURNAL
        self._table = part.tables[0]
        self._name = part.into

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:  # noqa: ARG002 - nothing is overwritten
        findings = self.check_access(snapshot)
        if not any(f.failed for f in findings) and not read_journal(self._journal):
            self._check_free()
        return findings

    def _check_free(self) -> None:
        """Check whether the name is free, as far as that can be seen without changing a file; the
        transaction decides."""
        try:
            with for_reading(self._path) as place:
                there = database.peek(place)
                if there is not None:
                    with closing(there):
                        self._require_free(there)
        except sqlite3.Error as error:
            if database.is_about(error, "NOTADB", "CORRUPT"):
                raise database.in_words(error, self._path) from error

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        if not self._path.is_file():
            hint = "restore the whole database: without --table."
            return [Finding("target", "error", "", f"database {self._path} does not exist", hint)]
        if not os.access(self._path, os.W_OK, effective_ids=True):
            hint = "run the recovery as a user who may write to this file, for instance root."
            return [Finding("target", "error", "", f"cannot write to {self._path}", hint)]
        return [
            Finding("target", "ok", "", f"{self._path} can be written"),
            work_finding(
                self._landing, snapshot.bytes, what=f"the restored component {self._component}"
            ),
        ]

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:  # noqa: ARG002 - one table
        return (f"table {self._name} in {self._path}",)

    def landing(self) -> Path:
        return fresh(self._landing)

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing of a file is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        file = proven(self._landing, snapshot)
        try:
            notes = self._copy(file)
        except sqlite3.Error as error:
            check_cancelled()
            raise self._failed(error) from error
        finally:
            shutil.rmtree(self._landing, ignore_errors=True)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return Restored(tuple(notes))

    def _failed(self, error: sqlite3.Error) -> TargetError:
        hint, locked = _WHOLE, database.is_about(error, "BUSY", "LOCKED")
        if locked:
            hint = f"end the process that locks the database. To find it: fuser -v {self._path}"
        elif database.is_about(error, "READONLY", "CANTOPEN"):
            hint = (
                "the owner of the file must be able to write to the file and to its directory: "
                "drd writes as this user, even if root runs it."
            )
        return TargetError(
            f"cannot restore {self._table} into {self._path}: {error}",
            hint=hint,
            permanent=not locked,
        )

    def _copy(self, file: Path) -> list[str]:
        # The landing is ours, and nothing lies beside the file there.
        alone = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        with closing(alone) as copy:
            # What is written here has to be in the file itself: the live connection reads nothing
            # else.
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
            notes = self._rename(copy)
            was = database.table_state(copy, self._name)
            begun = bool(read_journal(self._journal))
            if self._in_live(lambda there: self._is_done(there, was, begun=begun)):
                return ["this run has already restored this table"]
            # With drd's rights, not with those with which the database is opened.
            write_journal(self._journal, {"begun": True})
            self._in_live(lambda there: self._bring(there, copy, was), file)
        return notes

    def _is_done(self, there: sqlite3.Connection, was: TableState, *, begun: bool) -> bool:
        """Return whether this run has already restored the table. Raises TargetNotEmpty if another
        table has its name.
        """
        if begun and self._exists(there) and database.table_state(there, self._name) == was:
            return True
        self._require_free(there)
        return False

    def _bring(self, there: sqlite3.Connection, copy: sqlite3.Connection, was: TableState) -> None:
        with _transaction(there):
            self._require_free(there)
            self._fill(there, copy)
            if database.table_state(there, self._name) != was:
                raise TargetError(
                    f"the restored table {self._table} would differ from the table in the "
                    "restore point; drd changed nothing",
                    hint=_WHOLE,
                )

    def _rename(self, copy: sqlite3.Connection) -> list[str]:
        """Give the table its new name in the restored file; return notes about what is left out."""
        query = "SELECT name, type, tbl_name FROM sqlite_master WHERE type IN ('view', 'trigger')"
        rows = copy.execute(query).fetchall()
        notes = []
        triggers = [n for n, kind, of in rows if kind == "trigger" and of == self._table]
        if triggers:
            notes.append(
                f"drd left out triggers {', '.join(triggers)} of the table: they could change "
                "data of others"
            )
        for name, kind, _ in rows:
            copy.execute(f"DROP {kind} {database.quoted(name)}")
        kinds = {n for (n,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if self._table not in kinds:
            raise TargetError(
                f"the restore point does not contain table {self._table}",
                hint="check the spelling, or choose another restore point.",
            )
        keys = copy.execute(f"PRAGMA foreign_key_list({database.quoted(self._table)})")
        ties = dict.fromkeys(f"{row[3]} to {row[2]}" for row in keys if row[1] == 0)
        notes += [
            f"foreign key {tie} is left out: it would block changes of live rows" for tie in ties
        ]
        old, new = database.quoted(self._table), database.quoted(self._name)
        if self._table != self._name:
            if self._name.lower() in {k.lower() for k in kinds}:
                aside = next(f"drd_{n}" for n in range(9999) if f"drd_{n}" not in kinds)
                taken = next(k for k in kinds if k.lower() == self._name.lower())
                copy.execute(f"ALTER TABLE {database.quoted(taken)} RENAME TO {aside}")
            copy.execute(f"ALTER TABLE {old} RENAME TO {new}")
        return notes

    def _fill(self, there: sqlite3.Connection, copy: sqlite3.Connection) -> None:
        name = database.quoted(self._name)
        [(sql,)] = copy.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", [self._name]
        )
        there.execute(without_foreign_keys(sql))
        columns = database.stored_columns(there, self._name)
        if database.columns(there, self._name) != database.columns(copy, self._name) or (
            there.execute(f"PRAGMA foreign_key_list({name})").fetchall()
        ):
            raise TargetError(f"drd cannot copy the definition of table {self._table}", hint=_WHOLE)
        listed = ", ".join(columns)
        there.execute(f"INSERT INTO main.{name} ({listed}) SELECT {listed} FROM point.{name}")  # noqa: S608
        indexes = copy.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?"
            " AND sql IS NOT NULL ORDER BY name",
            [self._name],
        ).fetchall()
        for index, statement in indexes:
            there.execute(renamed_index(statement, self._free(there, index)))
        if copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
            for (value,) in copy.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = ?", [self._name]
            ).fetchall():
                there.execute("DELETE FROM main.sqlite_sequence WHERE name = ?", [self._name])
                there.execute("INSERT INTO main.sqlite_sequence VALUES (?, ?)", [self._name, value])

    def _free(self, there: sqlite3.Connection, index: str) -> str:
        """Return an unused name for an index."""
        tail = index.removeprefix(self._table) if index.startswith(self._table) else f"_{index}"
        wanted, number = self._name + tail, 0
        while self._has(there, wanted if not number else f"{wanted}_{number}"):
            number += 1
        return wanted if not number else f"{wanted}_{number}"

    @staticmethod
    def _has(there: sqlite3.Connection, name: str) -> bool:
        query = "SELECT 1 FROM main.sqlite_master WHERE lower(name) = lower(?)"
        return there.execute(query, [name]).fetchone() is not None

    def _exists(self, there: sqlite3.Connection) -> bool:
        return self._has(there, self._name)

    def _require_free(self, there: sqlite3.Connection) -> None:
        if self._exists(there):
            raise TargetNotEmpty(
                f'database {self._path} already has an object "{self._name}"',
                hint="give --into a name that is not in use: drd does not replace an existing "
                "table.",
            )

    def _in_live(self, do: Callable[[sqlite3.Connection], T], file: Path | None = None) -> T:
        """Run `do` with the live database, to which the restored file is attached as `point`;
        returns what it returns. Raises SourceError and TargetError."""

        def work(place: DatabasePlace) -> T:
            with closing(self._opened(place, file)) as there:
                # A sum of texts that are no UTF-8 would fail otherwise.
                there.text_factory = database.as_text
                with database.bounded(there, time.monotonic() + 86400.0):
                    return do(there)

        return for_writing(self._path, work)

    def _opened(self, place: DatabasePlace, file: Path | None) -> sqlite3.Connection:
        try:
            there = database.connect_to_write(
                place.path,
                timeout_s=_WAIT_S,
                spills=not place.confined,
                removes=not place.kept,
            )
        except sqlite3.Error as error:
            raise TargetError(
                f"cannot open database {self._path}: {error}",
                hint="check that this file is an SQLite database, and that the user that runs drd "
                "may write to it.",
            ) from error
        if file is not None:
            try:
                uri = f"file:{quote(os.fsencode(file))}?mode=ro&immutable=1"
                there.execute("ATTACH ? AS point", [uri])
            except sqlite3.Error as error:
                there.close()
                raise TargetError(
                    f"cannot attach the restored file to database {self._path}: {error}",
                    hint=_WHOLE,
                ) from error
        return there

    def inspector(self) -> SqliteInspector:
        return _TableInspector(self._path, self._name, self._table)

    def close(self) -> None:
        shutil.rmtree(self._landing, ignore_errors=True)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class _TableInspector(SqliteInspector):
    """Inspects only the copy, by its name in the point."""

    def __init__(self, path: Path, name: str, source: str) -> None:
        super().__init__(path)
        self._file, self._name, self._source = path, name, source

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        digests = database.wants_digests(like)
        try:
            with opened(self._file) as connection:
                fingerprint = database.take_fingerprint(
                    connection, self._file, digests=digests, budget_s=budget_s, only=[self._name]
                )
        except sqlite3.Error as error:
            raise SourceError(str(error)) from error
        names = {self._name: self._source}
        return DatabaseFingerprint(
            fingerprint.mode,
            {names[n]: state for n, state in fingerprint.tables.items()},
            {names[n]: why for n, why in fingerprint.not_reached.items()},
        )
