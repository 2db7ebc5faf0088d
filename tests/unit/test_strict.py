"""What was written by others is read by type, length and range, or refused with its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from drd.model import strict
from drd.model.strict import UnexpectedValue

HEX = "0123456789abcdef"


def refused(read: Callable[..., Any], *given: Any, **bounds: Any) -> str:
    with pytest.raises(UnexpectedValue) as caught:
        read(*given, **bounds)
    return str(caught.value)


def test_a_refusal_names_place_and_value_shortened() -> None:
    assert str(strict.refuse("a.b", "is wrong")) == "a.b is wrong"
    assert str(strict.refuse("a.b", "is wrong", 0)) == "a.b is wrong: 0"
    assert str(strict.refuse("a", "is wrong", "é\n")) == r"a is wrong: '\xe9\n'"
    short = "x" * 58  # sixty characters with its quotes
    assert str(strict.refuse("a", "is wrong", short)) == f"a is wrong: {short!r}"
    assert str(strict.refuse("a", "is wrong", short + "x")) == f"a is wrong: '{short}x…"
    assert str(strict.refuse("a", "is wrong", ["y" * 99])) == f"a is wrong: ['{'y' * 58}…"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a": 1, "a": 2}', "a key is given twice"),
        (b"[1]", "the list is not a JSON object"),
        (b"{", "the list is not JSON: "),
        (b"\xff", "the list is not JSON: "),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "the list is nested too deeply"),
    ],
)
def test_a_document_is_one_json_object(data: bytes, why: str) -> None:
    assert why in refused(strict.document, data, "the list")
    assert strict.document(b'{"a": {"b": 1, "c": 1}}', "the list") == {"a": {"b": 1, "c": 1}}


def test_a_document_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict, "MOST_BYTES", 1000)
    assert strict.document(b'{"a":' + b" " * 993 + b"1}", "the list") == {"a": 1}
    assert (
        refused(strict.document, b" " * 1001, "the list")
        == "the list has 1,001 bytes, more than 1,000"
    )


def test_a_missing_member_is_named_with_its_place() -> None:
    assert strict.member({"a": None}, "a") is None
    assert refused(strict.member, {}, "a") == "a is missing"
    assert refused(strict.member, {}, "a", "b.c") == "b.c.a is missing"


def test_text_has_a_longest_length_and_no_nul() -> None:
    assert strict.text("\udcff", "a") == "\udcff"
    assert strict.text("x" * strict.LONGEST_TEXT, "a")
    assert refused(strict.text, "x" * 4097, "a").startswith("a is longer than 4,096 characters: ")
    assert strict.text("xyz", "a", most=3) == "xyz"
    assert refused(strict.text, "x\0", "a") == r"a contains a NUL character: 'x\x00'"
    assert refused(strict.text, 1, "a") == "a is not text: 1"


@pytest.mark.parametrize(
    ("read", "good", "what"),
    [
        (strict.snapshot_id, HEX * 4, "id of a snapshot"),
        (strict.point_id, HEX[:8], "id of a restore point"),
        (strict.digest, HEX * 4, "sha256"),
        (strict.name, "orders-api", "name"),
    ],
)
def test_ids_and_names_match_as_a_whole(read: Any, good: str, what: str) -> None:
    assert read(good, "a") == good
    for bad in (good + "\n", good.upper() + "!", "", f" {good}", "../x"):
        assert refused(read, bad, "a").startswith(f"a is not a valid {what}: ")


def test_only_64_hexadecimal_digits_are_the_id_of_a_snapshot() -> None:
    assert strict.is_snapshot_id(HEX * 4)
    assert not strict.is_snapshot_id(HEX * 4 + "0")
    assert not strict.is_snapshot_id(int(HEX, 16))
    assert (
        refused(strict.matching, "b", "a", re.compile("a"), "letter")
        == "a is not a valid letter: 'b'"
    )


def test_flags_are_not_numbers() -> None:
    assert strict.flag(True, "a") is True
    assert strict.flag(False, "a") is False
    for bad in (1, 0, None, "true"):
        assert "is neither true nor false" in refused(strict.flag, bad, "a")


def test_counts_are_whole_and_bounded() -> None:
    assert strict.count(0, "a") == 0
    assert strict.count(strict.MOST, "a") == 2**63 - 1
    for bad in (-1, strict.MOST + 1):
        assert refused(strict.count, bad, "a").startswith("a is out of range")
    assert strict.count(3, "a", most=3) == 3
    assert refused(strict.count, 4, "a", most=3).startswith("a is out of range")
    for wrong in (True, 1.0, "1", None):
        assert refused(strict.count, wrong, "a").startswith("a is not a whole number")


def test_numbers_are_not_negative_and_bounded() -> None:
    assert strict.number(0, "a") == 0
    assert strict.number(1e12, "a") == 1e12
    assert isinstance(strict.number(3, "a"), int)
    assert strict.number(2.0, "a", most=2) == 2.0
    for bad in (-0.1, 1e12 + 1, float("nan"), float("inf")):
        assert refused(strict.number, bad, "a").startswith("a is out of range")
    for wrong in (False, "1", None):
        assert refused(strict.number, wrong, "a").startswith("a is not a number")


def test_one_of_what_is_known() -> None:
    assert strict.one_of("b", "a", ("b", "c")) == "b"
    assert refused(strict.one_of, "d", "a", ("b", "c")) == "a is not one of b, c: 'd'"


def test_times_are_of_this_century_or_the_next() -> None:
    assert strict.time("2000-01-01T00:00:00Z", "a") == datetime(2000, 1, 1, tzinfo=UTC)
    assert strict.time("2199-12-31T23:59:59Z", "a").year == 2199
    for bad in ("1999-12-31T23:59:59Z", "2200-01-01T00:00:00Z"):
        assert refused(strict.time, bad, "a").startswith("a is not a plausible time")
    for bad in ("2026-11-25", "soon", "2026-11-25T12:00:00"):
        assert refused(strict.time, bad, "a").startswith("a is not a time")
    assert refused(strict.time, "2" * 65, "a").startswith("a is longer than 64 characters")


def test_paths_are_absolute_and_without_detours() -> None:
    for good in ("/", "/a", "/a/b c/.d", "/a/..b"):
        assert strict.absolute_path(good, "a") == good
    for bad in ("", "a", "a/b", "/a/", "//a", "/a//b", "/a/./b", "/a/../b", "/.", "/.."):
        assert "is not a plain absolute path" in refused(strict.absolute_path, bad, "a")
    assert strict.absolute_path("/" + "x" * 16383, "a")
    assert "longer than 16,384" in refused(strict.absolute_path, "/" + "x" * 16384, "a")


def test_an_optional_value_is_none_or_read_strictly() -> None:
    assert strict.maybe(strict.text, None, "a") is None
    assert strict.maybe(strict.text, "b", "a") == "b"
    assert refused(strict.maybe, strict.text, 0, "a") == "a is not text: 0"


def test_objects_and_arrays_are_bounded() -> None:
    assert strict.mapping({"a": 1}, "p", most=1) == {"a": 1}
    assert refused(strict.mapping, {"a": 1}, "p", most=0) == "p has more than 0 entries"
    assert refused(strict.mapping, [1], "p") == "p is not a JSON object: [1]"
    assert strict.array([1], "p", most=1) == [1]
    assert refused(strict.array, [1], "p", most=0) == "p has more than 0 items"
    assert refused(strict.array, {"a": 1}, "p") == "p is not a JSON array: {'a': 1}"


def test_items_and_values_are_read_with_their_places() -> None:
    assert strict.each(strict.text, ["a", "b"], "p") == ["a", "b"]
    assert refused(strict.each, strict.text, ["a", 1], "p") == "p.1 is not text: 1"
    assert refused(strict.each, strict.text, ["a"], "p", most=0) == "p has more than 0 items"
    assert strict.by_key(strict.count, {"a": 1}, "p") == {"a": 1}
    assert refused(strict.by_key, strict.count, {"a": -1}, "p").startswith("p.'a' is out of range")
    assert (
        refused(strict.by_key, strict.count, {"a": 1}, "p", most=0) == "p has more than 0 entries"
    )
    assert refused(strict.by_key, strict.count, {"\0": 1}, "p").startswith(
        "the name of an entry of p contains a NUL character"
    )
    assert strict.by_key(strict.count, {"x" * 16384: 1}, "p")
    assert "longer than 16,384" in refused(strict.by_key, strict.count, {"x" * 16385: 1}, "p")


def nested(depth: int, leaf: Any = 1) -> Any:
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def test_values_of_any_shape_are_bounded_in_depth_and_length() -> None:
    value = {"a": [1, None, {"b": "text"}]}
    assert strict.plain(value, "p") is value
    assert strict.plain(nested(strict.MOST_DEPTH), "p")
    assert refused(strict.plain, nested(25), "p") == "p is nested deeper than 24"
    deep: Any = 1
    for _ in range(25):
        deep = {"a": deep}
    assert refused(strict.plain, deep, "p") == "p is nested deeper than 24"
    assert strict.plain(deep["a"], "p")
    assert strict.plain({"a": ["xyz"]}, "p", most_text=3)
    assert (
        refused(strict.plain, {"a": ["xyz4"]}, "p", most_text=3)
        == "p contains a text of 4 characters, more than 3"
    )
    assert refused(strict.plain, {"\0": 1}, "p").startswith("a name in p contains a NUL character")
    assert strict.plain({"x" * 16384: 1}, "p")
    assert "longer than 16,384" in refused(strict.plain, {"x" * 16385: 1}, "p")
