"""`reconcile()`: alerts that fire once, stay quiet when asked to, and end when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from drd.model.alerts import AT_ONCE, AlertChange, acknowledged, reconcile
from tests.alert_support import NOON, World, after, bad


def acknowledge(world: World, **until: float) -> None:
    end = after(**until) if until else None
    world.take(acknowledged(world.one, by="anna", until=end, why="disk ordered", now=NOON))


# --- coming and staying ---------------------------------------------------------------------


def test_a_new_condition_fires_once() -> None:
    world = World()
    assert world.look(NOON, bad()) == ["fired"]
    assert world.one.state == "firing"
    assert (world.one.since, world.one.told_at, world.one.remedy) == (NOON, NOON, "drd status")
    for minute in range(1, 60):
        assert world.look(after(minutes=minute), bad()) == []
    assert world.one.since == NOON


def test_plan_kind_and_subject_make_the_alert_and_nothing_else() -> None:
    world = World()
    world.look(NOON, bad(), bad(plan="billing"), bad(kind="disk"), bad(subject="offsite"))
    assert len(world.alerts) == 4
    assert world.look(after(minutes=1), bad(message="later still")) == []


def test_the_more_severe_of_two_conditions_counts() -> None:
    for both in ([bad(), bad(severity="critical")], [bad(severity="critical"), bad()]):
        world = World()
        assert world.look(NOON, *both) == ["fired"]
        assert world.one.severity == "critical"


def test_a_changed_text_sends_no_message() -> None:
    world = World()
    world.look(NOON, bad(message="1m late"))
    world.look(after(minutes=2), bad(message="3m late"))
    assert (world.one.text, world.one.seen_at) == ("3m late", after(minutes=2))


def test_a_new_cause_that_is_news_is_told_once_also_after_an_acknowledgement() -> None:
    world = World()
    recovered = replace(bad(message="recovered"), code="log-gap", news=after(seconds=50))
    world.look(NOON, bad(message="no base backup"))
    acknowledge(world)
    assert world.look(after(seconds=40), recovered) == [], "by the clock it is not yet"
    assert world.look(after(minutes=1), recovered) == ["changed"]
    assert (world.one.state, world.one.text) == ("firing", "recovered")
    assert (world.one.since, world.one.told_at) == (NOON, after(minutes=1))
    assert world.look(after(minutes=2), recovered) == []
    world.take(acknowledged(world.one, by="anna", until=None, why="", now=after(minutes=3)))
    assert world.look(after(minutes=4), replace(bad(), code="other")) == []
    assert world.look(after(minutes=5), recovered) == [], "it is the same cause as before"


def test_a_check_without_changes_writes_nothing() -> None:
    world = World()
    world.look(NOON, bad())
    assert world.transitions(after(seconds=30), bad(message="other")) == []


def test_without_a_limit_all_was_checked() -> None:
    world = World()
    world.look(NOON, bad())
    [gone] = reconcile((), [world.one], after(minutes=30), world.rules, new_id=str)
    assert gone.after.gone_at == after(minutes=30)


def test_an_alert_without_a_time_of_its_message_was_told_when_it_began() -> None:
    world = World()
    world.look(NOON, bad())
    world.alerts = {a.id: replace(a, told_at=None, seen_at=None) for a in world.alerts.values()}
    [kept] = world.transitions(after(seconds=1), bad())
    assert (kept.after.told_at, kept.after.seen_at) == (NOON, NOON)
    later = [t.change.value for t in world.transitions(after(hours=4), bad())]
    assert later == ["reminded"]


# --- going ----------------------------------------------------------------------------------


def test_an_alert_is_resolved_after_the_hold_time() -> None:
    world = World()
    world.look(NOON, bad())
    assert world.look(after(minutes=1)) == []
    assert world.look(after(minutes=5, seconds=59)) == []
    assert world.look(after(minutes=6)) == ["resolved"]
    [over] = world.resolved
    assert (over.state, over.gone_at, over.resolved_at) == (
        "resolved",
        after(minutes=1),
        after(minutes=6),
    )


def test_a_flapping_condition_is_reported_once() -> None:
    world = World()
    told = []
    for minute in range(60):
        told += world.look(after(minutes=minute), *([bad()] if minute % 5 == 0 else []))
    assert told == ["fired"]
    assert world.one.since == NOON


def test_a_new_daemon_checks_itself_that_a_condition_is_gone() -> None:
    world = World()
    world.look(NOON, bad())
    assert world.look(after(hours=3)) == [], "nobody looked for three hours"
    assert world.look(after(hours=3, minutes=1), bad()) == []


@pytest.mark.parametrize("kind", sorted(AT_ONCE))
def test_conditions_disproved_by_a_run_resolve_at_once(kind: str) -> None:
    world = World()
    world.look(NOON, bad(kind=kind))
    assert world.look(after(minutes=1)) == ["resolved"]


@pytest.mark.parametrize("kind", ["rpo", "drill-failed"])
def test_unchecked_conditions_are_not_resolved(kind: str) -> None:
    world = World()
    world.look(NOON, bad(kind=kind))
    for hour in range(1, 4):
        assert world.look(after(hours=hour), known=["disk"]) == []
    assert world.look(after(hours=4), known=["disk"]) == ["reminded"]
    world.look(after(hours=5))
    world.look(after(hours=6))
    assert not world.alerts


def test_an_unfinished_check_does_not_restart_the_hold_time() -> None:
    world = World()
    world.look(NOON, bad(kind="not-ready"))
    assert world.look(after(minutes=1)) == []
    assert world.look(after(minutes=3), known=["disk"]) == []
    assert world.look(after(minutes=6, seconds=1), known=["disk"]) == [], "nobody knows"
    assert world.look(after(minutes=6, seconds=2)) == ["resolved"]


# --- severity -------------------------------------------------------------------------------


def test_a_more_severe_condition_is_reported_at_once() -> None:
    world = World()
    world.look(NOON, bad())
    assert world.look(after(seconds=5), bad(severity="critical")) == ["escalated"]
    assert world.one.since == NOON


def test_severity_falls_silently_after_the_hold_time() -> None:
    world = World()
    world.look(NOON, bad(severity="critical"))
    assert world.look(after(minutes=3), bad()) == []
    severities = [world.one.severity]
    assert world.look(after(minutes=7), bad()) == []
    assert [*severities, world.one.severity] == ["critical", "warning"]


def test_a_fallen_severity_waits_for_hold_and_refresh_since_it_was_seen() -> None:
    world = World()
    world.look(NOON, bad(severity="critical"))
    rules = world.rules
    world.look(NOON + timedelta(seconds=rules.hold_s + rules.refresh_s - 1), bad())
    assert world.one.severity == "critical"
    world.look(NOON + timedelta(seconds=rules.hold_s + rules.refresh_s), bad())
    assert world.one.severity == "warning"


def test_another_problem_that_is_less_severe_is_shown_at_once_with_the_severity_kept() -> None:
    world = World()
    world.look(NOON, replace(bad(severity="critical", message="no base"), remedy="drd runs shop"))
    unreachable = replace(bad(message="no route"), remedy="drd doctor shop")
    assert world.look(after(seconds=30), unreachable) == []
    assert (world.one.text, world.one.remedy) == ("no route", "drd doctor shop")
    assert (world.one.severity, world.one.seen_at) == ("critical", NOON)
    end = NOON + timedelta(seconds=world.rules.hold_s + world.rules.refresh_s)
    world.look(end, unreachable)
    assert world.one.severity == "warning"


def test_flapping_between_severities_is_reported_once() -> None:
    world = World()
    told = []
    for minute in range(59):
        severity = "critical" if minute % 4 == 0 else "warning"
        told += world.look(after(minutes=minute), bad(severity=severity))  # type: ignore[arg-type]
    assert told == ["fired"]


# --- acknowledged ---------------------------------------------------------------------------


def test_acknowledged_is_silent_until_its_time_is_over() -> None:
    world = World()
    world.look(NOON, bad())
    acknowledge(world, hours=8)
    for minute in range(1, 480):
        assert world.look(after(minutes=minute), bad()) == []
    assert world.look(after(hours=8), bad()) == ["expired"]
    assert (world.one.state, world.one.acknowledged_by) == ("firing", "anna")
    assert world.look(after(hours=12), bad()) == ["reminded"]


def test_acknowledged_without_a_time_is_silent_until_it_is_resolved() -> None:
    world = World()
    world.look(NOON, bad())
    acknowledge(world)
    for day in range(1, 30):
        assert world.look(after(days=day), bad()) == []
    world.look(after(days=30))
    assert world.look(after(days=30, minutes=5)) == ["resolved"]
    assert world.resolved[0].acknowledged_why == "disk ordered"


def test_escalation_ends_an_acknowledgement() -> None:
    world = World()
    world.look(NOON, bad())
    acknowledge(world, hours=8)
    assert world.look(after(hours=1), bad(severity="critical")) == ["escalated"]
    assert world.one.state == "firing"
    assert world.look(after(hours=2), bad(severity="critical")) == ["reminded"]


def test_an_acknowledgement_that_runs_out_while_it_is_gone_fires_nothing() -> None:
    world = World()
    world.look(NOON, bad())
    acknowledge(world, minutes=10)
    world.look(after(minutes=8))
    assert world.look(after(minutes=12)) == []
    assert world.look(after(minutes=13)) == ["resolved"]


def test_a_condition_back_within_the_hold_time_stays_acknowledged() -> None:
    world = World()
    world.look(NOON, bad())
    acknowledge(world, hours=1)
    world.look(after(minutes=5))
    assert world.look(after(minutes=8), bad()) == []
    assert world.one.state == "acknowledged"
    assert world.one.gone_at is None


# --- reminders ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "hours"), [("critical", list(range(1, 13))), ("warning", [4, 8, 12]), ("info", [])]
)
def test_unacknowledged_alerts_are_repeated(severity: str, hours: list[int]) -> None:
    world = World()
    condition = bad(severity=severity)  # type: ignore[arg-type]
    world.look(NOON, condition)
    told = [
        minute
        for minute in range(1, 12 * 60 + 1)
        if world.look(after(minutes=minute), condition) == ["reminded"]
    ]
    assert told == [hour * 60 for hour in hours]


def test_no_reminder_for_a_gone_condition() -> None:
    world = World()
    world.look(NOON, bad())
    assert world.look(after(hours=3, minutes=58)) == []
    assert world.look(after(hours=4, minutes=1)) == []


# --- clocks ---------------------------------------------------------------------------------


def test_a_clock_set_back_neither_resolves_nor_floods() -> None:
    world = World()
    world.look(NOON, bad(), bad(kind="disk"))
    world.look(after(minutes=1), bad())
    told = [world.look(after(days=-365, minutes=m), bad()) for m in range(5)]
    assert [t for t in told if t] == []
    assert len(world.alerts) == 2
    assert world.look(after(days=-365, minutes=5), bad()) == ["resolved"], "the disk's, 5m later"


def test_reminders_go_on_after_a_clock_was_set_back() -> None:
    world = World()
    world.look(NOON, bad())
    world.look(after(days=-30), bad())
    assert world.look(after(days=-30, hours=3, minutes=59), bad()) == []
    assert world.look(after(days=-30, hours=4), bad()) == ["reminded"]


def test_a_clock_jump_ahead_sends_one_message() -> None:
    world = World()
    world.look(NOON, bad())
    assert world.look(after(days=3650), bad()) == ["reminded"]
    assert world.look(after(days=3650, seconds=30), bad()) == []


# --- what channels can ask for --------------------------------------------------------------


def test_every_change_is_an_event_or_silent() -> None:
    assert {change: change.event for change in AlertChange} == {
        AlertChange.FIRED: "firing",
        AlertChange.ESCALATED: "firing",
        AlertChange.CHANGED: "firing",
        AlertChange.EXPIRED: "firing",
        AlertChange.REMINDED: "firing",
        AlertChange.ACKNOWLEDGED: "acknowledged",
        AlertChange.RESOLVED: "resolved",
        AlertChange.KEPT: None,
    }


def test_transitions_come_in_the_same_order_whatever_the_order_of_conditions() -> None:
    conditions = [bad(plan=p, kind=k) for p in ("b", "a", "") for k in ("rpo", "disk")]
    assert [t.after.key for t in World().transitions(NOON, *conditions)] == sorted(
        c.key for c in conditions
    )


def test_an_alert_of_an_older_drd_without_times_lives_on() -> None:
    world = World()
    world.look(NOON - timedelta(days=1), bad())
    world.alerts = {"a1": replace(world.one, seen_at=None, told_at=None)}
    assert world.look(NOON, bad()) == ["reminded"]
    assert world.one.seen_at == NOON
