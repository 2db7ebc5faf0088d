"""Finds a value in the catalogue that drd never writes there.

The search begins only after drd failed on what it had read: if there is such a value, the error is
not a bug, and the message has to name the value.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    LargeBinary,
    Table,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from drd.catalogue import (  # noqa: F401 - they fill the metadata
    daemon_tables,
    record_tables,
    summary_tables,
    tables,
)
from drd.catalogue.columns import Json, UtcTime, metadata
from drd.catalogue.reading import HUGE, STUMBLES
from drd.catalogue.version import HEAD
from drd.model import run_details, step_results
from drd.model.actor import Actor
from drd.model.consistency import Spread
from drd.model.coverage import Coverage
from drd.model.drill_facts import Unproven
from drd.model.fencing import FenceReport
from drd.model.incidents.states import State
from drd.model.pauses import Pause
from drd.model.run import CheckVerdict, DrillResult, RunKind, RunState, StepState, sound_id
from drd.model.schedule import Schedule
from drd.model.snapshot import MadeDuring


class Searched(Protocol):
    """The database that is searched: `place` names it, `path` is the file of a SQLite database."""

    place: str
    path: Path | None
    engine: Engine


AGAIN_S = 60.0
"""How long an answer is used again: a daemon that fails each second does not read the whole
catalogue each second."""

_SHOWN = 40

_WORDS = {
    ("runs", "kind"): RunKind,
    ("runs", "state"): RunState,
    ("jobs", "kind"): RunKind,
    ("steps", "state"): StepState,
    ("checks", "verdict"): CheckVerdict,
    ("evidence", "result"): DrillResult,
    ("alerts", "state"): ("firing", "acknowledged", "resolved"),
    ("alerts", "severity"): ("info", "warning", "critical"),
    ("outbox", "severity"): ("info", "warning", "critical"),
    ("component_snapshots", "state"): ("captured", "failed"),
    ("incidents", "state"): State,
    ("repository_health", "lost"): ("gone", "emptied", "replaced", "shut"),
}

_LISTS = frozenset(
    {
        "not_rehearsed",
        "given_by",
        "unproven",
        "pauses",
        "waiting",
        "leaving",
        "damaged_points",
        "plans",
        "consistency",
    }
)
_ANYTHING = frozenset({("daemon_state", "value")})

_READ_BY: Mapping[str, Callable[[Any], object]] = {
    "actor": Actor.from_json,
    "cancel_actor": Actor.from_json,
    "acknowledged_actor": Actor.from_json,
    "released_actor": Actor.from_json,
    "made_during": MadeDuring.from_json,
    "consistency": lambda v: [Spread.from_json(one).words for one in v],
    "fence": FenceReport.from_json,
    "schedule": Schedule.from_json,
    "coverage": lambda v: (v["rehearsed"] + v["of"], Coverage.from_json({**_NO_MORE, **v})),
    "unproven": lambda v: [str(Unproven(*u)) for u in v],
    "pauses": lambda v: [Pause.from_json(p) for p in v],
    "missing": lambda v: [len(found) for found in v.values()],
}
"""Functions that read the JSON of a column with this name, in every table that has one."""

_READ_BY_KIND: Mapping[Column[Any], Callable[[str, Any], object]] = {
    tables.runs.c.detail: run_details.read,
    tables.steps.c.result: step_results.read,
}
"""Functions that read the JSON of a column by the kind that the row has."""

_NO_MORE: Mapping[str, Any] = {"simulated": (), "granted": ()}

_looked: dict[tuple[object, ...], tuple[float, str | None]] = {}


def find(database: Searched, *, anew: bool = False) -> str | None:
    """Return the first malformed value, as in `runs.state (of id ab12cd34) is 'x', which is no
    known state`; None when every value is sound. Within a minute the last answer is returned again,
    unless `anew` is set."""
    place = (database.place, *_file(database))
    known = _looked.get(place)
    if known is not None and not anew and time.monotonic() - known[0] < AGAIN_S:
        return known[1]
    try:
        with database.engine.connect() as connection:
            if connection.scalar(text("SELECT version_num FROM alembic_version")) != HEAD:
                return None  # its tables are not those that are known here
            malformed_value = next(_malformed(connection), None)
    except SQLAlchemyError:
        return None  # whoever reads it is told why
    _looked.clear()
    _looked[place] = (time.monotonic(), malformed_value)
    return malformed_value


def _file(database: Searched) -> tuple[int, ...]:
    """Distinguishes a file from another one that took its place."""
    try:
        state = database.path.stat() if database.path is not None else None
    except OSError:
        return ()
    return () if state is None else (state.st_ino, state.st_mtime_ns)


def _malformed(connection: Connection) -> Iterator[str]:
    for table in metadata.sorted_tables:
        judges = [judge(table, column) for column in table.columns]
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        # As text, so that no column type converts it.
        rows = connection.execute(text(f'SELECT {names} FROM "{table.name}"'))  # noqa: S608 - ours
        for row in rows:
            for column, wrong, value in zip(table.columns, judges, row, strict=True):
                why = wrong(value) if value is not None else None
                if why is None and (read := _READ_BY_KIND.get(column)) is not None:
                    kind = row[table.columns.keys().index("kind")]
                    why = _no_json(value, dict, partial(read, kind))
                if why is not None:
                    yield _sentence(table, column, tuple(row), why)


def _sentence(table: Table, column: Column[Any], row: tuple[Any, ...], why: str) -> str:
    names = [c.name for c in table.columns]
    value = row[names.index(column.name)]
    keys = [
        f"{c.name} {_short(row[names.index(c.name)])}" for c in table.primary_key if c is not column
    ]
    where = f" (of {', '.join(keys)})" if keys else ""
    return f"{table.name}.{column.name}{where} is {_short(value)}, which is {why}"


def _short(value: object) -> str:
    told = repr(value) if isinstance(value, str | bytes) else str(value)
    return told if len(told) <= _SHOWN else f"{told[:_SHOWN]}…"


def judge(table: Table, column: Column[Any]) -> Callable[[Any], str | None]:
    """Return a function that says why a value is malformed for this column, or None if the value is
    sound."""
    where = (table.name, column.name)
    kind = column.type
    if isinstance(kind, UtcTime):
        return _no_time
    if isinstance(kind, Json):
        shape: type = object if where in _ANYTHING else list if column.name in _LISTS else dict
        read = _READ_BY.get(column.name, bool)
        return lambda value: _no_json(value, shape, read)
    if isinstance(kind, LargeBinary):
        return _not_packed
    if isinstance(kind, Boolean):
        return lambda value: None if value in (0, 1) else "neither 0 nor 1"
    if isinstance(kind, Integer | BigInteger):
        return lambda value: None if isinstance(value, int) else "not a whole number"
    if isinstance(kind, Float):
        return _no_number
    if where == ("runs", "id"):
        return _no_id
    words = _WORDS.get(where)
    if words is not None:
        allowed = frozenset(map(str, words))
        return lambda value: None if value in allowed else f"not a known {column.name}"
    return lambda value: None if isinstance(value, str) else "not a text"


def _no_id(value: Any) -> str | None:
    try:
        sound_id(value)
    except (TypeError, ValueError):
        return "not the id of a run"
    return None


def _no_time(value: Any) -> str | None:
    try:
        aware = datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return "not a time"
    return None if aware else "a time without a time zone"


def _no_number(value: Any) -> str | None:
    if not isinstance(value, int | float):
        return "not a number"
    return None if abs(value) < HUGE else "not a valid number"


def _no_json(value: Any, shape: type, read: Callable[[Any], object]) -> str | None:
    try:
        parsed = json.loads(value)
    except (TypeError, ValueError, RecursionError):
        return "not JSON"
    if isinstance(parsed, shape):
        try:
            read(parsed)
        except STUMBLES:
            return "JSON of an unexpected form"
        return None
    return f"JSON of an unexpected form (not {'a list' if shape is list else 'an object'})"


def _not_packed(value: Any) -> str | None:
    try:
        json.loads(zlib.decompress(value))
    except (TypeError, ValueError, zlib.error):
        return "not a compressed fingerprint"
    return None
