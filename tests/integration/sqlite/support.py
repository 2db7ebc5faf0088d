"""SQLite components with real files, and a real writer process beside them."""

from __future__ import annotations

import os
import select
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from drd.kinds.sqlite.kind import SqliteKind
from drd.kinds.sqlite.settings import SqliteSettings, SqliteTarget
from drd.kinds.sqlite.source import SqliteSource
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot, StoredSnapshot
from drd.ports import Destination, RestoreOptions, Stream, Workplace, no_progress

KIND = SqliteKind()


def component(path: Path, **fingerprint: Any) -> Component:
    settings = SqliteSettings.model_validate(
        {"kind": "sqlite", "path": str(path), "fingerprint": fingerprint or "counts"}
    )
    return Component("db", "sqlite", settings)


def source(path: Path, work: Workplace, **fingerprint: Any) -> SqliteSource:
    return KIND.source(component(path, **fingerprint), work)


def make(path: Path, *statements: str, journal: str = "delete") -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        for statement in statements:
            connection.execute(statement)
    return path


def ask(path: Path, query: str) -> Any:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchone()[0]


def take(path: Path, work: Workplace, **fingerprint: Any) -> tuple[ComponentSnapshot, bytes]:
    """A capture as a backup run makes it, and the bytes that it would have stored."""
    with source(path, work, **fingerprint).open() as capture:
        assert isinstance(capture.payload, Stream)
        data = subprocess.run(capture.payload.command.argv, capture_output=True, check=True).stdout
        described = capture.verify(StoredSnapshot("s1", len(data), 0), capture.fingerprint())
        snapshot = ComponentSnapshot(
            "db",
            "sqlite",
            "captured",
            capture.data_time,
            "s1",
            len(data),
            facts=dict(capture.facts),
            fingerprint=described,
        )
    return snapshot, data


def target(
    path: Path, work: Workplace, *, no_owner: bool = False, keep: bool = False
) -> Destination:
    settings = SqliteTarget(path=str(path))
    return KIND.target(
        component(path), settings, work, RestoreOptions(no_owner=no_owner, keep=keep)
    )


def restore_components(destination: Destination, snapshot: ComponentSnapshot, data: bytes) -> None:
    """As the flows do after a preflight, with the bytes instead of a repository."""
    destination.prepare()
    (destination.landing() / "db.sqlite").write_bytes(data)
    destination.restore(snapshot, {}, on_progress=no_progress)


_WRITER = """
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
n = 0
while True:
    c.execute("BEGIN IMMEDIATE")
    c.execute("INSERT INTO a VALUES (?, randomblob(300))", (n,))
    c.execute("INSERT INTO b VALUES (?)", (n,))
    c.execute("COMMIT")
    n += 1
    if n == 25:
        print("steady", flush=True)
"""


@contextmanager
def steady_writer(path: Path) -> Iterator[None]:
    """A process that commits without a pause: each transaction adds one row to `a` and to `b`."""
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)],
        env={**os.environ, "DRD_TEST": "writer"},
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    try:
        # Told by the writer: a reader that polls may starve beside it.
        # Not select(): it takes no descriptor above 1023, and a worker may have had more open.
        waiting = select.poll()
        waiting.register(writer.stdout, select.POLLIN)
        assert waiting.poll(30_000), "the writer never got going"
        assert writer.stdout.readline() == b"steady\n"
        yield
        assert writer.poll() is None, "the writer has died"
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
