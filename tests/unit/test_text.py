"""Lists and numbers are put into words in one way."""

from __future__ import annotations

import pytest

from drd.model.text import and_more, counted, in_one_line, some, without_output


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b", "c"], "a, b, c"),
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
