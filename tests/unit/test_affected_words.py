"""How the people of a data set and the kind of its data are told."""

from __future__ import annotations

from typing import Any

import pytest

from drd.model.incidents.affected import Affected, Known, details, resident_words


@pytest.mark.parametrize(
    ("people", "known", "words"),
    [
        (None, Known.UNKNOWN, "unknown number of people"),
        (0, Known.COUNTED, "0 people (counted)"),
        (1, Known.COUNTED, "1 person (counted)"),
        (2, Known.ESTIMATED, "2 people (estimated)"),
        (5000, Known.COUNTED, "5,000 people (counted)"),
    ],
)
def test_the_number_of_people_is_told_with_how_drd_knows_it(
    people: int | None, known: Known, words: str
) -> None:
    assert Affected("shop", "customers", known, people).words() == words


@pytest.mark.parametrize(
    ("of", "told"),
    [
        ({}, ""),
        ({"categories": ("addresses", "names")}, "; addresses, names"),
        ({"special": True}, "; special category"),
        ({"encrypted": True}, "; encrypted"),
        ({"encrypted": False}, ""),
        ({"categories": ("health",), "special": True, "encrypted": True},
         "; health, special category, encrypted"),
    ],
)  # fmt: skip
def test_the_kind_of_the_data_is_told_as_far_as_it_is_known(of: dict[str, Any], told: str) -> None:
    assert details(Affected("shop", "customers", Known.COUNTED, 5, **of)) == told


def test_residents_have_their_number_if_it_is_known() -> None:
    assert resident_words(("DE", 4400)) == "DE 4,400"
    assert resident_words(("DE", 0)) == "DE 0"
    assert resident_words(("US-CA", None)) == "US-CA"
