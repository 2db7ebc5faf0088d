"""Read JSON from a server strictly, and write it so that the same data has the same bytes."""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Iterator, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Any

from drd.kinds.http.pointers import replaced, without
from drd.kinds.http.settings import DocumentSettings
from drd.model.json_pointer import parts_of
from drd.model.malformed import Malformed

MOST_DEPTH = 100
MOST_WEIGHT = 4_000_000
"""The largest number of values in one answer; a list or an object counts as four: a short text can
make large objects in memory."""

_MOST_DIGITS = 4300
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_MARK = secrets.token_hex(16)
"""Marks numbers that Python's JSON cannot write. No server knows it."""
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


def parsed(text: bytes, *, most: int | None = None) -> Any:
    """Read one JSON text, with every number exactly as it is written. Raises Malformed if the text
    is not JSON, is ambiguous, or has more values than `most`."""
    if most is not None and weight_of(text) > most:
        raise Malformed(f"has more than {most:,} values (each list or object counts as four)")
    try:
        data = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_number,
        )
    except RecursionError:
        raise Malformed(f"is nested deeper than {MOST_DEPTH} levels") from None
    except UnicodeDecodeError:
        raise Malformed("is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"is not JSON: {error.msg}, at byte {error.pos:,}") from None
    except Malformed:
        raise
    except ValueError:
        raise Malformed("has a number with too many digits") from None
    _require_shallow(data)
    return data


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise Malformed("has an object in which a name occurs twice")
    return data


def _no_constant(word: str) -> Any:
    raise Malformed(f"has {word}, which is not JSON")


def weight_of(text: bytes) -> int:
    """Return how many values a JSON text has at most; a list or an object counts four."""
    rough = _weight(text)
    return rough if rough <= MOST_WEIGHT else _weight(_STRING.sub(b"", text))


def _weight(text: bytes) -> int:
    return 1 + text.count(b",") + 4 * (text.count(b"[") + text.count(b"{"))


def _number(text: str) -> float | Decimal:
    """Return a float if that is the number, to the last digit, and a Decimal otherwise."""
    if len(text) > _MOST_DIGITS:
        raise Malformed("has a number with too many digits")
    number = float(text)
    if not math.isfinite(number):
        raise Malformed("has a number that is too large")
    try:
        exact = Decimal(text)
    except ArithmeticError:
        raise Malformed("has a number that is too small") from None
    return number if exact == Decimal(repr(number)) else _shortest(exact)


def _shortest(number: Decimal) -> Decimal:
    """Return the number without zeros at its end: the same number has one form. Arithmetic of
    Decimal would round it."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    kept = len(digits)
    while kept > 1 and digits[kept - 1] == 0:
        kept -= 1
    return Decimal((sign, digits[:kept], exponent + len(digits) - kept))


def _require_shallow(data: Any) -> None:
    level: Sequence[Any] = [data]
    for _ in range(MOST_DEPTH):
        level = [v for item in level for v in _inside(item)]
        if not level:
            return
    raise Malformed(f"is nested deeper than {MOST_DEPTH} levels")


def _inside(item: Any) -> Iterator[Any]:
    if isinstance(item, dict):
        yield from item.values()
    elif isinstance(item, list):
        yield from item


def saved_form(data: Any, document: DocumentSettings) -> Any:
    """Return the saved form of a document: without volatile fields, and with sorted lists if their
    order has no meaning."""
    data = left_out(data, document)
    for pattern in document.unordered:
        data = replaced(data, parts_of(pattern), _sorted)
    return data


def left_out(data: Any, document: DocumentSettings) -> Any:
    """Return the data without volatile fields."""
    for pattern in document.leave_out:
        data = without(data, parts_of(pattern))
    return data


def _sorted(value: Any) -> Any:
    return sorted(value, key=canonical_json) if isinstance(value, list) else value


def is_nothing(value: Any) -> bool:
    """Return whether a document has no content."""
    return value is None or value in ({}, [], "")


def readable(data: Any) -> bytes:
    """Return the bytes of a document for a person and for line-wise comparison, the same for the
    same data, in pure ASCII."""
    return _written(data, sort_keys=True, indent=1) + b"\n"


def canonical_json(data: Any) -> bytes:
    """Return what drd.model.snapshot.canonical_json returns, also for numbers with more digits than
    a float has."""
    return _written(data, sort_keys=True, separators=(",", ":"))


def json_digest(data: Any) -> str:
    return sha256(canonical_json(data)).hexdigest()


def _written(data: Any, **style: Any) -> bytes:
    marked = False

    def number(value: Any) -> str:
        nonlocal marked
        if not isinstance(value, Decimal):
            raise TypeError(f"{type(value).__name__} is not JSON")
        marked = True
        return f"{_MARK}{value}"

    text = json.dumps(data, default=number, **style)
    return (_MARKED.sub(r"\1", text) if marked else text).encode("ascii")
