"""Rollback journals as SQLite finds them beside a database whose last writer was killed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

PLAN = """
components:
  db: {{kind: sqlite, path: {base}/app/shop.db}}
checks:
  - {{name: rows, kind: rows, component: db}}
targets:
  standby: {{db: {{path: {base}/back/shop.db}}}}
"""
"""Of an application whose database lies in a directory of its own."""

MAGIC = bytes.fromhex("d9d505f920a163d7")
_SECTOR = 512


def plant(database: Path, victim: Path, whose: int | None = None) -> Path:
    """A journal with nothing to roll back, which names a file that SQLite is to remove afterwards:
    as somebody makes it who can write beside the database. https://sqlite.org/fileformat.html"""
    with database.open("rb") as file:
        size = int.from_bytes(file.read(18)[16:18], "big")
    page = 65536 if size == 1 else size
    pages = database.stat().st_size // page
    header = b"".join(n.to_bytes(4, "big") for n in (0, 12345, pages, _SECTOR, page))
    name = os.fsencode(victim)
    tail = [(1 << 30) // page + 1, name, len(name), sum(name)]
    written = b"".join(t if isinstance(t, bytes) else t.to_bytes(4, "big") for t in tail)
    journal = database.with_name(f"{database.name}-journal")
    journal.write_bytes((MAGIC + header).ljust(_SECTOR, b"\0") + written + MAGIC)
    if whose is not None:
        os.chown(journal, whose, whose)
    return journal


def interrupted(database: Path, statement: str) -> Path:
    """The database as a writer leaves it who is killed in the midst of this statement, with the
    journal by which that is undone."""
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        for pragma in ("journal_mode = DELETE", "cache_size = 1", "cache_spill = 1"):
            writer.execute(f"PRAGMA {pragma}")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute(statement)
        journal = database.with_name(f"{database.name}-journal")
        left = {path: path.read_bytes() for path in (database, journal)}
        writer.execute("ROLLBACK")
    for path, content in left.items():
        path.write_bytes(content)
    return journal
