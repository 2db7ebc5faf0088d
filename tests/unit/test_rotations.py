"""Which credentials were rotated in an incident, and which an attacker can still know."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drd.model.incidents import entries as kinds
from drd.model.incidents.rotations import (
    Rotation,
    known_to_attacker,
    rotation_words,
    rotations,
    since,
)
from drd.model.inventory import Credential
from drd.model.records import Draft
from tests.records_support import ANNA, Chain

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PAY = {"plans": ["shop", "billing"], "credential": "pay"}


def of(*bodies: dict[str, Any], kind: str = kinds.ROTATED) -> tuple[Rotation, ...]:
    chain = Chain()
    for body in bodies:
        chain.add(Draft(kind, "incident:1", body, NOON, ANNA))
    return rotations(chain.entries)


def test_a_rotation_has_its_time_and_person_or_those_of_its_entry() -> None:
    given = {**PAY, "at": "2026-11-28T09:00:00Z", "by": "bob"}
    assert of(PAY, given) == (
        Rotation(1, NOON, "anna", "pay", ("shop", "billing")),
        Rotation(2, NOON - 3 * HOUR, "bob", "pay", ("shop", "billing")),
    )


@pytest.mark.parametrize(
    "body",
    [{}, {"plans": "shop", "credential": "pay"}, {"plans": ["shop"], "credential": None}],
)
def test_an_entry_that_names_no_plans_or_no_credential_has_no_effect(body: dict[str, Any]) -> None:
    assert of(body) == ()


def test_a_withdrawn_rotation_and_entries_of_another_kind_do_not_count() -> None:
    assert [one.entry for one in of(PAY, PAY, {"entry": 1, "reason": "a typo"})] == [2]
    assert [one.entry for one in of(PAY, {"entry": 9, "reason": "a typo"})] == [1]
    assert of(PAY, kind=kinds.LOG) == ()


def test_the_last_rotation_since_the_first_sign_counts() -> None:
    first = Rotation(1, NOON, "anna", "pay", ("shop",))
    second = replace(first, entry=2, at=NOON + HOUR)
    assert since([second, first], "shop", "pay", NOON) == second
    assert since([first], "shop", "pay", NOON) == first, "at the sign itself"
    assert since([first], "shop", "pay", NOON + HOUR) is None
    assert since([first], "billing", "pay", NOON) is None
    assert since([first], "shop", "mail", NOON) is None


def test_what_was_not_rotated_since_the_first_sign_is_known_to_the_attacker() -> None:
    pay, mail = (Credential(name) for name in ("pay", "mail"))
    found = iter([Rotation(1, NOON, "anna", "pay", ("shop",))])
    assert known_to_attacker([pay, mail], "shop", found, NOON) == (mail,)


def test_a_rotation_and_its_withdrawal_in_words() -> None:
    assert rotation_words(PAY) == "credential pay of shop, billing was rotated"
    assert rotation_words({"entry": 3, "reason": "a typo"}) == (
        "entry 3 withdrawn, the credential was not rotated: a typo"
    )
    many = {**PAY, "plans": [f"p{n}" for n in range(11)]}
    assert rotation_words(many).endswith("p9 and 1 more was rotated")
