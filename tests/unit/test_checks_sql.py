"""What a `sql` check asks of the source at backup."""

from __future__ import annotations

import pytest

from drd.checks.sql import SqlCheck
from drd.registry import CHECKS


@pytest.mark.parametrize(
    ("expect", "asked"),
    [
        ("within 10%", True),
        (" within 10 % ", True),
        ("within 10% of 5000", False),
        ("within rpo", False),
        ("within 2h", False),
        ("> 0", False),
        (12, False),
    ],
)
def test_source_is_asked_only_for_a_share_of_its_own_answer(expect: str | int, asked: bool) -> None:
    settings = SqlCheck(kind="sql", name="n", component="c", query="select 1", expect=expect)
    assert CHECKS["sql"].baseline(settings) == ("select 1" if asked else None)
