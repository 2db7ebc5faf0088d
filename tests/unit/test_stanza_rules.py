"""`drd plan new --adopt` promises no backup that pgBackRest lets expire by its own rules,
and says which databases it leaves out."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from drd.cli.plan_stanza import _keeps, _left_out


@pytest.mark.parametrize(
    ("said", "keeps"),
    [
        ({}, {}),
        ({"full": "2"}, {"last": 2}),
        ({"full": "30", "full-type": "time"}, {"keep_within": "30d"}),
        ({"full": "2", "diff": "1"}, {"last": 1}),
        ({"full": "2", "diff": "7"}, {"last": 2}),
        ({"full": "30", "full-type": "time", "diff": "3"}, {"last": 1}),
        ({"full": "2", "diff": "x"}, {}),
        ({"diff": "3"}, {}),
    ],
)
def test_the_rule_is_one_that_pgbackrest_keeps(
    said: Mapping[str, str], keeps: Mapping[str, object]
) -> None:
    assert _keeps({f"repo1-retention-{key}": value for key, value in said.items()}) == keeps


def test_the_databases_that_are_not_in_the_plan_are_named() -> None:
    assert _left_out(["kasse", "shop"], ["kasse", "shop"]) == ""
    told = _left_out(["a", "b", "c", "shop"], ["a", "b", "c"])
    assert told.startswith(". Not in the plan: shop. The plan has at most 3 databases")
