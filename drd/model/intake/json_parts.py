"""The parts of a JSON text, each with the text that it was read from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from drd.model.malformed import Malformed
from drd.model.text import escaped, shortened

_SPACE = re.compile(r"[ \t\r\n]*")
_LONGEST_KEY = 60


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse repeated keys: another program might read another value."""
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            name = escaped(shortened(key, _LONGEST_KEY))
            raise Malformed(f'has the key "{name}" twice', "give each key once")
        members[key] = value
    return members


def _no_constant(word: str) -> NoReturn:
    raise Malformed(f"has {word}, which is not JSON", "write a number, or null")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)


class Part(NamedTuple):
    """A value, and its position in the text."""

    value: Any
    start: int
    end: int


def documents(text: str) -> Iterator[Part]:
    """Return the values of a text: one, or several after each other as in JSON Lines. Raises
    ValueError, RecursionError; Malformed for a key that is there twice, NaN and Infinity."""
    at = _after_space(text, 0)
    while at < len(text):
        part = _value(text, at)
        yield part
        at = _after_space(text, part.end)


def elements(text: str, start: int) -> Iterator[Part]:
    """Return the elements of the list that begins at `start` of a valid text."""
    at = _after_space(text, start + 1)
    while text[at] != "]":
        part = _value(text, at)
        yield part
        at = _after_space(text, part.end)
        at = _after_space(text, at + 1) if text[at] == "," else at


def member(text: str, start: int, name: str) -> Part | None:
    """Return the value of a key of the object that begins at `start` of a valid text; the last one,
    if the key is there twice."""
    part, at = None, _after_space(text, start + 1)
    while text[at] != "}":
        key = _value(text, at)
        value = _value(text, _after_space(text, _after_space(text, key.end) + 1))
        part = value if key.value == name else part
        at = _after_space(text, value.end)
        at = _after_space(text, at + 1) if text[at] == "," else at
    return part


def _value(text: str, at: int) -> Part:
    value, end = _DECODER.raw_decode(text, at)
    return Part(value, at, end)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()
