"""Verdicts: every case by name, with values on each side of every boundary."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from drd.model.compliance import assess
from drd.model.facts import (
    ComponentFacts,
    CopyFacts,
    FindingFacts,
    NotLoaded,
    PausedFacts,
    PlanFacts,
    RunningFacts,
)
from drd.model.package_versions import other_packages
from drd.model.verdicts import Assessment, PlanState, Readiness, Verdict, exit_code, worst
from tests.status_support import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    ago,
    alert,
    drill,
    failures,
    healthy,
    incomplete,
    point,
    scenario,
)

MET, AT_RISK, UNKNOWN, BREACHED = (
    Verdict.MET,
    Verdict.AT_RISK,
    Verdict.UNKNOWN,
    Verdict.BREACHED,
)


def judged(**changes: object) -> Assessment:
    return assess(healthy(**changes), NOW)


def words(assessment: Assessment) -> str:
    return "\n".join(str(r) for r in assessment.reasons)


def test_healthy_plan_is_met_ready_and_needs_no_word() -> None:
    plan = judged()
    assert plan.verdict is MET
    assert plan.readiness is Readiness.READY
    assert (plan.rpo.verdict, plan.rto.verdict, plan.drill.verdict) == (MET, MET, MET)
    assert plan.rpo.exposure_s == 252
    assert plan.rpo.achievable_s == 320
    assert plan.rpo.attainment == 1.0
    assert plan.rto.actual_s == plan.rto.projected_s == 94
    assert plan.drill.due_at == ago(-5 * DAY)
    assert plan.reasons == ()


@pytest.mark.parametrize(
    ("exposure_s", "verdict"),
    [
        (0.0, MET),
        (12 * MINUTE, MET),
        (12 * MINUTE + 1e-6, AT_RISK),
        (15 * MINUTE, AT_RISK),
        (15 * MINUTE + 1e-6, BREACHED),
        (400 * DAY, BREACHED),
    ],
)
def test_exposure_beyond_the_rpo_is_a_breach(exposure_s: float, verdict: Verdict) -> None:
    plan = judged(newest=point(exposure_s))
    assert plan.rpo.exposure_s == pytest.approx(exposure_s)
    assert plan.rpo.verdict is verdict
    assert plan.verdict is verdict


@pytest.mark.parametrize(
    ("interval_s", "p95_s", "achievable_s", "verdict"),
    [
        (5 * MINUTE, 7 * MINUTE, 12 * MINUTE, MET),
        (5 * MINUTE, 7 * MINUTE + 1, 12 * MINUTE + 1, AT_RISK),
        (15 * MINUTE, 20 * MINUTE, 35 * MINUTE, AT_RISK),
        (12 * MINUTE, None, 12 * MINUTE, MET),
        (13 * MINUTE, None, 13 * MINUTE, AT_RISK),
        (None, 20 * MINUTE, None, MET),
    ],
)
def test_an_rpo_that_the_schedule_cannot_keep_is_at_risk(
    interval_s: float | None, p95_s: float | None, achievable_s: float | None, verdict: Verdict
) -> None:
    plan = judged(interval_s=interval_s, backup_p95_s=p95_s)
    assert plan.rpo.achievable_s == achievable_s
    assert plan.rpo.verdict is verdict


def test_schedule_beyond_the_rpo_is_explained() -> None:
    plan = judged(rpo_s=HOUR, interval_s=30 * MINUTE, backup_p95_s=22 * MINUTE)
    assert (
        "most backups take up to 22m, and a backup starts every 30m: up to 52m of data can be "
        "lost, but the RPO is 1h"
    ) in words(plan)


@pytest.mark.parametrize(
    ("loaded_s", "verdict"), [(0.0, UNKNOWN), (15 * MINUTE, UNKNOWN), (15 * MINUTE + 1, BREACHED)]
)
def test_no_points_yet_is_unknown_and_after_the_rpo_breached(
    loaded_s: float, verdict: Verdict
) -> None:
    plan = judged(newest=None, complete_points=0, first_loaded_at=ago(loaded_s))
    assert plan.rpo.exposure_s is None
    assert plan.rpo.verdict is verdict
    assert plan.readiness is Readiness.NOT_READY, "drilled once, but nothing to go back to"
    assert "no restore point yet: nothing can be restored: drd backup orders-api" in words(plan)


def test_incomplete_points_only_do_not_count() -> None:
    plan = judged(
        newest=None,
        first_loaded_at=ago(HOUR),
        incomplete=incomplete(("sessions", "redis is gone\nmore")),
    )
    assert plan.rpo.exposure_s is None
    assert plan.rpo.verdict is BREACHED
    assert "no complete restore point. Cause: the newest restore point 9b0d is incomplete" in words(
        plan
    )
    assert "sessions: redis is gone: drd points" in words(plan)


def test_incomplete_point_after_a_complete_one_leaves_the_exposure_alone() -> None:
    plan = judged(incomplete=incomplete())
    assert plan.rpo.exposure_s == 252
    assert plan.rpo.verdict is MET
    assert "the newest restore point 9b0d is incomplete: sessions: redis is gone" in words(plan)


def test_breach_names_the_failures_since() -> None:
    plan = judged(newest=point(3 * HOUR + 2 * MINUTE), failures=failures())
    assert plan.reasons[0].text == (
        "RPO exceeded: the newest complete backup has data of 2026-11-24 21:29:00 UTC (RPO "
        "15m). Cause: pg_dump cannot connect (11 tries, last at 2026-11-25 00:27:00 UTC)"
    )
    assert plan.reasons[0].remedy == "drd run show 4f2a"


def test_breach_without_a_try_says_what_to_run() -> None:
    plan = judged(newest=point(3 * HOUR))
    assert str(plan.reasons[0]) == (
        "RPO exceeded: the newest complete backup has data of 2026-11-24 21:31:00 UTC (RPO "
        "15m); drd has recorded no later backup run: drd backup orders-api"
    )


@pytest.mark.parametrize(
    ("since_s", "words"),
    [
        (90, "a backup has been running since 2026-11-25 00:29:30 UTC"),
        (HOUR, "a backup has been running since 2026-11-24 23:31:00 UTC"),
        (HOUR + 60, "a backup began at 2026-11-24 23:30:00 UTC and never ended"),
    ],
)
def test_breach_while_a_backup_runs_shows_the_run(since_s: float, words: str) -> None:
    """Longer than its timeout (1h here) it cannot run: its process was killed."""
    plan = judged(newest=point(3 * HOUR), running=RunningFacts("b001", "backup", ago(since_s)))
    assert plan.rpo.verdict is BREACHED, "a running backup is no backup yet"
    assert str(plan.reasons[0]).endswith(f"{words}: drd run show b001")


def test_the_first_backup_that_runs_is_named() -> None:
    plan = judged(newest=None, running=RunningFacts("b001", "backup", ago(90)))
    told = str(plan.reasons[0])
    assert "nothing can be restored; a backup has been running since" in told
    assert told.endswith(": drd run show b001"), "and not the command that starts another one"


def test_other_runs_do_not_explain_a_breach() -> None:
    plan = judged(newest=point(3 * HOUR), running=RunningFacts("b001", "drill", ago(90)))
    assert "drd has recorded no later backup run" in words(plan)


@pytest.mark.parametrize(
    ("newest", "exposure_s", "verdict"),
    [
        (point(-5), 0.0, MET),
        (point(-5.001), None, UNKNOWN),
        (point(-2 * HOUR), None, UNKNOWN),
        (point(60, took_s=3600), None, UNKNOWN),
        (point(60, took_s=60), 60.0, MET),
    ],
    ids=["within tolerance", "just beyond", "far beyond", "stored in the future", "stored now"],
)
def test_clock_set_back_makes_exposure_unknown_and_never_negative(
    newest: object, exposure_s: float | None, verdict: Verdict
) -> None:
    plan = judged(newest=newest)
    assert plan.rpo.exposure_s == exposure_s
    assert plan.rpo.verdict is verdict
    assert ("a clock was set back" in words(plan)) is (verdict is UNKNOWN)


def test_component_new_in_the_plan_and_never_backed_up_is_unknown() -> None:
    new = ComponentFacts("sessions", "sqlite")
    plan = judged(components=(*healthy().components, new))
    assert plan.rpo.verdict is UNKNOWN
    assert "drd has never backed up sessions: drd backup orders-api" in words(plan)
    assert [c.verdict for c in plan.components] == [MET, UNKNOWN]


@pytest.mark.parametrize(
    ("data_s", "error", "verdict"),
    [
        (60, None, MET),
        (60, "gone", AT_RISK),
        (14 * MINUTE, None, AT_RISK),
        (16 * MINUTE, None, BREACHED),
        (16 * MINUTE, "gone", BREACHED),
        (-60, None, UNKNOWN),
    ],
)
def test_each_component_is_judged_by_itself(
    data_s: float, error: str | None, verdict: Verdict
) -> None:
    component = ComponentFacts("db", "postgres", ago(data_s), 5, error)
    assert judged(components=(component,)).components[0].verdict is verdict


def test_objective_missed_between_backups_is_reported_and_verdict_is_current() -> None:
    crossed = ((ago(2 * HOUR), ago(HOUR)),)
    plan = judged(missed=crossed, window_s=DAY)
    assert plan.rpo.verdict is MET
    assert plan.rpo.attainment == pytest.approx(23 / 24)
    assert (
        "the RPO was exceeded for 1h, until 2026-11-24 23:31:00 UTC: drd runs orders-api"
        in words(plan)
    )


@pytest.mark.parametrize(
    ("interval", "told"),
    [
        ((ago(DAY + 60), ago(DAY - 1)), True),
        ((ago(DAY + 60), ago(DAY)), False),
        ((ago(30 * DAY), ago(HOUR)), False),
    ],
    ids=["within a day", "a day ago", "waiting for the very first point"],
)
def test_only_recent_misses_are_shown(interval: tuple[object, object], told: bool) -> None:
    plan = judged(missed=(interval,))
    assert ("the RPO was exceeded" in words(plan)) is told
    assert plan.rpo.attainment is not None
    assert plan.rpo.attainment < 1


@pytest.mark.parametrize(("end", "told"), [(NOW, True), (ago(-1), False)])
def test_only_a_miss_that_has_ended_is_shown(end: datetime, told: bool) -> None:
    assert ("the RPO was exceeded" in words(judged(missed=((ago(60), end),)))) is told


def test_never_drilled_is_unknown_not_met() -> None:
    plan = judged(last_drill=None, last_passed_drill=None)
    assert plan.drill.verdict is UNKNOWN
    assert plan.rto.verdict is UNKNOWN
    assert plan.verdict is UNKNOWN
    assert plan.readiness is Readiness.NEEDS_DRILL
    assert plan.drill.due_at == ago(30 * DAY)
    assert (plan.drill.last_at, plan.drill.result) == (None, None)
    assert str(plan.reasons[0]) == (
        "never drilled, so nobody knows whether the data can be restored: drd drill orders-api"
    )


def test_failed_drill_is_breached_although_an_older_one_passed() -> None:
    plan = judged(last_drill=drill("failed", since_s=HOUR, reason="row counts: 2 tables differ"))
    assert plan.drill.verdict is BREACHED
    assert plan.readiness is Readiness.NOT_READY
    assert plan.rto.verdict is MET, "the time is that of the drill that passed"
    assert str(plan.reasons[0]) == (
        "the last drill failed at 2026-11-24 23:31:00 UTC: row counts: 2 tables differ: drd "
        "run show d14a"
    )


def test_inconclusive_drill_is_unknown() -> None:
    plan = judged(
        last_drill=drill("inconclusive", since_s=HOUR, reason="no server binary\ninitdb: not found")
    )
    assert plan.drill.verdict is UNKNOWN
    assert plan.readiness is Readiness.NEEDS_DRILL
    assert (
        "the last drill was inconclusive at 2026-11-24 23:31:00 UTC. The reason at that "
        "time: no server binary: drd drill"
    ) in words(plan)


@pytest.mark.parametrize(
    ("p95_s", "achievable_s", "verdict"),
    [
        (None, 675.0, Verdict.MET),
        (20.0, 675.0, Verdict.MET),
        (330.0, 675.0, Verdict.MET),
        (400.0, 800.0, Verdict.AT_RISK),
    ],
)
def test_schedule_by_the_rpo_keeps_it_until_backups_take_half_of_it(
    p95_s: float | None, achievable_s: float, verdict: Verdict
) -> None:
    plan = judged(interval_s=675.0, cron="auto", backup_p95_s=p95_s)
    assert plan.rpo.achievable_s == achievable_s
    assert plan.rpo.verdict == verdict


def test_backups_that_take_half_of_the_rpo_are_a_reason() -> None:
    plan = judged(interval_s=675.0, cron="auto", backup_p95_s=400.0)
    assert (
        "most backups take up to 6m 40s, and a backup starts when the previous backup has ended: "
        "up to 13m 20s of data can be lost, but the RPO is 15m"
    ) in [reason.text for reason in plan.reasons]


@pytest.mark.parametrize(
    ("every_s", "since_s", "verdict"),
    [
        (7 * DAY, 7.7 * DAY, MET),
        (7 * DAY, 7.7 * DAY + 1, AT_RISK),
        (2 * HOUR, 3 * HOUR, MET),
        (2 * HOUR, 3 * HOUR + 1, AT_RISK),
        (10 * HOUR, 11 * HOUR, MET),
        (10 * HOUR, 11 * HOUR + 1, AT_RISK),
        (None, 89 * DAY, MET),
    ],
)
def test_drill_is_overdue_by_an_hour_or_a_tenth(
    every_s: float | None, since_s: float, verdict: Verdict
) -> None:
    last = drill(since_s=since_s)
    plan = judged(drill_every_s=every_s, last_drill=last, last_passed_drill=last)
    assert plan.drill.verdict is verdict
    assert (plan.readiness is Readiness.READY) is (verdict is MET)
    assert ("drill is overdue" in words(plan)) is (verdict is AT_RISK)


def test_drill_without_a_schedule_is_never_due() -> None:
    assert judged(drill_every_s=None).drill.due_at is None


def test_plan_changed_since_its_drill_needs_another() -> None:
    plan = judged(digest="digest-2")
    assert plan.drill.verdict is AT_RISK
    assert plan.readiness is Readiness.NEEDS_DRILL
    assert "the plan changed since its last drill: drd drill orders-api" in words(plan)


def test_a_drill_with_another_version_of_a_package_names_both() -> None:
    packages = other_packages(
        {"extension drd-notes": "1.2.0", "extension drd-other": "3.0", "restic": "0.18.0"},
        {"drd-notes": "2", "drd-other": "3", "drd-added": "1"},
    )
    plan = judged(digest="digest-2", scenarios=(scenario()._replace(packages=packages),))
    assert plan.readiness is Readiness.NEEDS_DRILL
    words_of_it = "the last drill used package drd-notes 1.2.0, which is version 2 now"
    assert f"{words_of_it}: drd drill orders-api" in words(plan)
    assert "plan changed" not in words(plan)
    same = judged(scenarios=(scenario()._replace(packages=packages),))
    assert "drd-notes" not in words(same)


def test_drill_dated_in_the_future_is_not_believed() -> None:
    last = drill(since_s=-HOUR)
    plan = judged(last_drill=last, last_passed_drill=last)
    assert plan.drill.verdict is UNKNOWN
    assert plan.readiness is Readiness.NEEDS_DRILL
    assert "the last drill is dated 2026-11-25 01:31:00 UTC, which is in the future" in words(plan)


@pytest.mark.parametrize(
    ("rta_s", "grown", "projected_s", "verdict"),
    [
        (30 * MINUTE, 1.0, 30 * MINUTE, MET),
        (30 * MINUTE + 1, 1.0, 30 * MINUTE + 1, BREACHED),
        (20 * MINUTE, 1.5, 30 * MINUTE, MET),
        (20 * MINUTE, 1.6, 32 * MINUTE, AT_RISK),
        (20 * MINUTE, 0.1, 20 * MINUTE, MET),
        (0.5, 1.0, 0.5, MET),
    ],
)
def test_time_to_come_back_against_the_rto(
    rta_s: float, grown: float, projected_s: float, verdict: Verdict
) -> None:
    restored = 10 << 30
    last = drill(rta_s=rta_s, restored_bytes=restored)
    newest = point(60, size=round(restored * grown))
    plan = judged(last_drill=last, last_passed_drill=last, newest=newest)
    assert plan.rto.actual_s == rta_s
    assert plan.rto.projected_s == pytest.approx(projected_s)
    assert plan.rto.verdict is verdict


@pytest.mark.parametrize(("size", "factor"), [(1 << 20, 1.0), (64 << 20, 1.0), (640 << 20, 10.0)])
def test_a_tiny_restore_is_not_projected(size: int, factor: float) -> None:
    last = drill(rta_s=2.0, restored_bytes=6)
    plan = judged(last_drill=last, last_passed_drill=last, newest=point(60, size=size))
    assert plan.rto.projected_s == pytest.approx(2.0 * factor)


def test_growth_of_nothing_is_not_projected() -> None:
    last = drill(restored_bytes=0)
    plan = judged(last_drill=last, last_passed_drill=last)
    assert plan.rto.projected_s == plan.rto.actual_s == 94


def test_passed_drill_that_measured_no_time_leaves_the_rto_unknown() -> None:
    last = drill(rta_s=None)
    plan = judged(last_drill=last, last_passed_drill=last)
    assert plan.rto.verdict is UNKNOWN
    assert "the last passed drill did not measure how long the recovery took" in words(plan)


def test_plan_never_loaded_is_unknown_with_the_reason() -> None:
    stranger = NotLoaded("billing", "/etc/drd/plans/billing.yaml", command="drd backup billing")
    plan = assess(stranger, NOW)
    assert plan.verdict is UNKNOWN
    assert plan.readiness is Readiness.NEEDS_DRILL
    assert {plan.rpo.verdict, plan.rto.verdict, plan.drill.verdict} == {UNKNOWN}
    assert str(plan.reasons[0]) == "not loaded: drd backup billing"


def test_plan_that_broke_since_keeps_its_figures_and_is_at_risk() -> None:
    broken = judged(load_error="billing.yaml:3: unknown key", file="/p/billing.yaml")
    before = judged()
    assert broken.readiness is Readiness.READY, "what is in force was drilled"
    assert (broken.verdict, broken.state) == (AT_RISK, PlanState.AT_RISK)
    assert (broken.rpo, broken.rto) == (before.rpo, before.rto)
    assert str(broken.reasons[0]) == (
        "drd refused the plan file (billing.yaml:3: unknown key): drd still uses the plan that "
        "it loaded at 2026-11-24 00:31 UTC: drd plan check /p/billing.yaml"
    )


def test_broken_plan_does_not_hide_a_failed_or_missing_drill() -> None:
    assert judged(load_error="x", last_drill=drill("failed")).readiness is Readiness.NOT_READY
    never = judged(load_error="x", last_drill=None, last_passed_drill=None)
    assert never.drill.verdict is UNKNOWN


def test_gravest_reason_comes_first() -> None:
    plan = judged(newest=point(60), failures=failures(2), digest="other", rto_s=1.0)
    verdicts = [r.verdict for r in plan.reasons]
    assert verdicts == [BREACHED, AT_RISK, MET]
    assert plan.reasons[0].text == (
        "the recovery in the last passed drill took 1m 34s, but the RTO is 1s"
    )


def test_alerts_do_not_change_the_verdict() -> None:
    plan = judged(alerts=(alert(),))
    assert plan.alerts == (alert(),)
    assert plan.verdict is MET


@pytest.mark.parametrize(("data_s", "stands"), [(24 * MINUTE, False), (24 * MINUTE + 1, True)])
def test_an_alert_about_a_copy_stands_while_the_copy_is_behind(data_s: float, stands: bool) -> None:
    behind = alert(kind="copy-behind", subject="offsite")
    copy = CopyFacts("offsite", "primary", ago(data_s))
    assert judged(copies=(copy,), alerts=(behind,)).alerts == ((behind,) if stands else ())


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), UNKNOWN),
        ((MET,), MET),
        ((MET, AT_RISK), AT_RISK),
        ((UNKNOWN, AT_RISK, MET), UNKNOWN),
        ((UNKNOWN, BREACHED, MET), BREACHED),
    ],
)
def test_the_worst_verdict_counts(verdicts: tuple[Verdict, ...], expected: Verdict) -> None:
    assert worst(verdicts) is expected


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("ok", 0),
        ("at risk", 0),
        ("needs drill", 0),
        ("not ready", 3),
        ("unknown", 3),
        ("breached", 3),
    ],
)
def test_breached_unknown_and_not_ready_exit_with_3_and_others_with_0(
    state: str, code: int
) -> None:
    assert exit_code(PlanState(state)) == code


def test_figures_age_with_time() -> None:
    """The same facts, read later: nothing has to be written for a verdict to change."""
    facts: PlanFacts = healthy()
    later = assess(facts, NOW + timedelta(hours=1))
    assert later.rpo.exposure_s == 252 + HOUR
    assert later.rpo.verdict is BREACHED
    assert later.rpo.attainment is not None
    assert later.rpo.attainment < 1


def test_retention_that_waits_is_a_reason_with_its_command_and_changes_no_verdict() -> None:
    paused = PausedFacts(ago(HOUR), (FindingFacts("clock", "", "the clock jumped", ""),))
    found = assess(healthy(paused=paused), NOW)
    assert found.verdict is Verdict.MET
    assert [(r.text, r.remedy) for r in found.reasons] == [
        ("retention is paused: the clock jumped", "drd retention orders-api")
    ]


def test_a_drill_that_failed_proves_no_recovery_time() -> None:
    failed = scenario(last=drill("failed"), passed=None)
    found = assess(healthy(scenarios=(failed,)), NOW)
    assert (found.rto.actual_s, found.rto.projected_s) == (None, None)
