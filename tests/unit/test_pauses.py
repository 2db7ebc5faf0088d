"""Why retention waits, each reason at its bound and with its remedy."""

from __future__ import annotations

from datetime import timedelta

import pytest

from drd.model.clock import JUMP_S
from drd.model.pauses import (
    Damage,
    Pause,
    named,
    of_backups,
    of_clock,
    of_damage,
    of_jump,
    of_listing,
    of_unreadable,
    words,
)
from tests.catalogue_support import T0, at, point

MANY = [f"p{n}" for n in range(201)]


def backups(*ages_s: float, last_failed: str | None = None) -> list[str]:
    points = [point(f"p{n}", T0 - timedelta(seconds=s)) for n, s in enumerate(ages_s)]
    found = of_backups("shop", points, last_failed=last_failed, rpo_s=900.0, now=T0)
    for pause in found:
        first = {"backup-failed": "correct the cause, then: ", "rpo": "make a backup: "}
        assert pause.remedy.startswith(f"{first.get(pause.code, '')}drd backup shop")
    return [pause.code for pause in found]


def test_backups_that_fail_or_are_late() -> None:
    assert backups(900) == []
    assert backups(901) == ["rpo"]
    assert backups(5000, 900) == []
    assert backups(900, last_failed="no answer") == ["backup-failed"]
    assert backups(901, last_failed="no answer") == ["backup-failed", "rpo"]
    assert backups() == ["no-point"]
    assert backups(last_failed="no answer") == ["backup-failed", "no-point"]
    gone = [point("p", at(0), forgotten_at=T0), point("q", at(0), complete=False)]
    [pause] = of_backups("shop", gone, last_failed=None, rpo_s=900.0, now=T0)
    assert pause.code == "no-point"


def damage(affected: tuple[str, ...] | None, *given_up: tuple[str, str]) -> list[Pause]:
    known = [Damage("primary", "a pack is gone", affected)]
    return of_damage("shop", known, {"a", "b", *MANY}, set(given_up))


def test_damage_pauses_until_it_is_mended_or_given_up() -> None:
    [pause] = damage(("a", "b"))
    assert pause.code == "damage"
    assert "restore points a, b" in pause.text
    assert "drd points forget a b --repository primary --reason TEXT" in pause.remedy
    [pause] = damage(("a", "b"), ("a", ""))
    assert "forget b --repository" in pause.remedy
    assert damage(("a",), ("a", "primary")) == []
    assert len(damage(("a",), ("a", "offsite"), ("b", ""))) == 1
    assert damage(("not kept",)) == []
    [pause] = damage(tuple(MANY))
    assert "forget p0 p1 p2 p3 p4 --repository" in pause.remedy


def test_damage_of_unknown_or_no_extent_is_verified() -> None:
    [pause] = damage(None)
    assert pause.remedy == "drd verify shop --repository primary"
    [none] = damage(())
    assert "no restore point" in none.text
    assert none.remedy.endswith("drd verify shop --repository primary")
    assert none.remedy != pause.remedy


def test_a_listing_that_shrank_names_points_and_repository() -> None:
    assert of_listing("primary", []) == []
    [pause] = of_listing("primary", ["a"])
    assert pause.code == "listing-shrank"
    assert pause.text.startswith("repository primary lacks snapshots of restore point a:")
    assert "forget a --repository primary --reason TEXT" in pause.remedy
    [pause] = of_listing("primary", MANY, nowhere=True)
    assert "--repository" not in pause.remedy
    assert " p199 --reason" in pause.remedy
    assert named(MANY).endswith("p4 and 196 more")
    assert named(["a"]) == "restore point a"
    assert named(["a", "b"]) == "restore points a, b"


@pytest.mark.parametrize("ahead_s", [None, 0.0, JUMP_S, -JUMP_S])
def test_a_clock_that_agrees_is_not_a_reason(ahead_s: float | None) -> None:
    assert of_clock("primary", ahead_s) == []


def test_a_clock_that_differs_says_in_which_direction() -> None:
    [ahead], [behind] = of_clock("primary", JUMP_S + 1), of_clock("primary", -JUMP_S - 1)
    assert (ahead.code, behind.code) == ("clock-differs",) * 2
    assert "ahead of" in ahead.text
    assert "behind" in behind.text


def test_a_clock_that_was_set_needs_a_word() -> None:
    assert of_jump("shop", None) == []
    [forward], [back] = of_jump("shop", 3600.0), of_jump("shop", -3600.0)
    assert (forward.code, back.code) == ("clock-jumped",) * 2
    assert "forward by 1h" in forward.text
    assert "back by 1h" in back.text
    assert "drd retention shop --clock-is-right" in back.remedy


def test_a_pause_for_unreadable_snapshots_has_its_own_remedy_or_the_usual_one() -> None:
    assert of_unreadable("two of them", "look").remedy == "look"
    assert of_unreadable("two of them", None).remedy
    assert of_unreadable("two of them", None).code == "unreadable"


def test_all_reasons_are_one_sentence() -> None:
    pauses = [Pause("a", "warning", "", "one"), Pause("b", "warning", "far", "two", "do it")]
    assert words(pauses).endswith("one; two")
    assert [Pause.from_json(p.to_json()) for p in pauses] == pauses
