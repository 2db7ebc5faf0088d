"""Pointers to places in JSON (RFC 6901): how they are written, and what stands there."""

from __future__ import annotations

from typing import Any

import pytest

from drd.model.json_pointer import MISSING, found, parts_of, to_pointer
from drd.model.malformed import Malformed

DATA: Any = {"a": [10, {"b/c": 0, "~": None}], "": "empty", "0": "key", "word": "text"}


@pytest.mark.parametrize(
    ("pointer", "parts"),
    [
        ("", ()),
        ("/", ("",)),
        ("/a/1/b~1c", ("a", "1", "b/c")),
        ("/~01/~0", ("~1", "~")),
    ],
)
def test_a_pointer_is_read_and_written(pointer: str, parts: tuple[str, ...]) -> None:
    assert parts_of(pointer) == parts
    assert to_pointer(parts) == pointer


def test_a_pointer_without_a_slash_is_refused_with_the_right_one() -> None:
    with pytest.raises(Malformed, match="'a/b' is not a JSON pointer") as caught:
        parts_of("a/b")
    assert caught.value.remedy == "write it with a slash: /a/b"


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DATA),
        ("/", "empty"),
        ("/0", "key"),
        ("/a/0", 10),
        ("/a/1/b~1c", 0),
        ("/a/1/~0", None),
    ],
)
def test_what_stands_at_a_place_is_found_also_if_it_is_null(pointer: str, value: Any) -> None:
    assert found(DATA, parts_of(pointer)) == value


@pytest.mark.parametrize(
    "pointer",
    ["/b", "/b/c", "/a/2", "/a/-1", "/a/-", "/a/b", "/a/0/0", "/a/1/~0/x", "/word/0", "/a/1/0"],
)
def test_what_does_not_exist_is_missing_and_not_null(pointer: str) -> None:
    assert found(DATA, parts_of(pointer)) is MISSING
