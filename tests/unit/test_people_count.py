"""Numbers of people by a query of a plan: rows and numbers, and nothing else that data can say."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from drd.errors import SourceError
from drd.flows.drill.people import Counted, counted_by


class Asked:
    """Answers with the single value of a query, as an inspector does."""

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        del timeout_s
        with closing(sqlite3.connect(":memory:")) as connection:
            try:
                rows = connection.execute(query).fetchall()
            except sqlite3.Error as error:
                raise SourceError(str(error)) from error
        if len(rows) != 1 or len(rows[0]) != 1:
            raise SourceError("more than one value")
        return rows[0][0]


def count(query: str) -> Counted:
    return counted_by(Asked(), query)  # type: ignore[arg-type]


def test_one_number_or_rows_of_residences() -> None:
    assert count("select 42") == Counted(42)
    assert count("values ('DE', 3), ('FR', 2)") == Counted(5, (("DE", 3), ("FR", 2)))
    assert count("select 'DE', 0 -- only Germany") == Counted(0, (("DE", 0),))


def test_people_without_a_residence_count() -> None:
    rows = "values ('DE', 8100), (null, 700), (' ', 150), ('unknown', 50)"
    assert count(rows) == Counted(9000, (("unknown", 900), ("DE", 8100)))


def test_a_residence_that_is_no_code_counts_as_unknown_and_is_counted_as_such() -> None:
    rows = "values ('de', 1), ('us-ca ', 2), ('Germany', 4), ('USA', 8), ('XX', 16), ('r=p', 32)"
    assert count(rows) == Counted(63, (("unknown", 60), ("DE", 1), ("US-CA", 2)), astray=60)


@pytest.mark.parametrize(
    "query",
    [
        "select -1",
        "select null",
        "select 'many'",
        "select 1.5",
        "select '1' || hex(zeroblob(20))",
        "select 'DE', null",
        "values ('DE', -1)",
        "select 'x' || char(27) || '[31m', 1",
        "select hex(zeroblob(9999)), 1",
        "select 1, 2, 3",
        "select nothing",
    ],
)
def test_a_value_that_is_not_a_count_is_refused(query: str) -> None:
    with pytest.raises(SourceError):
        count(query)
