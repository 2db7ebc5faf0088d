"""A live SQLite database as a source."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from drd.errors import DeadlineExceeded, DrdError, SourceError
from drd.kinds.file_system import work_finding
from drd.kinds.one_file import file_facts, require_file
from drd.kinds.sqlite import database
from drd.kinds.sqlite.copy import consistent_copy, discard, opened_reading
from drd.kinds.sqlite.manifest import filename
from drd.kinds.sqlite.settings import SqliteSettings
from drd.kinds.sqlite.unwritable import is_about_shm
from drd.kinds.sqlite.without_traces import would_stay
from drd.model.snapshot import Fingerprint, StoredSnapshot
from drd.model.units import format_size
from drd.ports import Finding, Probe, Stream, Workplace
from drd.process import Command

COPY = "copy.sqlite"
_LOCK_WAIT_S = 30.0
_PROBE_WAIT_S = 3.0


class SqliteCapture:
    """One consistent copy, open for reading. SQLite made it from the source, and it belongs
    to drd.
    """

    def __init__(
        self, copy: Path, settings: SqliteSettings, data_time: datetime, facts: dict[str, Any]
    ) -> None:
        self._copy = copy
        self._settings = settings
        self._checked = False
        self.data_time = data_time
        self.facts: Mapping[str, Any] = facts
        self.private: Mapping[str, Any] = {}
        self.payload = Stream(
            Command(("cat", "--", str(copy)), name="cat"),
            filename=facts["filename"],
            expected_bytes=copy.stat().st_size,
        )

    def fingerprint(self) -> Fingerprint | None:
        """Take the fingerprint, and check that the database is intact. Raises SourceError if it is
        damaged.
        """
        self._check()
        wanted = self._settings.fingerprint
        if wanted.mode == "off":
            return None
        with closing(database.connect(self._copy, immutable=True)) as connection:
            return database.take_fingerprint(
                connection,
                Path(self._settings.path),
                digests=wanted.mode == "digest",
                budget_s=wanted.budget,
            )

    def observe(self, queries: Mapping[str, str]) -> Mapping[str, Any]:
        properties: dict[str, Any] = {}
        with closing(database.connect(self._copy, immutable=True)) as connection:
            for name, query in queries.items():
                try:
                    value = database.single_value(connection, query, timeout_s=60)
                except (SourceError, DeadlineExceeded):
                    continue
                if not isinstance(value, float) or math.isfinite(value):
                    properties[name] = value
        return properties

    def verify(self, stored: StoredSnapshot, fingerprint: Fingerprint | None) -> Fingerprint | None:
        self._check()
        size = self._copy.stat().st_size
        if stored.bytes != size:
            raise SourceError(
                f"restic stored {format_size(stored.bytes)} of {self._settings.path}, but the "
                f"temporary copy has {format_size(size)}",
                hint="run the backup again. If it fails again, check the disk of `work_dir`.",
            )
        return fingerprint

    def _check(self) -> None:
        """Check once that the database is intact: a damaged source must not become a
        restore point.
        """
        if not self._checked:
            database.check_integrity(self._copy, called=Path(self._settings.path))
            self._checked = True


class SqliteSource:
    """Reads `settings.path`, only through SQLite."""

    def __init__(self, component: str, settings: SqliteSettings, place: Workplace) -> None:
        self._component = component
        self._settings = settings
        self._place = place
        self._path = Path(settings.path)

    def probe(self) -> Probe:
        info = self._stat()
        facts = {"sqlite": sqlite3.sqlite_version}
        try:
            if not would_stay(self._path):
                live, _ = opened_reading(self._path, _PROBE_WAIT_S)
                with closing(live):
                    facts = database.storage_facts(live)
                    live.execute("ROLLBACK")
        except sqlite3.Error as error:
            if not is_about_shm(error, self._path):
                raise database.in_words(error, self._path) from error
        self._check_room(info.st_size)
        return Probe(size_bytes=info.st_size, facts=facts)

    def doctor(self) -> list[Finding]:
        name = self._component
        try:
            probe = self.probe()
        except DrdError as error:
            return [Finding("database", "error", name, error.message, error.hint)]
        size = format_size(probe.size_bytes)
        return [Finding("database", "ok", name, f"{self._path} can be read, {size}")]

    @contextmanager
    def open(self) -> Iterator[SqliteCapture]:
        info = self._stat()
        self._check_room(info.st_size)
        copy = self._place.directory / COPY
        try:
            at = consistent_copy(self._path, copy, wait_s=_LOCK_WAIT_S)
            yield SqliteCapture(copy, self._settings, at, self._facts(copy, info))
        finally:
            discard(copy)

    def _facts(self, copy: Path, info: os.stat_result) -> dict[str, Any]:
        """Return the facts that give the restored file its name, mode and owner."""
        try:
            with closing(database.connect(copy, immutable=True)) as connection:
                facts = database.storage_facts(connection)
        except sqlite3.Error as error:
            raise database.in_words(error, self._path) from error
        return facts | {
            "journal_mode": _journal_mode(copy),
            **file_facts(self._settings.path, filename(self._component), info),
        }

    def _stat(self) -> os.stat_result:
        return require_file(self._component, self._path)

    def _check_room(self, size: int) -> None:
        what = f"the temporary copy of {self._path}"
        room = work_finding(self._place.directory, size, what=what)
        if room.failed:
            raise SourceError(room.text, hint=room.remedy)


def _journal_mode(copy: Path) -> str:
    """Return the journal mode from the copied header (https://sqlite.org/fileformat.html, offset
    18): a connection to an immutable file does not report it.
    """
    with copy.open("rb") as file:
        return "wal" if file.read(20)[18:19] == b"\x02" else "delete"
