"""Name parts of JSON: patterns of pointers, and templates with fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from drd.model.json_pointer import found
from drd.model.malformed import Malformed
from drd.model.text import escaped, shortened

FIELD = re.compile(r"\{([^{}]*)\}")
ANY = "*"
"""A part of a pattern that fits every member and every item."""

ELSEWHERE = r"(^[. ]*|/[. ]+)(;|/|$)|/(;|$)|[\\\x00-\x1f\x7f]|%(2[5ef]|3b|5c|[01][0-9a-f]|7f)"
"""A value in a path must not match this, in capitals or small letters: servers and proxies decode
`%2F` and `%2E`, and remove `..`. The request would then be about something else, such as the whole
list. The page for a recovery by hand gives the same expression to jq."""

_ELSEWHERE = re.compile(ELSEWHERE, re.IGNORECASE)
_LONGEST_IN_PATH = 1000
_OTHER_FIELD = "correct this item at the server, or write another field into the path"


def without(data: Any, pattern: tuple[str, ...]) -> Any:
    """Return a copy without the parts that a pattern names; everything else is shared."""
    first, *rest = pattern
    if isinstance(data, dict):
        if not rest:
            return {} if first == ANY else {k: v for k, v in data.items() if k != first}
        chosen = data.keys() if first == ANY else {first} & data.keys()
        return {k: without(v, tuple(rest)) if k in chosen else v for k, v in data.items()}
    if isinstance(data, list) and first == ANY:
        return [without(v, tuple(rest)) for v in data] if rest else []
    return data


def replaced(data: Any, pattern: tuple[str, ...], change: Callable[[Any], Any]) -> Any:
    """Return a copy in which every part that a pattern names is changed."""
    if not pattern:
        return change(data)
    first, rest = pattern[0], pattern[1:]
    if isinstance(data, dict):
        chosen = data.keys() if first == ANY else {first} & data.keys()
        return {k: replaced(v, rest, change) if k in chosen else v for k, v in data.items()}
    if isinstance(data, list) and first == ANY:
        return [replaced(v, rest, change) for v in data]
    return data


def placed(data: Any, parts: tuple[str, ...], value: Any) -> Any:
    """Return `data` with `value` at this place; missing objects around it are made."""
    if not parts:
        return value
    own = dict(data) if isinstance(data, dict) else {}
    own[parts[0]] = placed(own.get(parts[0]), parts[1:], value)
    return own


def fields_of(template: str) -> tuple[str, ...]:
    """Return the names of the fields in a template: `{name}` and `{service/id}`."""
    return tuple(FIELD.findall(template))


def value_of(data: Any, field: str) -> str | None:
    """Return the text or number of a field; None if the field has another type or is missing."""
    value = found(data, tuple(field.split("/")))
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value)


def filled(template: str, data: Any, escape: Callable[[str], str]) -> str:
    """Return the template with its fields filled in. Raises Malformed for a field that has neither
    text nor a number, or a text that `escape` refuses."""

    def value(match: re.Match[str]) -> str:
        text = value_of(data, match[1])
        if not text:
            raise Malformed(f"has neither a text nor a number in {match[1]}")
        return _escaped_by(escape, match[1], text)

    return FIELD.sub(value, template)


def filled_path(template: str, data: Any) -> str:
    """Return the path of a request about an item: every value is exactly one part of the path, so
    that the path cannot lead to another place. Raises Malformed."""
    path, query = halves(template)
    return filled(path, data, _in_path) + filled(query, data, _coded)


def require_in_path(template: str, data: Any) -> None:
    """Raise Malformed for values that `filled_path` refuses. Missing values are not an error
    here."""
    for half, escape in zip(halves(template), (_in_path, _coded), strict=True):
        for field in fields_of(half):
            text = value_of(data, field)
            if text:
                _escaped_by(escape, field, text)


def field_with_slash(template: str, data: Any) -> str | None:
    """Return a field of the path whose value has a slash, which is sent as `%2F`."""
    path, _ = halves(template)
    return next((f for f in fields_of(path) if "/" in (value_of(data, f) or "")), None)


def halves(template: str) -> tuple[str, str]:
    """Return the path and the query of a template, which a `?` in a field's name does not begin."""
    at = FIELD.sub(lambda field: "_" * len(field[0]), template).find("?")
    return (template, "") if at < 0 else (template[:at], template[at:])


def _escaped_by(escape: Callable[[str], str], field: str, text: str) -> str:
    try:
        return escape(text)
    except Malformed as error:
        shown = shortened(escaped(text[:200]), 60)
        raise Malformed(f"has `{shown}` in {field}, {error.fact}", error.remedy) from None


def _in_path(value: str) -> str:
    coded = _coded(value)
    if _ELSEWHERE.search(value):
        raise Malformed(
            "which can lead a request to another path",
            "rename or remove this item at the server, or write another field into the path",
        )
    return coded


def _coded(value: str) -> str:
    if len(value) > _LONGEST_IN_PATH:
        raise Malformed(f"which is longer than {_LONGEST_IN_PATH:,} characters", _OTHER_FIELD)
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise Malformed("which is not Unicode text", _OTHER_FIELD) from None


def leaves(data: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Return every value that is neither a filled object nor a filled list, with its place."""
    open_ones = [iter([(above, data)])]
    while open_ones:
        for place, value in open_ones[-1]:
            if isinstance(value, dict | list) and value:
                open_ones.append(_members(place, value))
                break
            yield place, value
        else:
            open_ones.pop()


def _members(
    place: tuple[str, ...], value: dict[str, Any] | list[Any]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return (((*place, str(key)), member) for key, member in pairs)
