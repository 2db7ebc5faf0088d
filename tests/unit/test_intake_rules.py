"""What drd makes of alerts of other systems: plans, severities, incidents, and their timeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drd.model.alerts import Alert
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.fold import fold
from drd.model.incidents.intake_rules import IntakeSettings, PlanRule
from drd.model.incidents.rules import OpeningRule
from drd.model.incidents.timeline import timeline
from drd.model.intake.signal import (
    Signal,
)
from tests.records_support import ANNA, Chain

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


# --- what drd.yaml says -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "plans"),
    [
        ({}, []),
        ({"plan": "shop"}, ["shop"]),
        ({"plan": "shop,billing shop odd"}, ["shop", "billing"]),
        ({"env": "prod-1"}, ["billing"]),
        ({"env": "test"}, []),
        ({"plan": "shop", "env": "prod-1"}, ["shop", "billing"]),
    ],
)
def test_plans_of_an_alert_come_from_its_labels_and_the_rules(
    labels: dict[str, str], plans: list[str]
) -> None:
    settings = IntakeSettings(rules=(PlanRule({"env": "prod-*"}, ("billing", "gone")),))
    signal = Signal("x", "1", "t", labels=labels)
    assert settings.plans_of(signal, ["shop", "billing"]) == plans


@pytest.mark.parametrize(
    ("said", "severity"), [("HIGH", "high"), ("page", "low"), ("odd", ""), ("", "")]
)
def test_the_severity_of_an_alert(said: str, severity: str) -> None:
    settings = IntakeSettings(severities={"page": "low"})
    assert settings.severity_of(Signal("x", "1", "t", severity=said), ["low", "high"]) == severity


@pytest.mark.parametrize(
    ("of_rule", "of_plan", "opens"),
    [
        (None, None, True),
        (None, 3, True),
        (2, 1, True),
        (2, 2, True),
        (2, 3, False),
        (2, None, False),
    ],
)
def test_a_rule_for_a_tier_is_for_more_important_plans_as_well(
    of_rule: int | None, of_plan: int | None, *, opens: bool
) -> None:
    alert = Alert("a1", "shop", "rpo", "", "firing", "warning", NOON, "late")
    assert OpeningRule(tier=of_rule).matches(alert, lambda _: of_plan) is opens


def test_an_alert_that_is_not_trouble_yet_opens_an_incident_only_where_that_is_said() -> None:
    info = Alert("a1", "shop", "rpo", "", "firing", "info", NOON, "late")
    assert not OpeningRule("rpo").matches(info, lambda _: None)
    assert OpeningRule("rpo", "info").matches(info, lambda _: None)
    assert OpeningRule("rpo", "info", "s*", 2).key("shop") == (
        "alert: rpo, severity: info, plans: s*, tier: 2; plan shop"
    )


# --- on the timeline --------------------------------------------------------------------------

TAKEN = {
    "key": "k",
    "source": "guard",
    "title": "reads",
    "text": "",
    "content": "c",
    "started_at": None,
    "resolved": False,
    "severity_of_source": "",
    "plan_of_source": "",
}


class Taken(Chain):
    def say(self, kind: str, **body: Any) -> str:
        at = NOON + timedelta(minutes=len(self.entries))
        self.add(draft(kind, 1, Author("", at, ANNA), body))
        return timeline(fold(1, self.entries), self.entries)[-1].text


def test_a_repeated_alert_of_another_system_shows_only_what_is_new() -> None:
    made_ = Taken()
    opened = made_.say(kinds.OPEN, title="leak", intake="guard", rule="guard k")
    assert opened == "opened: leak; by an alert of guard"
    assert made_.say(kinds.INTAKE, **TAKEN) == "guard alert: reads"
    worse = {**TAKEN, "text": "more", "severity_of_source": "high", "plan_of_source": "shop"}
    assert (
        made_.say(kinds.INTAKE, **worse) == "guard says now: reads: more (severity high, plan shop)"
    )
    over = {**TAKEN, "text": "more", "resolved": True}
    assert made_.say(kinds.INTAKE, **over) == "guard is over: reads"
    assert made_.say(kinds.INTAKE, **TAKEN) == "guard alert again: reads"
    assert made_.say(kinds.INTAKE, **{**TAKEN, "key": "other"}) == "guard alert: reads"
    assert fold(1, made_.entries).acknowledged_at is None
    long = made_.say(kinds.INTAKE, **{**TAKEN, "text": "x" * 301})
    assert len(long) == len("guard says now: reads: ") + 300


@pytest.mark.parametrize(
    ("count", "text"),
    [
        ({"many": 1}, "1 alert of guard left out since 2026-11-28 12:00 UTC: 1 because many"),
        ({"b": 2, "a": 3},
         "5 alerts of guard left out since 2026-11-28 12:00 UTC: 3 because a; 2 because b"),
    ],
)  # fmt: skip
def test_left_out_alerts_are_counted_by_reason(count: dict[str, int], text: str) -> None:
    assert Taken().say(kinds.LEFT_OUT, source="guard", since=NOON, count=count) == text
