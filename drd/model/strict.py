"""Read values that others may have written: each has the type, the length and the range that drd
writes, or else it is refused, with its place in the document.

Somebody who had the key of a repository or a kit wrote its content; this need not have been drd.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from drd.model.plan import NAME
from drd.model.units import from_rfc3339

T = TypeVar("T")

MOST_BYTES = 1 << 30
"""Bytes of the largest document: room for the fingerprint of a tree of five million files."""
MOST_DEPTH = 24
"""The deepest nesting in values that drd only keeps: answers of queries, resolved plans,
properties.
"""
MOST_ITEMS = 20_000_000
LONGEST_TEXT = 4096
"""The longest text: a path has at most so many bytes."""
LONGEST_SQL = 64 << 20
MOST = (1 << 63) - 1
"""The largest number that a column of the catalogue can hold."""

_SNAPSHOT = re.compile(r"[0-9a-f]{64}")
_POINT = re.compile(r"(?:(?:restic|command|pgbackrest)-)?[0-9a-f]{8}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_SHOWN = 60


class UnexpectedValue(ValueError):
    """A value is not what drd writes."""


def refuse(place: str, why: str, value: Any = None) -> UnexpectedValue:
    """Return the error for the value at a place in a document; the value is shortened and
    escaped.
    """
    shown = "" if value is None else f": {_short(value)}"
    return UnexpectedValue(f"{place} {why}{shown}")


def _short(value: Any) -> str:
    text = ascii(value if not isinstance(value, str) else value[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def document(data: bytes, what: str) -> Mapping[str, Any]:
    """Read one JSON object. Raises Refused for all other bytes."""
    if len(data) > MOST_BYTES:
        raise UnexpectedValue(f"{what} has {len(data):,} bytes, more than {MOST_BYTES:,}")
    try:
        parsed = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except RecursionError:
        raise UnexpectedValue(f"{what} is nested too deeply") from None
    except (json.JSONDecodeError, UnicodeError) as error:
        raise UnexpectedValue(f"{what} is not JSON: {str(error)[:200]}") from None
    except UnexpectedValue:
        raise
    except ValueError:  # Python reads no longer numbers
        raise UnexpectedValue(f"{what} has a number with too many digits") from None
    if not isinstance(parsed, dict):
        raise UnexpectedValue(f"{what} is not a JSON object")
    return parsed


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that has a key twice: two programs could read two different values."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise UnexpectedValue("a key is given twice")
    return members


def member(data: Mapping[str, Any], key: str, place: str = "") -> Any:
    """Return the value of a key that has to be there."""
    if key not in data:
        raise UnexpectedValue(f"{_place_text(place, key)} is missing")
    return data[key]


def _place_text(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def text(value: Any, place: str, *, most: int = LONGEST_TEXT) -> str:
    """Read text without NUL. Bytes that are not UTF-8 may be surrogate escapes."""
    if not isinstance(value, str):
        raise refuse(place, "is not text", value)
    if len(value) > most:
        raise refuse(place, f"is longer than {most:,} characters", value)
    if "\0" in value:
        raise refuse(place, "contains a NUL character", value)
    return value


def matching(value: Any, place: str, pattern: re.Pattern[str], what: str) -> str:
    """Read text that the whole pattern matches."""
    checked = text(value, place)
    if not pattern.fullmatch(checked):
        raise refuse(place, f"is not a valid {what}", checked)
    return checked


def snapshot_id(value: Any, place: str) -> str:
    """Read restic's id of a snapshot: 64 hexadecimal digits."""
    return matching(value, place, _SNAPSHOT, "id of a snapshot")


def is_snapshot_id(value: object) -> bool:
    return isinstance(value, str) and _SNAPSHOT.fullmatch(value) is not None


def point_id(value: Any, place: str) -> str:
    """Read the id of a restore point: the id of its backup run, 8 hexadecimal digits; if another
    tool made the point, after the name of the tool and a hyphen."""
    return matching(value, place, _POINT, "id of a restore point")


def digest(value: Any, place: str) -> str:
    """Read a sha256 in hexadecimal digits."""
    return matching(value, place, _DIGEST, "sha256")


