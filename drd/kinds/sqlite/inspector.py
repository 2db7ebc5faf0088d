"""Query a restored database file: single values, fingerprints and statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from drd.errors import SourceUnreachable
from drd.kinds.one_file import FileInspector
from drd.kinds.sqlite import database
from drd.kinds.sqlite.reader import SqliteReader
from drd.kinds.sqlite.shared_directory import DatabasePlace, for_writing
from drd.kinds.sqlite.without_traces import opened
from drd.model.snapshot import Fingerprint


class SqliteInspector(FileInspector):
    """Queries a restored file, read-only."""

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        with self._open() as connection:
            return database.single_value(connection, query, timeout_s=timeout_s)

    def execute(self, statements: str, *, timeout_s: float) -> int:
        def work(place: DatabasePlace) -> int:
            return database.execute(
                place.path,
                statements,
                timeout_s=timeout_s,
                spills=not place.confined,
                removes=not place.kept,
            )

        return for_writing(self._path, work)

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        digests = database.wants_digests(like)
        with self._open() as connection:
            return database.take_fingerprint(
                connection, self._path, digests=digests, budget_s=budget_s
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(opened(self._path))
            except sqlite3.Error as error:
                raise SourceUnreachable(f"cannot open {self._path}: {error}") from error
            yield connection


class FencedInspector(FileInspector):
    """Queries a file of a drill, which only a process behind a fence opens."""

    def __init__(self, path: Path, reader: SqliteReader) -> None:
        super().__init__(path)
        self._reader = reader

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        return self._reader.scalar(self._path, query, timeout_s=timeout_s)

    def execute(self, statements: str, *, timeout_s: float) -> int:
        return self._reader.execute(self._path, statements, timeout_s=timeout_s)

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        digests = database.wants_digests(like)
        return self._reader.fingerprint(self._path, digests=digests, budget_s=budget_s)
