"""Reading YAML: lines, traps, bombs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.config.writing import inline, yaml_text
from drd.config.yaml import MAX_DEPTH, Document, dotted, read
from drd.errors import ConfigError, Problem


def parsed(text: str | bytes) -> Document:
    return read(text if isinstance(text, bytes) else text.encode(), "p.yaml")


def refused(text: str | bytes) -> Problem:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


def test_every_key_and_value_keeps_its_line() -> None:
    document = parsed("a: 1\nb:\n  c:\n    - x\n    - {d: 2,\n       e: 3}\nf:\n  |\n  text\n")
    assert document.data == {"a": 1, "b": {"c": ["x", {"d": 2, "e": 3}]}, "f": "text\n"}
    lines = {dotted(p): (place.key, place.value) for p, place in document.places.items()}
    assert lines == {
        "a": (1, 1),
        "b": (2, 3),
        "b.c": (3, 4),
        "b.c[0]": (4, 4),
        "b.c[1]": (5, 5),
        "b.c[1].d": (5, 5),
        "b.c[1].e": (6, 6),
        "f": (7, 8),
    }


def test_line_of_something_missing_is_that_of_what_is_around_it() -> None:
    document = parsed("a: 1\nb:\n  c: 2\n")
    assert document.line(("b", "nothing")) == 2
    assert document.line(("nothing",)) == 1
    assert document.line(("b", "c")) == 3


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "N", "On", "NO"])
def test_words_that_old_yaml_takes_for_booleans_are_text(word: str) -> None:
    assert parsed(f"{word}: {word}").data == {word: word}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-12", -12),
        ("1.5", 1.5),
        ("2026-01-01", "2026-01-01"),
        ("15m", "15m"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("1e999", "1e999"),
        (".nan", ".nan"),
        ("9" * 5000, "9" * 5000),
        ("within 10%", "within 10%"),
    ],
)
def test_scalars_have_the_types_of_yaml_1_2(text: str, value: Any) -> None:
    document = parsed(f"a: {text}")
    found = document.data["a"]
    assert (found, type(found)) == (value, type(value))
    assert not document.problems


@pytest.mark.parametrize("text", ["010", "1:30", "1_000", "0o17", "0x1F", "0b11", "-01", "1:30:00"])
def test_numbers_that_versions_of_yaml_read_differently_are_refused(text: str) -> None:
    document = parsed(f"a: 1\nb: {text}")
    assert document.problems == [
        Problem(
            "p.yaml",
            2,
            "b",
            f"{text} is read differently by different versions of YAML",
            f'write "{text}" in quotes for text, a plain number, or a duration like 1m30s.',
        )
    ]


def test_equal_keys_are_refused_with_both_lines() -> None:
    document = parsed("a:\n  x: 1\n  y: 2\n  x: 3\n")
    assert document.problems == [
        Problem(
            "p.yaml",
            4,
            "a.x",
            'the key "x" is given twice here',
            "remove one of the two lines; the first is line 2.",
        )
    ]


def test_aliases_and_merge_keys_are_followed() -> None:
    document = parsed(
        "base: &base {x: 1, y: 2}\nother: &other {y: 3, z: {deep: 4}}\n"
        "a: *base\nb:\n  <<: [*base, *other]\n  x: 5\n  z: 6\n"
    )
    assert document.data["a"] == {"x": 1, "y": 2}
    assert document.data["b"] == {"x": 5, "y": 2, "z": 6}
    assert not document.problems
    assert document.line(("b", "x"), of_key=True) == 6
    assert document.line(("b", "y")) == 1
    assert ("b", "z", "deep") not in document.places


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        (b"a: \xff", 1, "is not UTF-8 text", "save the file as UTF-8."),
        (b"a: 1\nb: \xc3(", 2, "is not UTF-8 text", "save the file as UTF-8."),
        ("a: 1".encode("utf-16"), 1, "is not UTF-8 text", "save the file as UTF-8."),
        ("", 1, "the file is empty", "`drd plan new` writes a first plan."),
        ("# nothing\n\n", 1, "the file is empty", "`drd plan new` writes a first plan."),
        ("a: 1\n---\nb: 2", 2, "contains several documents", "put each plan into a separate file."),
        ("a:\n\tb: 1", 2, "a tab indents this line", "indent with spaces."),
        ("a: 1\n\tb: 1", 2, "a tab indents this line", "indent with spaces."),
        ("a: \x01", 1, "contains the control character U+0001", "remove it."),
        (
            'a:\n  path: "/srv/x\n  b: 1\n  c: "two"\n  d: 3\n',
            2,
            'is not YAML: the text that begins with " in this line ends in line 4',
            'add the closing " to this line.',
        ),
        (
            "a:\n  - {x: '1, y: 2}\n  - {x: '2', y: 3}\n",
            2,
            "is not YAML: the text that begins with ' in this line ends in line 3",
            "add the closing ' to this line.",
        ),
        (
            "a: 1\nb: *x",
            2,
            "*x is not defined",
            "define the anchor first, as &x; or put the text in quotes.",
        ),
    ],
)
def test_text_that_is_not_yaml_is_refused_with_its_line(
    text: str | bytes, line: int, message: str, hint: str
) -> None:
    assert refused(text) == Problem("p.yaml", line, "", message, hint)


@pytest.mark.parametrize(
    "text",
    ["a: 1\nexpect: > 0", "a: 1\ncron: */10 * * * *", "a: 1\ncron: @daily", "a: 1\nx: [*.tmp]"],
)
def test_values_that_want_quotes_are_told_so(text: str) -> None:
    problem = refused(text)
    assert (problem.line, problem.hint[:28]) == (2, "put the value in quotes, lik")


@pytest.mark.parametrize(
    "text", ["a: 1\nb: c: d", "a: [1\nb: 2", "a: 'x", "- a\nb: 1", "%YAML 9.0\n---\n"]
)
def test_broken_yaml_has_a_line_and_a_hint(text: str) -> None:
    problem = refused(text)
    assert problem.message.startswith("is not YAML")
    assert problem.hint
    assert problem.line >= 1


@pytest.mark.parametrize("text", ["a: !!python/object:os.system x", "a: !x 1", "a: !!set {b}"])
def test_tags_are_refused(text: str) -> None:
    (problem,) = parsed(text).problems
    assert problem.message.endswith("is not allowed here")


def test_key_that_is_not_text_is_refused() -> None:
    (problem,) = parsed("a: 1\n? [b]\n: 2\n").problems
    assert (problem.line, problem.message) == (2, "a key must be text")


def test_nul_is_refused() -> None:
    (problem,) = parsed('a: "x\\0y"').problems
    assert problem.message == "contains a NUL character"


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    return "\n".join(lines)


def merge_bomb() -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, 12)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb(),
        merge_bomb(),
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: &a\n  <<: *a",
        "[" * 100_000,
        "a: " + "{a: " * (MAX_DEPTH + 1),
        "- " * 50_000,
    ],
    ids=["aliases", "merges", "loop", "map loop", "merge loop", "brackets", "braces", "dashes"],
)
def test_bombs_are_refused_quickly(text: str) -> None:
    before = time.monotonic()
    problem = refused(text)
    assert time.monotonic() - before < 5
    assert problem.hint


def test_byte_order_mark_and_crlf_are_fine() -> None:
    assert parsed(b"\xef\xbb\xbfa: 1\r\nb: x\r\n").data == {"a": 1, "b": "x"}


texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20) | st.sampled_from(
    ["on", "no", "null", "~", "010", "1:30", "1e3", "0o7", "1_0", "true", "> 0", "- x", "a: b", "#"]
)
values = st.recursive(
    texts | st.integers(-(10**17), 10**17) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts.filter(lambda t: t != "<<"), values, min_size=1, max_size=4))
def test_yaml_that_drd_writes_is_read_back_unchanged(data: dict[str, Any]) -> None:
    document = parsed(yaml_text(data))
    assert document.data == data
    assert not document.problems
    assert parsed(f"a: {inline(data)}").data == {"a": data}


@given(st.text(st.sampled_from("ab:- \n[]{}#&*'\"|>\t!%@?,"), max_size=40))
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    for problem in all_problems(text):
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.hint


def all_problems(text: str) -> Sequence[Problem]:
    try:
        return parsed(text).problems
    except ConfigError as error:
        return error.problems
