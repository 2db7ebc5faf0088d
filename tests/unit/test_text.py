"""Lists and numbers are put into words in one way."""

from __future__ import annotations

import pytest

from drd.model.text import and_more, counted, first_line, joined, one_line, some


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


def test_joined_errors_have_facts_first_and_remedies_below() -> None:
    both = joined(["db: gone\nremedy: create it.", "conf: shut"])
    assert both == "db: gone; conf: shut\nremedy: create it."
    assert first_line(both) == "db: gone; conf: shut"
    assert one_line(both) == "db: gone; conf: shut; remedy: create it."