def name(value: Any, place: str) -> str:
    """Read the name of a plan or component: the model's `NAME`."""
    return matching(value, place, NAME, "name")


def flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise refuse(place, "is neither true nor false", value)
    return value


def count(value: Any, place: str, *, most: int = MOST) -> int:
    """Read a number of bytes, rows or entries: an integer that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse(place, "is not a whole number", value)
    if not 0 <= value <= most:
        raise refuse(place, f"is out of range (0 to {most:,})", value)
    return value


def number(value: Any, place: str, *, most: float = 1e12) -> float:
    """Read seconds, at least 0. An integer stays one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refuse(place, "is not a number", value)
    if not 0 <= value <= most:
        raise refuse(place, f"is out of range (0 to {most:,})", value)
    return value


def one_of(value: Any, place: str, known: Iterable[str]) -> str:
    checked = text(value, place)
    if checked not in known:
        raise refuse(place, f"is not one of {', '.join(known)}", checked)
    return checked


def time(value: Any, place: str) -> datetime:
    """Read a time that a computer's clock can show: from this century or the next."""
    checked = text(value, place, most=64)
    try:
        at = from_rfc3339(checked)
    except (ValueError, OverflowError):
        raise refuse(place, "is not a time", checked) from None
    if not _EARLIEST <= at < _LATEST:
        raise refuse(place, "is not a plausible time", checked)
    return at


def absolute_path(value: Any, place: str) -> str:
    """Read a path as drd stores it: absolute, and without `.`, `..` and doubled slashes."""
    checked = text(value, place, most=4 * LONGEST_TEXT)
    parts = checked.split("/")[1:] if checked != "/" else []
    if not checked.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise refuse(place, "is not a plain absolute path", checked)
    return checked


def maybe(read: Callable[[Any, str], T], value: Any, place: str) -> T | None:
    return None if value is None else read(value, place)


def mapping(value: Any, place: str, *, most: int = MOST_ITEMS) -> Mapping[str, Any]:
    """Read a JSON object; its values are not read yet."""
    if not isinstance(value, dict):
        raise refuse(place, "is not a JSON object", value)
    if len(value) > most:
        raise refuse(place, f"has more than {most:,} entries")
    return value


def array(value: Any, place: str, *, most: int = MOST_ITEMS) -> list[Any]:
    """Read a JSON array; its items are not read yet."""
    if not isinstance(value, list):
        raise refuse(place, "is not a JSON array", value)
    if len(value) > most:
        raise refuse(place, f"has more than {most:,} items")
    return value


def each(
    read: Callable[[Any, str], T], value: Any, place: str, *, most: int = MOST_ITEMS
) -> list[T]:
    """Read a JSON array; `read` reads its items."""
    return [read(v, f"{place}.{n}") for n, v in enumerate(array(value, place, most=most))]


def by_key(
    read: Callable[[Any, str], T], value: Any, place: str, *, most: int = MOST_ITEMS
) -> dict[str, T]:
    """Read a JSON object; `read` reads its values, its keys are text without NUL."""
    return {
        text(k, f"the name of an entry of {place}", most=4 * LONGEST_TEXT): read(
            v, f"{place}.{_short(k)}"
        )
        for k, v in mapping(value, place, most=most).items()
    }


def plain(value: Any, place: str, *, most_text: int = LONGEST_SQL) -> Any:
    """Read JSON of any shape, with bounded depth and lengths of texts; return it as it is."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MOST_DEPTH:
            raise refuse(place, f"is nested deeper than {MOST_DEPTH}")
        if isinstance(item, dict):
            for key in item:
                text(key, f"a name in {place}", most=4 * LONGEST_TEXT)
            waiting += [(v, depth + 1) for v in item.values()]
        elif isinstance(item, list):
            waiting += [(v, depth + 1) for v in item]
        elif isinstance(item, str):
            if len(item) > most_text:
                raise refuse(
                    place, f"contains a text of {len(item):,} characters, more than {most_text:,}"
                )
    return value
