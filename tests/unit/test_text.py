"""Lists and numbers are put into words in one way."""

from __future__ import annotations

import pytest

from drd.model.text import (
    and_more,
    counted,
    either,
    escaped,
    in_commands,
    in_one_line,
    left_out,
    noun,
    short_id,
    some,
    without_output,
)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b", "c"], "a, b, c"),
        (["a", "b", "c", "d"], "a, b, c and 1 more"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_long_lists_show_the_first_names_and_a_count(names: list[str], told: str) -> None:
    assert some(names) == told


def test_names_that_are_sentences_are_parted_by_semicolons() -> None:
    assert some(["x is", "y is", "z is"], 2, between="; ") == "x is; y is; and 1 more"


def test_nouns_agree_with_their_number() -> None:
    assert [counted(n, "file") for n in (0, 1, 1234)] == ["0 files", "1 file", "1,234 files"]
    assert counted(2, "try", "tries") == "2 tries"
    assert (and_more(0), and_more(2)) == ("", " (and 2 more)")


def test_the_output_of_a_program_is_put_in_one_line_or_left_out() -> None:
    fact = "pg_dump exited with 1: refused\n  is the server running?"
    assert in_one_line(fact) == "pg_dump exited with 1: refused; is the server running?"
    assert without_output(fact) == "pg_dump exited with 1: refused"


def test_names_of_which_one_applies_are_parted_by_or() -> None:
    assert [either(names) for names in ([], ["a"], ["a", "b"], ["a", "b", 3])] == [
        "",
        "a",
        "a or b",
        "a, b or 3",
    ]


def test_counts_of_what_is_left_out_begin_at_one() -> None:
    assert [left_out(n) for n in (-1, 0, 1, 1234)] == ["", "", " and 1 more", " and 1,234 more"]
    assert [and_more(n) for n in (-1, 1)] == ["", " (and 1 more)"]
    assert [noun(n, "it", "them") for n in (0, 1, 2)] == ["them", "it", "them"]
    assert noun(2, "file") == "files"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("caf\xe9", "caf\xe9"),
        ("a\nb\x1b", "a\\nb\\x1b"),
        ("\u202ereversed", "\\u202ereversed"),
        ("caf\xe9\udcff\x07", "caf\xe9\\xff\\x07"),
    ],
)
def test_characters_that_a_terminal_would_interpret_are_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_an_id_is_shortened_and_anything_else_not_repeated() -> None:
    assert short_id("0123456789abcdef" * 4) == "01234567"
    for other in ("0123456789ABCDEF" * 4, "0123456789abcdef" * 4 + "0", "", "$(rm)"):
        assert short_id(other) == "with an invalid id"


def test_commands_of_a_remedy_get_the_plan_and_the_run_where_they_are_known() -> None:
    hint = "choose another one (drd points PLAN), or see drd run show RUN; RUN and PLAN stay here"
    told = in_commands(hint, plan="shop")
    assert told == (
        "choose another one (drd points shop), or see drd run show RUN; RUN and PLAN stay here"
    )
    assert in_commands(told, run="4f2a") == (
        "choose another one (drd points shop), or see drd run show 4f2a; RUN and PLAN stay here"
    )


@pytest.mark.parametrize("known", [{}, {"plan": "shop"}, {"run": "4f2a"}, {"component": "db"}])
def test_a_word_of_a_command_stays_until_its_name_is_known(known: dict[str, str]) -> None:
    said = in_commands("drd diff PLAN --component COMPONENT; drd run show RUN", **known)
    names = {"plan": "PLAN", "component": "COMPONENT", "run": "RUN", **known}
    whole = "drd diff {plan} --component {component}; drd run show {run}"
    assert said == whole.format(**names)
