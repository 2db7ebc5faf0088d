"""The one word for a plan, and the remarks behind it."""

from __future__ import annotations

from datetime import datetime

import pytest

from drd.model.compliance import assess
from drd.model.facts import AlertFacts, HoldFacts
from drd.model.plan_state import Judged, _behind, state_of
from drd.model.verdicts import (
    UNFINISHED,
    CopyAssessment,
    PlanState,
    Readiness,
    Reason,
    Remark,
    Verdict,
)
from tests.status_support import NOW, ago, alert, healthy

LATE = Reason(Verdict.AT_RISK, "a backup is late", kind="backup-missing")
OVER = Reason(Verdict.BREACHED, "RPO exceeded", kind="rpo")
NEVER = Reason(Verdict.UNKNOWN, "never drilled")
FIRST = CopyAssessment("b", "a", None, None, Verdict.UNKNOWN, first_by=NOW)
STOPPED = Reason(Verdict.AT_RISK, "a recovery stopped", kind=UNFINISHED)
NOTED = Reason(Verdict.MET, "a recovery was accepted", kind=UNFINISHED)
UNPROVEN = "the plan as it is now is not proven"
BEHIND = CopyAssessment("b", "a", ago(7200), 7200.0, Verdict.AT_RISK)


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


def test_a_copy_that_has_time_for_its_first_point_is_not_at_risk_yet() -> None:
    text = "no copy of a to b was made yet; the first copy is due by 2026-11-25 00:31 UTC"
    assert _behind("shop", FIRST, "ok") == Remark(PlanState.OK, text, "drd copy shop")
    assert "cannot read data there" in _behind("shop", FIRST, "gone").text


@pytest.mark.parametrize(
    ("reasons", "alerts", "readiness", "state", "texts"),
    [
        ((), (), Readiness.READY, PlanState.OK, []),
        ((), (), Readiness.NOT_READY, PlanState.NOT_READY, [UNPROVEN]),
        ((LATE,), (), Readiness.READY, PlanState.AT_RISK, [LATE.text]),
        ((LATE,), (), Readiness.NEEDS_DRILL, PlanState.NEEDS_DRILL, [UNPROVEN, LATE.text]),
        ((NEVER,), (), Readiness.NOT_READY, PlanState.UNKNOWN, [NEVER.text]),
        ((NEVER, STOPPED), (), Readiness.READY, PlanState.UNKNOWN, [STOPPED.text, NEVER.text]),
        ((OVER, STOPPED), (), Readiness.READY, PlanState.BREACHED, [STOPPED.text, OVER.text]),
        ((NOTED, LATE), (), Readiness.READY, PlanState.AT_RISK, [LATE.text, NOTED.text]),
        (
            (LATE, NEVER),
            (alert(id="a2"), alert(id="a3", kind="not-ready", text="no key")),
            Readiness.NOT_READY,
            PlanState.UNKNOWN,
            [NEVER.text, LATE.text, "no key"],
        ),
        (
            (LATE,),
            (
                alert(id="a2", kind="log", text="a gap"),
                alert(id="a3", kind="not-ready", text="no key"),
                alert(id="a4", kind="kit", text="no kit"),
            ),
            Readiness.NOT_READY,
            PlanState.NOT_READY,
            ["no key", LATE.text, "a gap", "no kit"],
        ),
        (
            (),
            (alert(id="a2", kind="log", text="a gap"),),
            Readiness.NEEDS_DRILL,
            PlanState.NEEDS_DRILL,
            [UNPROVEN, "a gap"],
        ),
    ],
)
def test_the_state_is_the_worst_of_reasons_alerts_and_readiness_each_said_once(
    reasons: tuple[Reason, ...],
    alerts: tuple[AlertFacts, ...],
    readiness: Readiness,
    state: PlanState,
    texts: list[str],
) -> None:
    found, remarks = state_of(Judged("shop", readiness, reasons, alerts))
    assert (found, [remark.text for remark in remarks]) == (state, texts)


@pytest.mark.parametrize(
    ("alerts", "said_twice"),
    [
        ((alert(kind="copy-behind", subject="b", text="b is old"),), False),
        ((alert(kind="copy-behind", subject="c", text="c is old"),), True),
        ((alert(kind="copy-behind", subject="b", severity="info"),), True),
        ((alert(kind="log", subject="b"),), True),
    ],
)
def test_a_copy_that_an_alert_reports_as_behind_is_not_said_twice(
    alerts: tuple[AlertFacts, ...], *, said_twice: bool
) -> None:
    judged = Judged("shop", Readiness.READY, (), alerts, copies=(BEHIND,))
    texts = [remark.text for remark in state_of(judged)[1]]
    assert ("copy b of a is 2h behind" in texts) is said_twice
