"""What is bad about a plan, its repositories and the host, and how bad it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from drd.errors import (
    RepositoryRefused,
    RepositorySecretUnavailable,
    RepositoryUnreachable,
    WrongKey,
)
from drd.model.alert_facts import (
    ChannelState,
    DiskFacts,
    GoneSecret,
    HostFacts,
    JobFacts,
    LaterCredential,
    PackageTrouble,
    PlanMore,
    VerificationFacts,
)
from drd.model.alerts import AT_ONCE, Condition
from drd.model.cause import STOPPED
from drd.model.compliance import assess, standing_pauses
from drd.model.conditions import (
    blind,
    conditions,
    exposed_file,
    is_late,
    stored_text_differs,
)
from drd.model.copy_exposure import judge_copy
from drd.model.drd_facts import records_damage, records_faults
from drd.model.drill_facts import ScenarioFacts
from drd.model.facts import (
    ComponentFacts,
    CopyFacts,
    FindingFacts,
    NotLoaded,
    PausedFacts,
    PlanFacts,
    UnfinishedFacts,
    UnreadyFacts,
)
from drd.model.finding import Finding
from drd.model.host_conditions import AT_THE_HOST, has_just_come_back, host_conditions
from drd.model.job_history import JobHistory
from drd.model.message import Urgency
from drd.model.verdicts import Verdict
from tests.alert_support import World, after
from tests.status_support import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    ago,
    drill,
    failures,
    healthy,
    incomplete,
    point,
    repository,
)

Found = list[tuple[str, Urgency]]


def ran(kind: str, **known: Any) -> JobHistory:
    """The runs of a kind about the repository primary."""
    return JobHistory(kind=kind, subject="primary", **known)


def of_plan(facts: PlanFacts | NotLoaded, more: PlanMore | None = None) -> Found:
    found = conditions(assess(facts, NOW), facts, more or PlanMore(), NOW)
    assert all(c.plan == facts.plan and None not in c.runs for c in found)
    return sorted((c.kind, c.severity) for c in found)


def words(facts: PlanFacts, more: PlanMore | None = None) -> list[str]:
    found = conditions(assess(facts, NOW), facts, more or PlanMore(), NOW)
    return [f"{c.kind} {c.subject}: {c.text} > {c.remedy}" for c in found]


def of_host(rpos: Any = (("orders-api", 900.0),), **host: Any) -> Found:
    return [(c.kind, c.severity) for c in host_conditions(HostFacts(**host), rpos, NOW)]


def test_changed_records_are_an_alert_until_a_check_finds_nothing() -> None:
    noted = {"here": records_faults([(7, "body")])}
    assert of_host(records_damage=records_damage(noted)) == [("records-changed", "critical")]
    assert of_host(records_damage=records_damage({"here": records_faults([])})) == []
    same = records_damage({"anchors": records_faults([(35, "rewritten")] * 5)})
    assert same == "the last check of the records found 1 fault: entry 35 (rewritten)"
    rowless = records_damage({"here": records_faults([(0, "incident")])})
    assert rowless.endswith("found 1 fault: no entry (incident)")


# --- objectives -----------------------------------------------------------------------------


def test_nothing_is_bad_about_a_healthy_plan() -> None:
    assert of_plan(healthy()) == []


def test_a_plan_near_its_rpo_warns() -> None:
    assert of_plan(healthy(newest=point(12 * MINUTE))) == []
    assert of_plan(healthy(newest=point(13 * MINUTE))) == [("rpo", "warning")]
    assert of_plan(healthy(newest=point(16 * MINUTE))) == [("rpo", "critical")]


def test_a_schedule_that_uses_up_the_rpo_is_one_alert_and_not_one_a_round() -> None:
    def tight(exposure_s: float) -> list[tuple[str, str]]:
        newest = point(exposure_s)
        return of_plan(healthy(interval_s=14 * MINUTE, backup_p95_s=30.0, newest=newest))

    for exposure_s in (5 * MINUTE, 13 * MINUTE, 14.4 * MINUTE):
        assert tight(exposure_s) == [("schedule-too-slow", "info")]
    assert tight(14.5 * MINUTE) == [("schedule-too-slow", "info")]  # as far as it can reach
    assert tight(14.8 * MINUTE) == [("rpo", "warning"), ("schedule-too-slow", "info")]
    assert ("rpo", "critical") in tight(16 * MINUTE)
    slow = healthy(interval_s=20 * MINUTE)
    assert of_plan(slow) == [("schedule-too-slow", "warning")]
    assert of_plan(healthy(interval_s=15 * MINUTE - 20)) == [("schedule-too-slow", "info")]
    assert of_plan(healthy(interval_s=15 * MINUTE - 19)) == [("schedule-too-slow", "warning")]
    by_hand = healthy(interval_s=None, newest=point(13 * MINUTE))
    assert of_plan(by_hand) == [("rpo", "warning")], "nobody knows how far it can reach"


def test_a_missing_first_point_escalates_after_its_time() -> None:
    new = healthy(newest=None, first_loaded_at=ago(MINUTE))
    assert of_plan(new) == [("no-point", "info")]
    assert of_plan(healthy(newest=None)) == [("no-point", "critical")]


def test_a_point_from_the_future_raises_an_alert() -> None:
    assert of_plan(healthy(newest=point(-HOUR))) == [("rpo", "warning")]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"last_drill": drill("failed")}, ("drill-failed", "critical")),
        ({"last_drill": drill("inconclusive")}, ("drill-inconclusive", "warning")),
        ({"last_drill": drill(since_s=8 * DAY)}, ("drill-overdue", "warning")),
        ({"digest": "digest-2"}, ("plan-changed", "info")),
        ({"load_error": "orders.yaml:3: broken"}, ("plan-not-loaded", "warning")),
    ],
)
def test_problems_of_drills_and_plan_files_raise_alerts(
    changes: dict[str, Any], found: tuple[str, Urgency]
) -> None:
    assert of_plan(healthy(**changes)) == [found]


def test_never_drilled_waits_a_day_for_the_first_drill_of_a_schedule() -> None:
    never = healthy(last_drill=None, last_passed_drill=None, first_loaded_at=ago(HOUR))
    assert of_plan(never) == [("never-drilled", "info")]
    assert of_plan(never._replace(drill_every_s=None)) == [("never-drilled", "warning")]
    for loaded_s, severity in ((DAY + 15 * MINUTE, "info"), (DAY + 15 * MINUTE + 1, "warning")):
        late = never._replace(first_loaded_at=ago(loaded_s))
        assert of_plan(late) == [("never-drilled", severity)]


def test_a_recovery_time_that_is_broken_is_critical() -> None:
    slow = drill(rta_s=HOUR)
    found = of_plan(healthy(last_drill=slow, last_passed_drill=slow))
    assert found == [("rto", "critical")]


def test_retention_that_waits_is_reported_by_one_alert_each() -> None:
    """Not by each run: the alert lasts as long as what it waits for."""
    since = ago(HOUR)
    clock = FindingFacts("clock", "", "this host's clock was set", "check it")
    told = FindingFacts("damage", "primary", "primary is damaged", "mend it")
    for pauses, severity in (((clock,), "warning"), ((clock, told), "warning"), ((told,), "info")):
        facts = healthy(paused=PausedFacts(since, pauses))
        found = conditions(assess(facts, NOW), facts, PlanMore(), NOW)
        assert [(c.kind, c.subject, c.severity) for c in found] == [
            ("retention-paused", "", severity)
        ]
        assert found[0].text == "retention is paused: " + "; ".join(p.text for p in pauses)
        remedies = [*(p.remedy for p in pauses), "drd retention orders-api"]
        assert found[0].remedy.splitlines() == remedies
    late = FindingFacts("rpo", "", "the point is 3h old", "drd backup orders-api")
    assert of_plan(healthy(paused=PausedFacts(since, (late,)))) == [], "it is over"
    paused = PausedFacts(since, (late, late._replace(code="no-point"), clock))
    for newest, codes in (
        (point(15 * MINUTE), ["clock"]),
        (point(15 * MINUTE + 1), ["rpo", "clock"]),
        (None, ["rpo", "no-point", "clock"]),
    ):
        standing = standing_pauses(healthy(paused=paused, newest=newest), NOW)
        assert [pause.code for pause in standing] == codes
    assert of_plan(healthy(waiting=4)) == [("retention-over-limit", "warning")]
    assert of_plan(healthy()) == []


def test_each_recovery_that_was_not_finished_has_an_alert_of_its_own() -> None:
    """The second one is told at once, with its own time, although the first is hardly over."""

    def stopped(run: str) -> list[tuple[str, str, str]]:
        left = UnfinishedFacts(run, ago(MINUTE), "cancelled", ("db",), ("conf",))
        found = conditions(assess(healthy(unfinished=left), NOW), healthy(), PlanMore(), NOW)
        return [(c.kind, c.severity, c.subject) for c in found]

    assert stopped("a1") == [("recovery-unfinished", "critical", "a1")]
    assert stopped("b2") == [("recovery-unfinished", "critical", "b2")]


def test_a_plan_file_that_was_never_loaded_fires() -> None:
    assert of_plan(NotLoaded("new", "/p/new.yaml", "not loaded: broken")) == [
        ("plan-not-loaded", "warning")
    ]


@pytest.mark.parametrize(
    "code", [WrongKey.code, RepositorySecretUnavailable.code, RepositoryUnreachable.code]
)
def test_a_run_that_failed_by_its_repository_is_not_news_when_that_works_again(code: str) -> None:
    pruned = ran(
        "prune",
        tries=1,
        permanent=True,
        last_error="no key",
        last_error_code=code,
        last_finished_at=ago(HOUR),
    )
    more = PlanMore(jobs=(JobFacts(pruned),))

    def failing(stored_s: float, **changes: Any) -> bool:
        there = repository(newest=point(stored_s), **changes)
        return ("prune-failing", "warning") in of_plan(healthy(repositories=(there,)), more)

    assert not failing(MINUTE), "a point was stored since"
    assert failing(2 * HOUR) is (code == RepositoryUnreachable.code), "it could be opened"
    away = {"unreachable": "no answer", "unreachable_since": ago(1)}
    assert failing(2 * HOUR, **away) is (code == WrongKey.code), "the other tells it"
    assert not failing(MINUTE, **away), "that is another failure"
    assert failing(2 * HOUR, met=False), "it was never opened"
    other = replace(pruned, last_error_code="tool-missing")
    more = PlanMore(jobs=(JobFacts(other),))
    assert failing(MINUTE), "for another reason"


def test_a_copy_that_failed_by_its_source_is_not_news_when_both_work_again() -> None:
    copied = JobHistory(
        kind="copy",
        subject="offsite",
        tries=2,
        last_error="primary refuses the login",
        last_error_code=RepositoryRefused.code,
        last_finished_at=ago(HOUR),
    )
    more = PlanMore(jobs=(JobFacts(copied),))
    old = repository(newest=point(2 * HOUR))
    copy = old._replace(repository="offsite", copy_of=old.repository)

    def found(**changes: Any) -> list[tuple[str, str]]:
        facts = healthy(repositories=(old._replace(**changes), copy))
        kinds = ("copy-failing", "repository-unreachable")
        return [x for x in of_plan(facts, more) if x[0] in kinds]

    assert found() == []
    away = found(unreachable="it refuses the login", unreachable_since=ago(HOUR))
    assert away == [("repository-unreachable", "warning")], "it tells that the copy fails"
    assert found(met=False) == [("copy-failing", "warning")], "drd has not opened the source"


def test_a_failed_drill_has_the_code_of_its_error() -> None:
    facts = healthy(last_drill=drill("failed"))
    [reason] = [r for r in assess(facts, NOW).reasons if r.run]

    def why(run: str) -> list[str]:
        job = JobFacts(JobHistory(kind="drill", last_run=run, last_error_code="target"))
        found = conditions(assess(facts, NOW), facts, PlanMore(jobs=(job,)), NOW)
        return [c.why for c in found if c.kind == "drill-failed"]

    assert (why(reason.run), why("77aa"), why("")) == (["target"], [""], [""])


def test_failed_backups_are_not_news_when_the_password_opens_the_repository_again() -> None:
    wrong = healthy(failures=failures(3, code=WrongKey.code), repositories=(repository(),))
    assert of_plan(wrong) == []
    shut = repository(lost="shut", lost_since=ago(MINUTE))
    assert of_plan(wrong._replace(repositories=(shut,))) == [("repository-gone", "critical")]
    assert of_plan(wrong._replace(failures=failures(3))) == [("backup-failing", "warning")]


def test_an_old_finding_about_a_repository_waits_while_its_alert_is_open() -> None:
    late = Finding("repository-password", "error", "primary", "there is none")
    [found] = conditions(assess(healthy(), NOW), healthy(), PlanMore(readiness=(late,)), NOW)
    world = World()
    gone = Condition("repository-gone", "critical", "primary", "shut", plan=found.plan)
    assert [t.change.value for t in world.transitions(after(), gone)] == ["fired"]
    held = world.transitions(after(minutes=1), found)
    assert {t.after.kind for t in held} == {"repository-gone"}
    ended = world.transitions(after(minutes=7), found)
    assert {(t.change.value, t.after.kind) for t in ended} == {
        ("resolved", "repository-gone"),
        ("fired", "repository-unreachable"),
    }


def test_every_kind_that_ends_at_once_exists() -> None:
    """A misspelt one would be held in vain."""
    everything = healthy(
        newest=None, digest="d2", last_drill=drill("failed"), last_passed_drill=drill(rta_s=HOUR)
    )
    late = healthy(last_drill=drill(since_s=8 * DAY))
    unclear = healthy(last_drill=drill("inconclusive"))
    never = healthy(last_drill=None)
    passed = drill(scenario="operator")
    people = healthy(
        last_drill=passed, last_passed_drill=passed, scenarios=(ScenarioFacts("database-loss"),)
    )
    damaged = healthy(repositories=(repository(damage="bit rot", damaged_since=ago(DAY)),))
    found = {
        kind for f in (everything, late, unclear, never, people, damaged) for kind, _ in of_plan(f)
    }
    found |= {kind for kind, _ in of_plan(healthy(digest="d2"))}
    found |= {kind for kind, _ in of_plan(healthy(load_error="its file is gone"))}
    refused = HostFacts(
        configuration_error="drd.yaml:1: limts: unknown key",
        credentials=(LaterCredential("hook", NOW),),
        gone_secrets=(GoneSecret("/etc/drd/credentials/hook", NOW),),
    )
    found |= {c.kind for c in host_conditions(refused, None, NOW)}
    found |= {exposed_file("p", "is open", "chmod").kind, stored_text_differs("p", "other").kind}
    assert found >= AT_ONCE


# --- runs -----------------------------------------------------------------------------------


def test_one_failure_that_a_retry_may_help_is_only_noted() -> None:
    assert of_plan(healthy(failures=failures(1))) == [("backup-failing", "info")]
    assert of_plan(healthy(failures=failures(2))) == [("backup-failing", "warning")]
    permanent = PlanMore(jobs=(JobFacts(JobHistory(kind="backup", tries=1, permanent=True)),))
    assert of_plan(healthy(failures=failures(1)), permanent) == [("backup-failing", "warning")]


def test_one_restart_of_the_service_is_not_a_failure_repeated_restarts_are() -> None:
    def stopped(tries: int) -> PlanMore:
        job = JobFacts(ran("verification", tries=tries, last_error_code=STOPPED.code))
        return PlanMore((job,))

    assert of_plan(healthy(failures=failures(1, code=STOPPED.code))) == []
    assert of_plan(healthy(failures=failures(2, code=STOPPED.code))) == [
        ("backup-failing", "warning")
    ]
    assert of_plan(healthy(), stopped(1)) == []
    assert of_plan(healthy(), stopped(2)) == [("verification-failing", "warning")]


def test_damage_of_another_repository_or_none_leaves_the_failure_of_a_verification() -> None:
    job = JobFacts(ran("verification", tries=2, last_error_code="repository-damaged"))
    for known in (
        VerificationFacts("offsite", "rot", None, ago(DAY)),
        VerificationFacts("primary", None, None, ago(DAY)),
    ):
        more = PlanMore((job,), verifications=(known,))
        assert of_plan(healthy(), more) == [("verification-failing", "warning")]
    other = JobFacts(ran("prune", tries=2, last_error_code="repository-damaged"))
    more = PlanMore((other,), verifications=(VerificationFacts("primary", "rot", None, ago(DAY)),))
    assert of_plan(healthy(), more) == [("prune-failing", "warning")]


def test_damage_raises_one_alert() -> None:
    def found(code: str) -> PlanMore:
        job = JobFacts(ran("verification", tries=2, last_error_code=code))
        return PlanMore(
            (job,),
            verifications=(
                VerificationFacts("offsite", None, None, ago(DAY)),
                VerificationFacts("primary", "rot", None, ago(DAY)),
            ),
        )

    hurt = healthy(repositories=(repository(damage="rot", damaged_since=ago(HOUR)),))
    assert of_plan(hurt, found("repository-damaged")) == [("repository-damaged", "critical")]
    assert of_plan(hurt, found("repository-unreachable")) == [
        ("repository-damaged", "critical"),
        ("verification-failing", "warning"),
    ]


def test_a_failing_backup_says_why_and_how_often() -> None:
    [text] = words(healthy(failures=failures(3, "no route to host\nrestic: retrying")))
    assert text == (
        "backup-failing : backup failed: no route to host (3 tries, last at 2026-11-25 00:27:00 "
        "UTC) > drd run show "
        "4f2a"
    )


def whys(facts: PlanFacts) -> dict[str, str]:
    return {c.kind: c.why for c in conditions(assess(facts, NOW), facts, PlanMore(), NOW)}


def test_an_incomplete_point_raises_one_alert() -> None:
    facts = healthy(incomplete=incomplete(), failures=failures(1)._replace(run="9b0d"))
    assert of_plan(facts) == [("point-incomplete", "warning")]
    [text] = words(facts)
    assert text == (
        "point-incomplete : the newest restore point 9b0d is incomplete: sessions: redis is "
        "gone > drd points orders-api"
    )
    assert whys(facts) == {"point-incomplete": facts.failures.code}
    later = facts._replace(failures=failures(2))
    assert whys(later) == {"point-incomplete": "", "backup-failing": later.failures.code}
    assert whys(facts._replace(failures=None)) == {"point-incomplete": ""}
    assert of_plan(later) == [("backup-failing", "warning"), ("point-incomplete", "warning")]


def test_a_clock_jump_says_in_which_direction() -> None:
    [ahead] = host_conditions(
        HostFacts(clock_jump_s=0.5, clock_jumped_at=ago(MINUTE)), [("shop", 900.0)], NOW
    )
    assert "jumped forwards by 0.5s to" in ahead.text
    [back] = host_conditions(
        HostFacts(clock_jump_s=-0.5, clock_jumped_at=ago(MINUTE)), [("shop", 900.0)], NOW
    )
    assert "jumped back by 0.5s to 2026-11-25 00:30:00 UTC" in back.text
    assert of_host(clock_jump_s=9.0) == of_host(clock_jumped_at=ago(MINUTE)) == []


@pytest.mark.parametrize("kind", ["retention", "prune", "verification", "copy"])
def test_failing_work_raises_an_alert(kind: str) -> None:
    runs = ran(kind, tries=2, last_finished_at=ago(HOUR), last_error="locked", last_run="77aa")
    job = JobFacts(runs)
    assert of_plan(healthy(), PlanMore((job,))) == [(f"{kind}-failing", "warning")]
    [text] = words(healthy(), PlanMore((job,)))
    assert text.endswith(
        "of primary failed: locked (2 tries, last at 2026-11-24 23:31:00 UTC) > drd run show 77aa"
    )


def test_a_control_that_does_not_hold_raises_an_alert_at_once() -> None:
    runs = JobHistory(
        kind="control", subject="no-token", tries=1, permanent=True, last_run="77aa",
        last_finished_at=ago(HOUR), last_error="GET /x answers 200; expected: status 401",
    )  # fmt: skip
    job = JobFacts(runs)
    assert of_plan(healthy(), PlanMore((job,))) == [("control-failing", "warning")]
    [text] = words(healthy(), PlanMore((job,)))
    assert "control no-token failed: GET /x answers 200; expected: status 401" in text


@pytest.mark.parametrize("kind", ["retention", "prune", "verification", "readiness"])
@pytest.mark.parametrize(
    ("period_s", "late_s", "overdue"),
    [
        (DAY, 2.3 * HOUR, False),
        (DAY, 2.5 * HOUR, True),
        (HOUR, 0.9 * HOUR, False),
        (HOUR, 1.1 * HOUR, True),
    ],
)
def test_overdue_work_raises_an_alert(
    kind: str, period_s: float, late_s: float, overdue: bool
) -> None:
    due_at = ago(late_s)
    job = JobFacts(JobHistory(kind=kind), since=due_at - timedelta(seconds=period_s), due_at=due_at)
    found = of_plan(healthy(), PlanMore((job,)))
    assert found == ([(f"{kind}-overdue", "warning")] if overdue else [])


@pytest.mark.parametrize("kind", ["prune", "retention"])
def test_only_a_paused_prune_has_an_alert_of_its_own(kind: str) -> None:
    paused = JobHistory(kind=kind, last_state="paused", last_error="paused: a hold")
    found = of_plan(healthy(), PlanMore((JobFacts(paused),)))
    assert found == ([("prune-paused", "warning")] if kind == "prune" else [])


def test_a_job_says_what_it_is_about_and_when_it_was_done_last() -> None:
    due_at = ago(3 * HOUR)
    late = JobFacts(ran("copy"), since=due_at, due_at=due_at, done_at=ago(DAY))
    [text] = words(healthy(), PlanMore((late,)))
    assert text == (
        "copy-overdue primary: copying of primary is overdue: it was due at 2026-11-24 21:31:00 "
        "UTC, and it was last done at 2026-11-24 00:31:00 UTC > drd "
        "schedule orders-api"
    )
    never = JobFacts(JobHistory(kind="readiness"), since=due_at, due_at=due_at)
    assert words(healthy(), PlanMore((never,))) == [
        (
            "readiness-overdue : the readiness check is overdue: it was due at 2026-11-24 "
            "21:31:00 UTC, and it was never done > drd schedule "
            "orders-api"
        )
    ]
    kit = JobHistory(kind="kit", subject="verify", tries=2, last_finished_at=ago(HOUR))
    assert words(healthy(), PlanMore((JobFacts(kit),))) == [
        (
            "kit-failing verify: test of the recovery kit failed (2 tries, last at 2026-11-24 "
            "23:31:00 UTC) > "
        )
    ]


def test_an_hour_of_delay_is_not_overdue_where_the_time_before_is_not_known() -> None:
    for late_s, overdue in ((HOUR, False), (HOUR + 1, True)):
        job = JobFacts(JobHistory(kind="prune"), since=None, due_at=ago(late_s))
        assert bool(of_plan(healthy(), PlanMore((job,)))) == overdue


@pytest.mark.parametrize(
    ("known", "severity"),
    [
        ({"tries": 1}, "info"),
        ({"tries": 2}, "warning"),
        ({"tries": 1, "permanent": True}, "warning"),
    ],
)
def test_one_failure_of_a_job_that_a_retry_may_help_is_only_noted(
    known: dict[str, Any], severity: str
) -> None:
    assert of_plan(healthy(), PlanMore((JobFacts(ran("copy", **known)),))) == [
        ("copy-failing", severity)
    ]
    assert of_plan(healthy(), PlanMore((JobFacts(ran("readiness", **known)),))) == []
    assert of_plan(healthy(), PlanMore((JobFacts(ran("backup", **known)),))) == []


def test_a_permanent_failure_of_another_job_says_nothing_of_the_backup() -> None:
    other = PlanMore((JobFacts(ran("copy", permanent=True)),))
    assert of_plan(healthy(failures=failures(1)), other) == [("backup-failing", "info")]


def test_only_late_work_is_late() -> None:
    due_at = ago(3 * HOUR)
    late = PlanMore((JobFacts(ran("copy"), since=due_at, due_at=due_at),))
    reading = VerificationFacts("primary", None, None, ago(90 * DAY), 1, ago(30 * DAY))
    more = PlanMore(late.jobs, verifications=(reading,))
    facts = healthy(last_drill=drill(since_s=8 * DAY), waiting=1)
    found = conditions(assess(facts, NOW), facts, more, NOW)
    assert {c.kind: is_late(c) for c in found} == {
        "copy-overdue": True,
        "reading-overdue": True,
        "drill-overdue": True,
        "retention-over-limit": False,
    }


def test_drill_without_a_result_and_failed_drill_are_different_alerts() -> None:
    job = PlanMore((JobFacts(JobHistory(kind="drill", tries=2, last_error="no room")),))
    assert of_plan(healthy(), job) == [("drill-failing", "warning")]
    assert of_plan(healthy(last_drill=drill("failed")), job) == [("drill-failed", "critical")]
    assert ("drill-failing", "warning") in of_plan(healthy(last_drill=None), job)


# --- repositories ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_s", "found"),
    [
        (10 * MINUTE, []),
        (30 * MINUTE, []),
        (30 * MINUTE + 1, [("copy-behind", "warning")]),
        (-5, []),  # clocks differ by little
    ],
)
def test_a_copy_is_behind_after_twice_the_rpo(age_s: float, found: Found) -> None:
    more = PlanMore(copies=(CopyFacts("offsite", "primary", ago(age_s)),))
    assert of_plan(healthy(), more) == found


@pytest.mark.parametrize(("age_s", "behind"), [(DAY, False), (DAY + 31 * MINUTE, True)])
def test_a_copy_with_a_schedule_of_its_own_may_be_older_by_its_pause(
    age_s: float, behind: bool
) -> None:
    copy = CopyFacts("offsite", "primary", ago(age_s), pause_s=DAY)
    assert bool(of_plan(healthy(), PlanMore(copies=(copy,)))) == behind
    assert (judge_copy(healthy(), copy, NOW).verdict is Verdict.BREACHED) == behind


def test_an_empty_copy_raises_an_alert() -> None:
    more = PlanMore(copies=(CopyFacts("offsite", "primary"),))
    assert of_plan(healthy(), more) == [("copy-behind", "warning")]
    behind = [("copy-behind", "warning")]
    for for_s, found in ((30 * MINUTE, []), (30 * MINUTE + 1, behind)):
        assert of_plan(healthy(first_loaded_at=ago(for_s)), more) == found
        added = CopyFacts("offsite", "primary", added_at=ago(for_s))
        assert of_plan(healthy(), PlanMore(copies=(added,))) == found
    ahead = PlanMore(copies=(CopyFacts("offsite", "primary", ago(-HOUR)),))
    assert of_plan(healthy(), ahead) == [("copy-behind", "warning")]


def test_damage_that_a_verification_found_is_critical() -> None:
    damage = "pack 5a is damaged"
    hurt = healthy(repositories=(repository(damage=damage, damaged_since=ago(HOUR)),))
    found = VerificationFacts("primary", damage, ago(DAY), ago(DAY))
    [text] = words(hurt, PlanMore(verifications=(found,)))
    assert text == (
        "repository-damaged primary: repository primary is damaged: pack 5a is damaged"
        " > drd verify orders-api --repository primary"
    )
    assert of_plan(hurt, PlanMore(verifications=(found,))) == [("repository-damaged", "critical")]


def test_a_repository_that_is_not_read_in_full_in_time_fires() -> None:
    reading = VerificationFacts("primary", None, ago(90 * DAY), ago(90 * DAY), 12)
    for by, found in ((ago(DAY), []), (ago(20 * DAY), [("reading-overdue", "warning")])):
        late = PlanMore(verifications=(VerificationFacts(
            reading.repository, None, reading.last_complete_at, reading.cycle_started_at, 12, by
        ),))  # fmt: skip
        assert of_plan(healthy(), late) == found


def test_findings_of_the_last_readiness_run_raise_alerts() -> None:
    findings = (
        Finding("repository", "error", "primary", "connection refused"),
        Finding("repository-protection", "error", "primary", "bucket has no lock"),
        Finding("repository-clock", "warning", "primary", "2 s ahead"),
        Finding("source", "error", "orders-db", "no such database"),
        Finding("room-for-a-drill", "warning", "", "little"),
    )
    assert of_plan(healthy(), PlanMore(readiness=findings)) == [
        ("not-ready", "warning"),
        ("repository-unprotected", "warning"),
        ("repository-unreachable", "warning"),
    ]
    claimed = Finding("repository-protection", "warning", "primary", "cannot tell")
    assert of_plan(healthy(), PlanMore(readiness=(claimed,))) == [
        ("repository-unprotected", "info")
    ]


def test_a_finding_about_a_repository_that_has_an_alert_raises_no_other() -> None:
    key = Finding("repository-key", "error", "primary", "wrong password")
    elsewhere = Finding("source", "error", "primary", "a component has the same name")
    more = PlanMore(readiness=(key, elsewhere))
    assert of_plan(healthy(), more) == [
        ("not-ready", "warning"),
        ("repository-unreachable", "warning"),
    ]
    for trouble in ({"lost": "gone"}, {"unreachable": "no answer"}):
        codes = [c for c, _ in of_plan(healthy(repositories=(repository(**trouble),)), more)]
        assert codes.count("not-ready") == 1
        assert codes.count("repository-unreachable") == int("unreachable" in trouble)


def test_a_finding_that_proves_a_repository_was_reached_does_not_say_out_of_reach() -> None:
    for code in ("repository-clock", "repository-locks"):
        wrong = PlanMore(readiness=(Finding(code, "error", "primary", "2 h ahead"),))
        assert of_plan(healthy(), wrong) == [("not-ready", "warning")]


def test_each_repository_without_protection_is_an_alert_of_its_own() -> None:
    findings = tuple(
        Finding("repository-protection", "error", name, "bucket has no lock")
        for name in ("primary", "offsite")
    )
    facts = healthy()
    found = conditions(assess(facts, NOW), facts, PlanMore(readiness=findings), NOW)
    assert len({c.key for c in found}) == 2
    assert {c.text for c in found} == {
        "repository primary: protection: bucket has no lock",
        "repository offsite: protection: bucket has no lock",
    }


def test_without_a_readiness_run_nothing_is_known_about_repositories() -> None:
    assert blind(PlanMore())["repository-unreachable"] is None, "of all"
    assert blind(PlanMore(readiness=())) == {}


def test_the_protection_of_a_repository_is_unknown_while_it_is_out_of_reach() -> None:
    gone = Finding("repository", "error", "offsite", "connection refused")
    key = Finding("repository-key", "error", "primary", "wrong password")
    known = blind(PlanMore(readiness=(gone, key)))
    subjects = known["repository-unprotected"] or ()
    assert "repository offsite: protection" in subjects
    assert not any("primary" in subject for subject in subjects)
    assert "repository offsite" not in subjects, "that it does not answer is known"


# --- the host -------------------------------------------------------------------------------


def test_nothing_is_bad_about_a_healthy_host() -> None:
    disk = DiskFacts("/var", ("state",), 10**10, 10**11, 10**9)
    assert of_host(disks=(disk,), channels=(ChannelState("mail", dead=False),)) == []


@pytest.mark.parametrize(
    ("free", "needed", "found"),
    [
        (60, 50, []),
        (60, 60, []),
        (60, 61, ["warning"]),
        (50, 0, []),
        (49, 0, ["warning"]),
        (10, 0, ["warning"]),
        (9, 0, ["critical"]),
        (None, 0, ["warning"]),
    ],
)
def test_a_disk_that_is_about_to_fill(free: int | None, needed: int, found: list[str]) -> None:
    disk = DiskFacts("/var", ("work_dir", "state"), free, 1000, needed)
    assert of_host(disks=(disk,)) == [("disk", severity) for severity in found]


def test_a_full_disk_of_the_catalogue_is_one_alert() -> None:
    full = {"catalogue_error": "the disk is full", "catalogue_trouble": "full"}
    disks = (DiskFacts("/var", ("state",), 0, 1000), DiskFacts("/srv", ("work_dir",), 0, 1000))
    assert of_host(**full, disks=disks) == [("catalogue", "critical"), ("disk", "critical")]
    first, second = host_conditions(HostFacts(**full, disks=disks), (("shop", 900.0),), NOW)
    assert (first.remedy, first.also) == ("df -h /var", (("", "disk", "/var"),))
    assert (second.subject, second.remedy) == ("/srv", "df -h /srv")
    assert of_host(**full) == [("catalogue", "critical")], "the disk has room again"
    other = full | {"catalogue_trouble": "read-only"}
    assert len(of_host(**other, disks=disks)) == 3
    assert len(of_host(disks=disks)) == 2


def test_a_disk_says_who_uses_it_and_how_much_is_free() -> None:
    def text(**known: Any) -> str:
        disk = DiskFacts(**{"path": "/var", "uses": ("work_dir", "state"), **known})
        [found] = host_conditions(HostFacts(disks=(disk,)), None, NOW)
        assert (found.subject, found.remedy) == ("/var", "df -h /var")
        return found.text

    lead = "/var (work_dir and state) is almost full:"
    assert text(free_bytes=40, total_bytes=1000) == f"{lead} 40 B free of 1000 B"
    assert text(free_bytes=60, total_bytes=1000, needed_bytes=70) == (
        f"{lead} 60 B free, a drill needs 70 B"
    )
    unknown = "cannot read the free space of /var (work_dir and state):"
    assert text(free_bytes=None, total_bytes=1000) == f"{unknown} no answer"
    assert text(free_bytes=1, total_bytes=0, error="it is stale") == f"{unknown} it is stale"


def test_a_dead_channel_says_since_when_and_why() -> None:
    def text(**known: Any) -> str:
        channel = ChannelState("mail", dead=True, **known)
        [found] = host_conditions(HostFacts(channels=(channel,)), None, NOW)
        return found.text

    assert text() == "channel mail cannot deliver messages"
    assert text(failing_since=ago(HOUR), tries=2, error="refused\nby the server") == (
        "channel mail cannot deliver messages since 2026-11-24 23:31:00 UTC (2 tries): refused"
    )


def test_a_dead_channel_is_critical_when_it_was_the_last() -> None:
    dead, alive = ChannelState("mail", dead=True), ChannelState("hook", dead=False)
    beat = ChannelState("plan/orders-api", dead=True, plan="orders-api")
    assert of_host(channels=(dead, alive)) == [("channel", "warning")]
    assert of_host(channels=(dead,)) == [("channel", "critical")]
    assert of_host(channels=(alive, beat)) == [("channel", "warning")]
    living_beat = replace(beat, dead=False)
    assert of_host(channels=(dead, living_beat)) == [("channel", "critical")]
    assert of_host(channels=(dead, beat)) == [("channel", "critical"), ("channel", "warning")]


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_clock_jump_stays_an_alert_for_an_hour(jump_s: float) -> None:
    jumped: Found = [("clock-jumped", "warning")]
    for since_s, found in ((MINUTE, jumped), (HOUR, jumped), (HOUR + 1, []), (-HOUR - 1, [])):
        assert of_host(clock_jump_s=jump_s, clock_jumped_at=ago(since_s)) == found


def test_downtime_beyond_an_rpo_raises_an_alert() -> None:
    rpos = (("a", 900.0), ("b", 7200.0))
    down: dict[str, Any] = {"down_from": ago(HOUR + MINUTE), "down_to": ago(MINUTE)}
    [found] = host_conditions(HostFacts(**down), rpos, NOW)
    assert (found.kind, found.severity) == ("daemon-down", "warning")
    assert (
        found.text
        == "drd was down, or its host slept, from 2026-11-24 23:30:00 UTC to 2026-11-25 00:30:00 "
        "UTC: 1h, longer than the RPO of a"
    )
    assert of_host((("b", 7200.0),), **down) == []
    assert of_host(rpos, down_from=ago(HOUR), down_to=ago(HOUR - MINUTE)) == []
    assert of_host(rpos, down_from=ago(1000), down_to=ago(100)) == [], "as long as the RPO"
    assert of_host(rpos, down_from=ago(1001), down_to=ago(100)) == [("daemon-down", "warning")]
    for ended_s, told in ((HOUR, True), (HOUR + 1, False), (-HOUR - 1, False)):
        ended: dict[str, Any] = {"down_from": ago(ended_s + DAY), "down_to": ago(ended_s)}
        assert bool(of_host(rpos, **ended)) == told
    assert of_host(None, **down) == []
    assert of_host(rpos, down_from=ago(DAY)) == of_host(rpos, down_to=NOW) == []
    [two] = host_conditions(HostFacts(down_from=ago(DAY), down_to=NOW), rpos, NOW)
    assert two.text.endswith("longer than the RPO of a, b")


def test_no_plan_and_no_catalogue_fire() -> None:
    assert of_host(()) == [("no-plan", "info")]
    assert of_host(None, catalogue_error="disk full") == [("catalogue", "critical")]
    assert of_host(None, configuration_error="drd.yaml:3: x") == [("configuration", "warning")]
    for restart, command in ((False, "reload"), (True, "restart")):
        facts = HostFacts(configuration_error="drd.yaml:3: x", needs_restart=restart)
        [condition] = host_conditions(facts, None, NOW)
        assert condition.remedy == f"drd config check && systemctl {command} drd"
        assert condition.text.endswith("the settings that it read before: drd.yaml:3: x")
    assert {"catalogue", "clock-jumped", "configuration", "disk"} == AT_THE_HOST


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        ("removed", "systemctl restart drd && drd catalogue rebuild"),
        ("replaced", "systemctl restart drd && drd catalogue rebuild"),
        ("read-only", "drd status"),
        ("", "drd status"),
    ],
)
def test_a_catalogue_that_is_gone_is_made_anew_and_any_other_is_looked_at(
    trouble: str, remedy: str
) -> None:
    host = HostFacts(catalogue_error="it does not work", catalogue_trouble=trouble)
    [found] = host_conditions(host, None, NOW)
    assert (found.text, found.remedy) == (
        "drd cannot use its catalogue: it does not work", remedy,
    )  # fmt: skip


def test_a_forked_chain_of_records_is_critical_and_reports_of_others_are_told() -> None:
    [forked] = host_conditions(HostFacts(records_forked="two hosts continue it"), None, NOW)
    assert (forked.kind, forked.severity, forked.text, forked.remedy) == (
        "records-forked", "critical", "two hosts continue it", "drd records verify",
    )  # fmt: skip
    assert host_conditions(HostFacts(reports=(forked,)), None, NOW) == [forked]


def test_a_state_that_is_a_copy_or_that_others_can_change_is_critical() -> None:
    [copy] = host_conditions(HostFacts(contested="this may be a copy"), None, NOW)
    assert (copy.kind, copy.severity, copy.remedy) == ("state-contested", "critical", "drd adopt")
    assert copy.text.startswith("this may be a copy: ")
    [shared] = host_conditions(HostFacts(state_wrong="/var is open"), None, NOW)
    assert (shared.kind, shared.severity, shared.text, shared.remedy) == (
        "state-shared", "critical", "/var is open", "drd doctor",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("host", "just"),
    [
        ({}, False),
        ({"down_from": ago(DAY), "down_to": ago(MINUTE)}, True),
        ({"down_from": ago(DAY), "down_to": ago(2 * HOUR)}, False),
        ({"down_from": ago(10 * MINUTE), "down_to": ago(MINUTE)}, False),
        ({"down_from": ago(HOUR), "down_to": NOW}, True),
        ({"down_from": ago(HOUR - 1), "down_to": NOW}, False),
        ({"down_from": ago(DAY), "down_to": ago(HOUR)}, False),
        ({"down_from": ago(DAY), "down_to": ago(HOUR - 1)}, True),
        ({"clock_jump_s": HOUR, "clock_jumped_at": ago(MINUTE)}, True),
        ({"clock_jump_s": HOUR - 1, "clock_jumped_at": ago(MINUTE)}, False),
        ({"down_from": ago(DAY)}, False),
        ({"down_to": ago(MINUTE)}, False),
        ({"clock_jump_s": 2 * HOUR}, False),
        ({"clock_jumped_at": ago(MINUTE)}, False),
        ({"clock_jump_s": 2 * HOUR, "clock_jumped_at": ago(-MINUTE)}, False),
        ({"clock_jump_s": -2 * HOUR, "clock_jumped_at": ago(MINUTE)}, False),
    ],
)
def test_after_a_long_downtime_overdue_alerts_wait_an_hour(
    host: dict[str, Any], just: bool
) -> None:
    assert has_just_come_back(HostFacts(**host), NOW) == just


def test_a_package_that_drd_cannot_use_raises_one_alert() -> None:
    text = "the package drd-mine is not installed; drd refuses the plans that use this package"
    trouble = PackageTrouble("drd-mine", text)
    (found,) = host_conditions(HostFacts(extensions=(trouble,)), [("shop", 900.0)], NOW)
    assert (found.kind, found.severity, found.subject) == ("extension", "warning", "drd-mine")
    assert (found.text, found.remedy, found.plan) == (text, "drd doctor", "")


def test_the_alert_of_a_package_has_its_severity_and_remedy() -> None:
    trouble = PackageTrouble("drd-mine", "no channel is left", "critical", "systemctl restart drd")
    (found,) = host_conditions(HostFacts(extensions=(trouble,)), [("shop", 900.0)], NOW)
    assert (found.severity, found.remedy) == ("critical", "systemctl restart drd")


@pytest.mark.parametrize("alone", [True, False])
def test_a_source_that_cannot_be_read_is_reported_by_its_failing_backups(alone: bool) -> None:
    """Where it is the only component, a run that stored nothing left no record of it."""
    db = ComponentFacts("db", "postgres", ago(HOUR), 1, None if alone else "no route")
    components = (db,) if alone else (db, ComponentFacts("conf", "files", ago(60)))
    facts = healthy(
        components=components,
        failures=failures(3, "no route"),
        unready=UnreadyFacts(ago(MINUTE), "", "not ready", ()),
    )
    found = [
        Finding("reachable", "error", "db", "no route"),
        Finding("sandbox", "error", "db", "no program"),
    ]
    kinds = of_plan(facts, PlanMore(readiness=tuple(found)))
    assert kinds == [("backup-failing", "warning"), ("not-ready", "warning")]
    told = words(facts, PlanMore(readiness=tuple(found)))
    assert told[-1].startswith("not-ready db: sandbox")
    of_the_other = Finding("files", "error", "conf", "no directory")
    turned = facts._replace(components=components[::-1])
    told_of_all = words(turned, PlanMore(readiness=(*found, of_the_other)))
    assert any(text.startswith("not-ready conf: files") for text in told_of_all), "it did not fail"
    working = facts._replace(failures=None, components=(db._replace(error=None),))
    assert len(of_plan(working, PlanMore(readiness=tuple(found)))) == 2, "nothing else tells it"


def test_a_source_that_cannot_be_read_is_reported_by_the_point_that_lacks_it() -> None:
    facts = healthy(
        components=(
            ComponentFacts("db", "postgres", ago(HOUR), 1),
            ComponentFacts("conf", "files", ago(60)),
        ),
        incomplete=incomplete(("db", "no route")),
        unready=UnreadyFacts(ago(MINUTE), "", "not ready", ()),
    )
    more = PlanMore(readiness=(Finding("reachable", "error", "db", "no route"),))
    assert of_plan(facts, more) == [("point-incomplete", "warning")]
