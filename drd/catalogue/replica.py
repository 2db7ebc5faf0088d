"""A replica of the catalogue that was stored in a repository, made fit for another host."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from drd.catalogue import trouble
from drd.catalogue.version import HEAD
from drd.model.actor import Actor
from drd.model.holds import LONGEST_REASON, Hold
from drd.model.strict import point_id

_LOOK_S = 20.0
"""For a look into a file that somebody else may have made."""

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


def holds_of(path: Path, plan: str) -> list[Hold]:
    """The plan's holds that nobody had released, of a replica or of a damaged catalogue: those that can
    be read and are like what drd writes. None where the file, or the table, cannot be read."""
    ends = time.monotonic() + _LOOK_S
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.set_progress_handler(lambda: time.monotonic() > ends, 10_000)
            table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'holds'"
            if connection.execute(table).fetchone() is None:
                return []
            rows = connection.execute(
                "SELECT point, reason, held_at, until, actor FROM holds"
                " WHERE released_at IS NULL AND plan = ? ORDER BY id",
                (plan,),
            ).fetchall()
    except sqlite3.Error:
        return []
    return [hold for row in rows if (hold := _hold(plan, row)) is not None]


def _hold(plan: str, row: tuple[object, ...]) -> Hold | None:
    point, reason, held_at, until, actor = row
    try:
        known = Actor.from_json(json.loads(str(actor))) if actor is not None else None
    except (ValueError, TypeError, LookupError, AttributeError):
        known = None
    try:
        return Hold(
            point_id(point, "point"),
            plan,
            str(reason)[:LONGEST_REASON],
            _time(held_at),
            known,
            _time(until) if until is not None else None,
        )
    except (ValueError, TypeError):
        return None


def _time(text: object) -> datetime:
    found = datetime.fromisoformat(str(text))
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found
