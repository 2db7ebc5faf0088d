"""A replica of the catalogue that was stored in a repository, made fit for another host."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from drd.catalogue import trouble
from drd.catalogue.version import HEAD

_WHY = "the host that did this was lost: this catalogue is its replica"


def make_ours(path: Path, at: datetime) -> None:
    """Check the file, and end in it what only the lost host could go on with: runs that were not over
    become interrupted (or cancelled where they had not begun), messages on their way are given up, and
    the daemon's signs of life go. Points, evidence and finished runs stay.

    Raises CatalogueError for a file that is damaged or from a newer drd.
    """
    now = at.astimezone(UTC).isoformat(timespec="microseconds")
    try:
        with closing(sqlite3.connect(path)) as connection:
            version = _checked(connection, path)
            _settle(connection, now, version)
            connection.commit()
    except sqlite3.Error as error:
        raise trouble.damaged(path, error) from error


def _checked(connection: sqlite3.Connection, path: Path) -> str:
    found = connection.execute("PRAGMA quick_check").fetchone()[0]
    if found != "ok":
        raise trouble.damaged(path, found)
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    version = str(row[0]) if row else "nothing"
    if version > HEAD:
        raise trouble.wrong_version(str(path), version, HEAD)
    return version


def _settle(connection: sqlite3.Connection, now: str, version: str) -> None:
    connection.execute(
        "UPDATE runs SET finished_at = ?, error = coalesce(error, ?), state = CASE state"
        " WHEN 'pending' THEN 'cancelled' ELSE 'interrupted' END WHERE finished_at IS NULL",
        (now, _WHY),
    )
    connection.execute(
        "UPDATE steps SET state = 'failed', finished_at = ?, error = ?"
        " WHERE state IN ('running', 'waiting')",
        (now, _WHY),
    )
    if version < "0002":
        return
    connection.execute(
        "UPDATE outbox SET next_try_at = NULL, given_up_at = ?, error = ?"
        " WHERE next_try_at IS NOT NULL",
        (now, _WHY),
    )
    if version >= "0005":
        # It came out of a repository: what it says of manifests proves nothing about them.
        connection.execute("DELETE FROM seals")
        connection.execute("DELETE FROM kit_bases")
    connection.execute("DELETE FROM daemon_state")
