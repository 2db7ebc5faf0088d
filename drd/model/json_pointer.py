"""Pointers to places in JSON (RFC 6901). Pure."""

from __future__ import annotations

from typing import Any

from drd.model.malformed import Malformed

MISSING = object()
"""The result for a pointer to a place that does not exist."""


def parts_of(pointer: str) -> tuple[str, ...]:
    """Return the parts of a pointer: `/a/b~1c` has `a` and `b/c`. Raises Malformed."""
    if pointer == "":
        return ()
    if not pointer.startswith("/"):
        raise Malformed(f"{pointer!r} is not a JSON pointer", f"write it with a slash: /{pointer}")
    return tuple(p.replace("~1", "/").replace("~0", "~") for p in pointer[1:].split("/"))


def to_pointer(parts: tuple[str, ...]) -> str:
    return "".join("/" + p.replace("~", "~0").replace("/", "~1") for p in parts)


def found(data: Any, parts: tuple[str, ...]) -> Any:
    """Return the value at this place, or MISSING."""
    for part in parts:
        if isinstance(data, dict):
            data = data.get(part, MISSING)
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return MISSING
    return data
