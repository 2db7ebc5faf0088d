"""The one word for a plan, and the remarks behind it."""

from __future__ import annotations

from datetime import datetime

import pytest

from drd.model.compliance import assess
from drd.model.facts import HoldFacts
from drd.model.plan_state import _behind
from drd.model.verdicts import CopyAssessment, PlanState, Remark, Verdict
from tests.status_support import NOW, ago, healthy


@pytest.mark.parametrize(
    ("until", "active"), [(None, True), (NOW, False), (ago(-1), True), (ago(1), False)]
)
def test_a_hold_is_shown_until_its_end(until: datetime | None, *, active: bool) -> None:
    assessed = assess(healthy(holds=(HoldFacts("p1", "audit", until, "anna"),)), NOW)
    assert bool(assessed.holds) is active


@pytest.mark.parametrize(
    ("state", "age_s", "verdict", "text", "command"),
    [
        ("ok", 7200.0, Verdict.AT_RISK, "copy b of a is 2h behind", "drd copy shop"),
        (
            "ok",
            None,
            Verdict.UNKNOWN,
            "copy b of a does not contain a restore point",
            "drd copy shop",
        ),
        (
            "ok",
            None,
            Verdict.BREACHED,
            "copy b of a does not contain a restore point with all its snapshots",
            "drd copy shop",
        ),
        (
            "same",
            7200.0,
            Verdict.AT_RISK,
            "copy b is the same repository as a: one loss destroys both",
            "drd doctor shop",
        ),
        (
            "emptied",
            7200.0,
            Verdict.AT_RISK,
            "copy b of a was emptied: drd cannot read data there",
            "drd doctor shop",
        ),
        (
            "damaged",
            7200.0,
            Verdict.AT_RISK,
            "copy b of a is damaged: the readable data there is 2h behind",
            "drd verify shop --repository b",
        ),
        (
            "damaged",
            None,
            Verdict.AT_RISK,
            "copy b of a is damaged: drd does not know a complete restore point there",
            "drd verify shop --repository b",
        ),
    ],
)
def test_a_copy_that_is_behind_is_at_risk_with_the_reason_and_a_command(
    state: str, age_s: float | None, verdict: Verdict, text: str, command: str
) -> None:
    copy = CopyAssessment("b", "a", None if age_s is None else ago(age_s), age_s, verdict)
    assert _behind("shop", copy, state) == Remark(PlanState.AT_RISK, text, command)
