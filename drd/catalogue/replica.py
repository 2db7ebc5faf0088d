"""Makes a replica of the catalogue that came out of a repository fit for another host."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from drd.catalogue import foreign, trouble
from drd.catalogue.migrate import make_empty
from drd.catalogue.record_rows import SEALED
from drd.catalogue.version import HEAD
from drd.model.actor import Actor
from drd.model.holds import LONGEST_REASON, Hold
from drd.model.records import Body, Entry, Header
from drd.model.strict import point_id

_LOOK_S = 20.0
"""The time limit for reading a file that somebody else may have made."""

_VERSION = re.compile(r"[0-9]{4}")
_MOST_HOLDS = 100_000
_HOLD = ("id", "plan", "point", "reason", "held_at", "until", "actor", "released_at")

_RECORD = (
    "seq", "at", "actor_kind", "actor_name", "came", "subject", "kind", "digest", "previous",
    "hash", "key", "signature",
)  # fmt: skip

_NOT_TAKEN = (
    "seals", "kit_bases", "point_signatures", "trusted_keys", "plan_sources", "daemon_state",
)  # fmt: skip
"""Tables that are not copied, because the replica came out of a repository: its seals prove nothing
about manifests, and the text of a plan in force is in root's file."""

_WHY = "the host of this run was lost; this catalogue is its replica"


def make_ours(path: Path, at: datetime) -> int:
    """Replace the file by a fresh catalogue with its rows. It ends what only the lost host could
    continue: runs that were not over become interrupted (pending ones cancelled), messages to be
    sent are given up, and the daemon's signs of life are deleted. Points, evidence and finished
    runs stay. Returns how many rows were left out because drd writes no such rows.

    Raises CatalogueError for a file that is damaged or from a newer drd.
    """
    now = at.astimezone(UTC).isoformat(timespec="microseconds")
    fresh = path.with_name(f"{path.name}.fresh")
    try:
        version = _version(path)
        make_empty(fresh, version)
        left_out = foreign.copy_rows(path, fresh, _NOT_TAKEN)
        with closing(sqlite3.connect(fresh)) as connection:
            _settle(connection, now, version)
            connection.commit()
        fresh.replace(path)
    except sqlite3.Error as error:
        raise trouble.damaged(path, error) from error
    finally:
        fresh.unlink(missing_ok=True)
    return left_out


def _version(path: Path) -> str:
    """Return the version of a file that is whole."""
    with foreign.opened(path) as connection:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise trouble.damaged(path, verdict)
        if "version_num" not in foreign.columns_of(connection, "alembic_version"):
            raise trouble.damaged(path, "the file is not a catalogue")
        foreign.read_only_columns(connection)
        row = connection.execute("SELECT version_num FROM alembic_version LIMIT 1").fetchone()
    version = str(row[0]) if row else ""
    if not _VERSION.fullmatch(version) or version < "0001":
        raise trouble.damaged(path, "the file is not a catalogue")
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
    if "command" in foreign.columns_of(connection, "alerts"):
        # A person would copy it into a shell. The daemon finds the alert again, with its command.
        connection.execute("UPDATE alerts SET command = ''")
    connection.execute(
        "UPDATE outbox SET next_try_at = NULL, given_up_at = ?, error = ?"
        " WHERE next_try_at IS NOT NULL",
        (now, _WHY),
    )


def entries_of(path: Path) -> Iterator[Entry]:
    """Yield the entries of the chain of records in a replica or a damaged catalogue, in their
    order, up to the first that cannot be read. Nothing proves yet that they are drd's."""
    with suppress(sqlite3.Error, ValueError, TypeError), foreign.opened(path) as connection:
        tables = (("records", _RECORD), ("record_bodies", ("seq", "salt", "body")))
        if any(not set(names) <= set(foreign.columns_of(connection, t)) for t, names in tables):
            return
        foreign.read_only_columns(connection)
        query = "SELECT {}, b.salt, b.body FROM records r LEFT JOIN record_bodies b"
        columns = ", ".join(f'r."{name}"' for name in _RECORD)
        for row in connection.execute(f"{query.format(columns)} ON b.seq = r.seq ORDER BY r.seq"):
            yield _entry(row)


def _entry(row: tuple[object, ...]) -> Entry:
    seq, at, *texts, salt, body = row
    if not isinstance(seq, int) or not all(isinstance(text, str) for text in texts):
        raise ValueError("not an entry")
    kind, name, came, subject, what, digest, previous, hashed, key, signature = map(str, texts)
    header = Header(seq, _time(at), kind, name, came, subject, what, digest, previous)
    if not (isinstance(salt, str) and isinstance(body, str)):
        return Entry(header, hashed, key, signature)
    sealed = salt == SEALED
    plain = None if sealed else Body(salt, body)
    return Entry(header, hashed, key, signature, plain, body if sealed else "")


def holds_of(path: Path, plan: str) -> list[Hold]:
    """Return the plan's active holds from a replica or a damaged catalogue: the holds that can be
    read and have the form that drd writes. None when the file or the table cannot be read."""
    try:
        with foreign.opened(path, _LOOK_S) as connection:
            if not set(_HOLD) <= set(foreign.columns_of(connection, "holds")):
                return []
            foreign.read_only_columns(connection)
            rows = connection.execute(
                "SELECT point, reason, held_at, until, actor FROM holds"
                " WHERE released_at IS NULL AND plan = ? ORDER BY id LIMIT ?",
                (plan, _MOST_HOLDS),
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
    time = datetime.fromisoformat(str(text))
    if time.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return time
