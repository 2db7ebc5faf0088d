"""What the reasons of a status say, word for word."""

from __future__ import annotations

import pytest

from tests.status_support import failures, incomplete, point
from tests.unit.test_compliance import judged

SAID = "db: x.db does not exist; conf: gone\npg_dump: no such file (or directory)\ntar: exiting"


def test_a_failure_that_did_no_harm_yet_is_called_one() -> None:
    plan = judged(newest=point(60), failures=failures(3, SAID))
    assert [r.text for r in plan.reasons] == [
        (
            "the last backup failed: db: x.db does not exist; conf: gone (3 tries, last at "
            "2026-11-25 00:27:00 UTC)"
        )
    ]


@pytest.mark.parametrize("error", ["(hint: x", "a (b) c", "no such file (2)"])
def test_brackets_that_are_not_a_remedy_stay(error: str) -> None:
    plan = judged(newest=point(60), failures=failures(2, error))
    assert (
        plan.reasons[0].text
        == f"the last backup failed: {error} (2 tries, last at 2026-11-25 00:27:00 UTC)"
    )


def test_an_incomplete_point_says_what_failed_and_leaves_the_output_to_its_run() -> None:
    plan = judged(incomplete=incomplete(("db", "gone\ntar: exiting (twice)."), ("conf", "shut")))
    assert "the newest restore point 9b0d is incomplete: db: gone; conf: shut" in [
        r.text for r in plan.reasons
    ]
