"""Which restore point is clean, from when its data is, and why other points are not chosen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drd.model.clean_points import (
    Candidate,
    Drilled,
    clean_choice,
    data_until,
    why_chosen,
    why_none,
)
from drd.model.snapshot import ComponentSnapshot, RestorePoint

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SIGN = NOON + 60 * MINUTE
SOUND = "it is the newest complete restore point whose data is all from before the first sign"


def point(name: str, at: datetime, *components: ComponentSnapshot) -> RestorePoint:
    return RestorePoint(name, "shop", at, at + 30 * MINUTE, True, "", components)


def candidate(name: str, minutes: float, *doubts: str, **of: Any) -> Candidate:
    at = NOON + minutes * MINUTE
    return Candidate(**{"point": point(name, at), "until": at, "doubts": doubts, **of})


def component(**of: Any) -> ComponentSnapshot:
    base = {"component": "db", "kind": "files", "state": "captured", "data_time": NOON + MINUTE}
    return ComponentSnapshot(**{**base, **of})


@pytest.mark.parametrize(
    ("components", "minutes"),
    [
        ([], 0),
        ([component()], 30),  # when drd had stored it
        ([component(duration_s=120.0)], 3),
        ([component(kind="postgres")], 1),  # frozen at its data time
        ([component(state="failed")], 1),
        ([component(data_time=None)], 0),
        ([component(data_time=None), component(kind="postgres")], 1),
        ([component(kind="postgres", data_time=NOON - MINUTE)], 0),
    ],
)
def test_a_component_that_cannot_be_frozen_is_as_new_as_the_end_of_its_backup(
    components: list[ComponentSnapshot], minutes: float
) -> None:
    found = data_until(point("p1", NOON, *components), lambda kind: kind == "postgres")
    assert found == NOON + minutes * MINUTE


def test_the_clean_point_is_the_newest_sound_one_with_all_data_from_before_the_sign() -> None:
    old, new = candidate("old", 0), candidate("new", 10)
    doubtful, late = candidate("doubtful", 20, "x"), candidate("late", 30, until=SIGN)
    assert clean_choice([old, new, doubtful, late], SIGN) is new
    assert clean_choice([doubtful, late], SIGN) is None


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (candidate("p2", 20, "no drill could restore it"), True),
        (candidate("p2", 20), False),  # sound
        (candidate("p2", 5, "x"), False),  # older
        (candidate("p2", 10, "x"), False),  # of the same time
        (candidate("p2", 20, "x", until=SIGN), False),  # not from before the sign
    ],
)
def test_newer_points_from_before_the_sign_are_named_with_their_doubts(
    other: Candidate, *, named: bool
) -> None:
    chosen = candidate("p1", 10)
    passed_over = "; newer points are not sound: p2 (no drill could restore it)" if named else ""
    assert why_chosen(chosen, [chosen, other], SIGN) == (
        f"{SOUND}{passed_over}; no drill has tested this point"
    )


@pytest.mark.parametrize(
    ("result", "words"),
    [("passed", "a drill of this point passed"), ("failed", "no drill has tested this point")],
)
def test_a_chosen_point_is_tested_if_its_drill_passed(result: Any, words: str) -> None:
    chosen = candidate("p1", 10, drill=Drilled("r1", NOON, result, restored=True))
    assert why_chosen(chosen, [chosen], SIGN) == f"{SOUND}; {words}"


@pytest.mark.parametrize(
    ("candidates", "fact", "remedy"),
    [
        ([], "drd does not know any restore point of shop", ": drd catalogue rebuild shop"),
        (
            [candidate("p1", 60)],
            "the only restore point of shop has data from after the first sign",
            ": drd points shop",
        ),
        (
            [candidate("p1", 60), candidate("p2", 61)],
            "all 2 restore points of shop have data from after the first sign",
            ": drd points shop",
        ),
        (
            [candidate("p1", 60), candidate("p2", 59, "gone")],
            (
                "shop has 1 restore point from before the first sign, but this point is not sound: "
                "p2 (gone)"
            ),
            ": drd recover shop --point p2",
        ),
        (
            [candidate("p2", 1, "gone"), candidate("p1", 0, "torn", "old")],
            (
                "shop has 2 restore points from before the first sign, but each of them is not "
                "sound: p2 (gone), p1 (torn)"
            ),
            ": drd recover shop --point p2",
        ),
    ],
)
def test_without_a_clean_point_the_reason_says_what_is_known(
    candidates: list[Candidate], fact: str, remedy: str
) -> None:
    told, what_to_do = why_none("shop", candidates, SIGN)
    assert told == fact
    assert what_to_do.endswith(remedy)
