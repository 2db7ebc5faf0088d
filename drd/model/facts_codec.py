"""Convert facts to JSON and back, whatever fields they have.

A value of one of the classes of `facts` and `drill_facts` becomes a list that begins with the
number of its class. So it can be read without its annotations, which would cost a cold `drd status`
more than the reading itself. Readers refuse files that were written with other classes or fields
(`FORMAT`): a fact that a reader does not know could be the one that matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from drd.model import drill_facts, facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TUPLE, _TIME = 0, 1
"""Numbers for values that are not of these classes; classes are counted from `_FIRST`."""
_FIRST = 2


_CLASSES: list[Any] = sorted(
    {
        c
        for module in (facts, drill_facts)
        for c in vars(module).values()
        if isinstance(c, type) and hasattr(c, "_fields")
    },
    key=lambda c: str(c.__name__),
)
"""The classes of facts: named tuples."""
_NUMBER = {c: number for number, c in enumerate(_CLASSES, _FIRST)}
FORMAT = " ".join(f"{c.__name__}({','.join(c._fields)})" for c in _CLASSES)
"""Identifies the classes and fields that a file of facts was written with."""


def encode(value: Any) -> Any:
    """Convert facts to numbers, texts, lists and objects that JSON takes. Raises TypeError for
    anything else.
    """
    kind = type(value)
    if kind in (str, int, float, bool) or value is None:
        return value
    number = _NUMBER.get(kind)
    if number is not None:
        return [number, *map(encode, value)]
    if kind in (tuple, list):
        return [_TUPLE, *map(encode, value)]
    if isinstance(value, datetime):
        return [_TIME, value.astimezone(UTC).isoformat()]
    if isinstance(value, Mapping):
        return {str(key): encode(each) for key, each in value.items()}
    raise TypeError(f"no fact is made of {kind.__name__}")


def decode(data: Any) -> Any:
    """Return the inverse of `encode`; sequences become tuples. Raises ValueError for input that
    `encode` never wrote.
    """
    kind = type(data)
    if kind is list:
        try:
            return _MAKERS[data[0]](data)
        except (IndexError, KeyError, TypeError) as error:
            raise ValueError(f"no facts: {error}") from None
    if kind is dict:
        return {key: decode(each) for key, each in data.items()}
    return data


def _all(data: Iterable[Any]) -> list[Any]:
    """Decode the items of a list, without a call for items that need no decoding, which is most."""
    return [decode(d) if type(d) is list or type(d) is dict else d for d in data]


def _maker(kind: Any) -> Callable[[list[Any]], Any]:
    make, count = kind._make, len(kind._fields)

    def named(data: list[Any]) -> Any:
        if len(data) != count + 1:
            raise ValueError(f"{kind.__name__} has {count} fields, not {len(data) - 1}")
        return make(_all(data[1:]))

    return named


_MAKERS: dict[int, Callable[[list[Any]], Any]] = {
    _TUPLE: lambda data: tuple(_all(data[1:])),
    _TIME: lambda data: datetime.fromisoformat(data[1]),
    **{number: _maker(kind) for kind, number in _NUMBER.items()},
}
