"""What the state of its repositories means for a plan: which point is left, since when, how bad."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from drd.model.compliance import assess
from drd.model.facts import (
    PlanFacts,
    PointFacts,
    RepositoryFacts,
    UndoneFacts,
    UnrestorableFacts,
    VanishedFacts,
)
from drd.model.repositories import (
    ABSENT,
    DAMAGED,
    GONE,
    SILENT,
    VANISHED,
    assess_repository,
    judge_repositories,
    newest_ever,
    of_what_counts,
    outage,
    readable,
    standing,
    undoing,
    unreadable_since,
)
from drd.model.verdicts import PlanState, Readiness, Reason, Verdict
from tests.status_support import DAY, HOUR, MINUTE, NOW, ago, failures, healthy, point, repository

OLD, NEW = point(HOUR), point(252)


def plan(*repositories: RepositoryFacts, **changes: Any) -> PlanFacts:
    return healthy(repositories=repositories, **changes)


def vanished(exposure_s: float = 100, *, points: int = 1, seen_s: float = 60) -> VanishedFacts:
    return VanishedFacts(points, ago(exposure_s), ago(exposure_s - 10), ago(seen_s))


def reasons(facts: PlanFacts, kind: str) -> list[Reason]:
    return [r for r in judge_repositories(facts, NOW) if r.kind == kind]


# --- what is left ---


def test_the_newest_sound_point_of_any_repository_can_be_read() -> None:
    assert readable(plan(repository(sound=OLD), repository("offsite", sound=NEW))) == NEW
    assert readable(plan(repository(sound=NEW), repository("offsite", sound=OLD))) == NEW
    assert readable(plan(repository(lost="gone"), repository("offsite", sound=OLD))) == OLD
    assert readable(plan(repository(lost="gone"), repository("offsite", sound=None))) is None
    assert readable(plan(repository(sound=NEW), repository("offsite", sound=None))) == NEW
    assert readable(plan()) is None


def test_a_vanished_point_was_once_the_newest() -> None:
    newest = (NEW.data_time, NEW.available_at)
    assert newest_ever(plan(repository())) == newest
    assert newest_ever(plan(repository(), vanished=vanished(100))) == (ago(100), ago(90))
    assert newest_ever(plan(repository(), vanished=vanished(252))) == newest
    assert newest_ever(plan(newest=None, vanished=vanished(252))) == (ago(252), ago(242))
    assert newest_ever(plan(newest=None)) is None


def test_while_the_newest_point_can_be_read_nothing_is_lost() -> None:
    assert unreadable_since(plan(repository())) is None
    assert unreadable_since(plan(repository(lost="gone"), repository("offsite"))) is None
    assert unreadable_since(plan(newest=None)) is None
    assert unreadable_since(plan()) is None  # nobody knows


@pytest.mark.parametrize(
    ("changes", "since"),
    [
        ({"lost": "gone", "lost_since": ago(50)}, ago(50)),
        ({"damage": "x", "damaged_since": ago(40), "sound": OLD}, ago(40)),
        ({"damage": "x", "damaged_since": ago(40), "sound": None}, ago(40)),
        ({"missing": 1, "missing_since": ago(30), "sound": OLD}, ago(30)),
        (
            {
                "lost": "gone",
                "lost_since": ago(20),
                "damage": "x",
                "damaged_since": ago(40),
                "missing": 1,
                "missing_since": ago(30),
                "sound": OLD,
            },
            ago(40),
        ),
        # Its newest point is whole, whatever others lack.
        (
            {
                "lost": "gone",
                "lost_since": ago(20),
                "missing": 1,
                "missing_since": ago(30),
                "damage": "x",
                "damaged_since": ago(40),
            },
            ago(20),
        ),
        ({"sound": OLD}, ago(DAY)),  # since the plan was loaded, as far as anybody knows
        ({"sound": OLD, "lost_since": ago(50), "missing_since": ago(50)}, ago(DAY)),
    ],
)
def test_a_plan_is_unreadable_since_the_first_trouble_of_its_only_repository(
    changes: dict[str, Any], since: datetime
) -> None:
    assert unreadable_since(plan(repository(**changes))) == since


def test_points_are_compared_by_their_data_not_by_when_they_were_stored() -> None:
    slow = point(252, took_s=60)
    assert unreadable_since(plan(repository(newest=slow), newest=slow)) is None
    lost = repository(newest=slow, lost="gone", lost_since=ago(50))
    assert unreadable_since(plan(lost, newest=slow)) == ago(50)


def test_a_plan_is_unreadable_since_its_last_repository_was_lost() -> None:
    one = repository(lost="gone", lost_since=ago(50))
    two = repository("offsite", lost="gone", lost_since=ago(20))
    behind = repository("third", newest=OLD, lost="gone", lost_since=ago(10))
    assert unreadable_since(plan(one, two, behind)) == ago(20)
    empty = repository("third", newest=None, sound=None, lost="gone", lost_since=ago(10))
    assert unreadable_since(plan(one, empty)) == ago(50)


def test_a_vanished_point_is_lost_since_that_was_seen() -> None:
    assert unreadable_since(plan(repository(), vanished=vanished(100, seen_s=60))) == ago(60)
    lost = repository(newest=None, sound=None)
    assert unreadable_since(plan(lost, newest=None, vanished=vanished())) == ago(60)


def test_the_outage_begins_when_what_is_left_is_older_than_the_rpo() -> None:
    lost = repository(lost="gone", lost_since=ago(1000))
    assert outage(plan(lost), NOW) == (ago(1000), NOW)
    behind = repository("offsite", newest=OLD, sound=OLD)
    assert outage(plan(lost, behind), NOW) == (ago(1000), NOW)
    recent = point(1200)
    assert outage(plan(lost, repository("offsite", newest=recent, sound=recent)), NOW) == (
        ago(300),
        NOW,
    )
    fresh = point(15 * MINUTE)
    assert outage(plan(lost, repository("offsite", newest=fresh, sound=fresh)), NOW) is None
    assert outage(plan(repository()), NOW) is None
    assert outage(plan(repository(lost="gone", lost_since=NOW)), NOW) is None


def undone(of: PointFacts, at_s: float = 50) -> UndoneFacts:
    return UndoneFacts("r1", ago(at_s), ("db",), of)


def test_a_point_with_the_data_of_an_undone_recovery_is_not_the_one_that_counts() -> None:
    bare, held = plan(repository()), plan(repository(), undone=undone(OLD))
    assert (undoing(bare), standing(bare)) == (None, NEW)
    assert (undoing(held), standing(held)) == (held.undone, OLD)
    assert of_what_counts(bare, NEW.data_time) == NEW.data_time
    assert of_what_counts(held, NEW.data_time) == OLD.data_time
    assert of_what_counts(held, ago(2 * HOUR)) == ago(2 * HOUR), "this place has less"
    assert of_what_counts(held, None) is None
    made_again = plan(repository(), undone=undone(NEW))
    assert (undoing(made_again), standing(made_again)) == (None, NEW)
    lost = plan(repository(lost="gone"), undone=undone(OLD))
    assert (undoing(lost), standing(lost)) == (None, None)


def test_the_outage_by_an_undone_recovery_begins_when_the_point_before_it_is_too_old() -> None:
    assert outage(plan(repository(), undone=undone(OLD)), NOW) == (ago(50), NOW)
    recent = point(16 * MINUTE)
    assert outage(plan(repository(), undone=undone(recent, 200)), NOW) == (ago(60), NOW)
    lost = repository(lost="gone", lost_since=ago(1000))
    left = repository("offsite", newest=OLD, sound=OLD)
    both = plan(lost, left, undone=undone(point(2 * HOUR), 500))
    assert outage(both, NOW) == (ago(1000), NOW), "since the first of the two"


def test_a_plan_whose_drills_cannot_restore_is_unreadable_since_the_first_of_these() -> None:
    places = (repository(sound=OLD), repository("offsite", sound=OLD))
    at = UnrestorableFacts("p1", "d1", ago(60))
    assert unreadable_since(plan(*places, unrestorable=at)) == ago(60)
    places = tuple(
        p._replace(lost="gone", lost_since=ago(s)) for p, s in zip(places, (90, 70), strict=True)
    )
    assert unreadable_since(plan(*places, unrestorable=at)) == ago(70)
    assert unreadable_since(plan(*places, unrestorable=at._replace(at=ago(80)))) == ago(80)


# --- how bad it is ---


def test_a_healthy_repository_gives_no_reason() -> None:
    assert (
        judge_repositories(plan(repository(), repository("offsite", copy_of="primary")), NOW) == []
    )


def test_a_lost_repository_is_at_risk_while_another_has_something() -> None:
    lost = repository(lost="emptied", lost_says="no config")
    [reason] = reasons(plan(lost, repository("offsite", sound=OLD)), GONE)
    assert (reason.verdict, reason.subject) == (Verdict.AT_RISK, "primary")
    assert reason.text == "repository primary was emptied: no config"
    [reason] = reasons(plan(lost._replace(lost_says="")), GONE)
    assert reason.verdict is Verdict.BREACHED
    assert reason.text == "everything would be lost: repository primary was emptied"
    assert reason.remedy == "drd doctor orders-api"


def test_nothing_is_lost_of_a_plan_without_points() -> None:
    lost = repository(newest=None, sound=None, lost="gone")
    [reason] = reasons(plan(lost, newest=None), GONE)
    assert (reason.verdict, reason.text) == (Verdict.BREACHED, "repository primary is gone")


def test_damage_is_breached_only_where_nothing_else_is_left() -> None:
    damaged = repository(damage="a pack is gone", sound=None)
    [reason] = reasons(plan(damaged), DAMAGED)
    assert reason.verdict is Verdict.BREACHED
    assert reason.text.startswith("everything would be lost: repository primary")
    assert reason.remedy == "drd verify orders-api --repository primary"
    [reason] = reasons(plan(damaged, repository("offsite")), DAMAGED)
    assert reason.verdict is Verdict.AT_RISK
    assert not reason.text.startswith("everything")
    # One that held no complete point is no loss.
    [reason] = reasons(plan(damaged._replace(newest=None)), DAMAGED)
    assert reason.verdict is Verdict.AT_RISK
    assert not reason.text.startswith("everything")


def test_lost_and_damaged_are_two_reasons() -> None:
    both = repository(damage="a pack is gone", lost="gone", unreachable="no answer", sound=None)
    kinds = [r.kind for r in judge_repositories(plan(both), NOW)]
    assert kinds == [GONE, DAMAGED]


def test_missing_snapshots_are_breached_only_where_nothing_else_is_left() -> None:
    torn = repository(missing=2, sound=None)
    [reason] = reasons(plan(torn), VANISHED)
    assert reason.verdict is Verdict.BREACHED
    assert "2 restore points" in reason.text
    assert reason.text.startswith("everything would be lost: repository primary")
    for other in (torn._replace(lost="gone"), torn._replace(newest=None)):
        [reason] = reasons(plan(other), VANISHED)
        assert reason.verdict is Verdict.AT_RISK
        assert not reason.text.startswith("everything")
    [reason] = reasons(plan(torn, repository("offsite")), VANISHED)
    assert (reason.verdict, reason.subject) == (Verdict.AT_RISK, "primary")


def silent(**changes: Any) -> RepositoryFacts:
    return repository(unreachable="no answer", unreachable_since=ago(100), **changes)


def test_silence_is_a_note_until_a_backup_is_stuck() -> None:
    [reason] = reasons(plan(silent()), SILENT)
    assert (reason.verdict, reason.text) == (Verdict.MET, "repository primary: no answer")
    [reason] = reasons(plan(silent()._replace(unreachable_since=None)), SILENT)
    assert reason.verdict is Verdict.AT_RISK


@pytest.mark.parametrize(("since_s", "stuck"), [(241, True), (240, True), (239, False)])
def test_a_backup_that_failed_since_then_is_stuck(since_s: float, stuck: bool) -> None:
    quiet = silent()._replace(unreachable_since=ago(since_s))
    [reason] = reasons(plan(quiet, failures=failures()), SILENT)  # it failed 4 minutes ago
    assert (reason.verdict is Verdict.AT_RISK) == stuck


@pytest.mark.parametrize(("age_s", "stuck"), [(319, False), (320, False), (321, True)])
def test_a_backup_that_should_be_there_by_now_is_stuck(age_s: float, stuck: bool) -> None:
    # Every 300 s, and 20 s for it.
    [reason] = reasons(plan(silent(), newest=point(age_s)), SILENT)
    assert (reason.verdict is Verdict.AT_RISK) == stuck
    [reason] = reasons(plan(silent(), newest=point(301), backup_p95_s=None), SILENT)
    assert reason.verdict is Verdict.AT_RISK


def test_without_a_schedule_or_a_point_no_backup_is_stuck() -> None:
    for changes in ({"interval_s": None, "newest": point(DAY)}, {"newest": None}):
        [reason] = reasons(plan(silent(), **changes), SILENT)
        assert reason.verdict is Verdict.MET


def test_a_silent_copy_holds_no_backup_up() -> None:
    copy = silent()._replace(copy_of="primary", repository="offsite")
    [reason] = reasons(plan(repository(), copy, newest=point(DAY)), SILENT)
    assert reason.verdict is Verdict.MET


def test_a_repository_without_a_point_yet_is_only_a_note() -> None:
    unmet = repository(newest=None, sound=None, met=False)
    [reason] = judge_repositories(plan(unmet), NOW)
    assert reason.verdict is Verdict.MET
    assert "repository primary" in reason.text
    assert reason.remedy == "drd backup orders-api"
    for other in (
        unmet._replace(met=True),
        unmet._replace(newest=NEW, sound=NEW),
        unmet._replace(copy_of="primary"),
    ):
        assert judge_repositories(plan(other), NOW) == []
    assert judge_repositories(plan(unmet, newest=None), NOW) == []


# --- points that vanished ---


def test_vanished_points_are_at_risk_until_there_is_a_newer_one() -> None:
    [reason] = reasons(plan(repository(), vanished=vanished()), VANISHED)
    assert reason.verdict is Verdict.AT_RISK
    assert reason.text.startswith("1 restore point is ")
    assert reason.text.endswith("(noticed 2026-11-25 00:30 UTC)")
    assert reason.remedy == "drd points orders-api"
    [reason] = reasons(plan(repository(), vanished=vanished(points=2)), VANISHED)
    assert reason.text.startswith("2 restore points are ")
    later = point(59, took_s=0)
    assert reasons(plan(repository(newest=later), vanished=vanished(seen_s=60)), VANISHED) == []
    [reason] = reasons(plan(repository(newest=later), vanished=vanished(seen_s=59)), VANISHED)
    assert reason.verdict is Verdict.AT_RISK


def test_vanished_points_are_told_with_the_newest_and_with_the_tool_that_makes_them() -> None:
    one, two = (vanished(points=n)._replace(newest="9f") for n in (1, 2))
    said = "no longer in the repository: somebody removed"
    noticed = "without drd (noticed 2026-11-25 00:30 UTC)"
    earlier = (
        "no longer in the repository, earlier than the plan says that pgbackrest keeps them "
        "(`retention`; noticed"
    )
    own, tool = plan(repository()), plan(repository(), cron="made by pgbackrest")
    for facts, gone, text in (
        (own, one, f"restore point 9f is {said} it {noticed}"),
        (own, two, f"2 restore points, the newest of them 9f, are {said} them {noticed}"),
        (
            tool,
            two,
            f"2 restore points, the newest of them 9f, are {earlier} 2026-11-25 00:30 UTC)",
        ),
    ):
        [reason] = reasons(facts._replace(vanished=gone), VANISHED)
        assert reason.text == text


def test_missing_snapshots_are_told_by_who_makes_the_copies() -> None:
    torn = repository(missing=1)
    [reason] = reasons(plan(torn), VANISHED)
    assert reason.text == (
        "repository primary lacks snapshots of 1 restore point: somebody removed these snapshots "
        "without drd"
    )
    assert reason.remedy == "drd retention orders-api --dry-run"
    [reason] = reasons(plan(torn, cron="made by command"), VANISHED)
    assert reason.text == (
        "1 restore point of another tool left repository primary earlier than the plan says that "
        "another tool keeps them (`retention`)"
    )
    assert reason.remedy == "drd doctor orders-api"


def test_a_lost_repository_is_told_with_the_time_and_in_the_title_of_its_alert() -> None:
    for state, brief in (("gone", "it is gone"), ("shut", "wrong password"), ("of later", "")):
        lost = repository(lost=state, lost_since=ago(60))
        [reason] = reasons(plan(lost, repository("offsite")), GONE)
        assert (reason.brief, reason.at_least) == (brief, PlanState.NOT_READY)
        assert reason.text.endswith(" (drd saw this first at 2026-11-25 00:30:00 UTC)")


def test_when_all_points_vanished_everything_would_be_lost() -> None:
    empty = repository(newest=None, sound=None)
    [reason] = reasons(plan(empty, newest=None, vanished=vanished()), VANISHED)
    assert reason.verdict is Verdict.BREACHED
    assert reason.text.startswith("everything would be lost: 1 restore point")
    [reason] = reasons(plan(empty, newest=NEW, vanished=vanished()), VANISHED)
    assert reason.verdict is Verdict.AT_RISK
    copied = plan(empty, repository("offsite", sound=OLD), newest=None, vanished=vanished())
    [reason] = reasons(copied, VANISHED)
    assert reason.verdict is Verdict.AT_RISK


def test_a_plan_with_points_that_lost_snapshots_is_not_ready() -> None:
    torn = plan(repository(), repository("offsite", missing=1))
    assert assess(torn, NOW).readiness is Readiness.NOT_READY
    assert assess(plan(repository(), repository("offsite")), NOW).readiness is Readiness.READY


# --- one repository ---


@pytest.mark.parametrize(
    ("changes", "state", "since"),
    [
        ({}, "ok", None),
        ({"unreachable": "no answer", "unreachable_since": ago(3)}, "unreachable", ago(3)),
        (
            {
                "unreachable": "x",
                "unreachable_since": ago(3),
                "damage": "x",
                "damaged_since": ago(2),
            },
            "damaged",
            ago(2),
        ),
        (
            {"damage": "x", "damaged_since": ago(2), "lost": "shut", "lost_since": ago(1)},
            "shut",
            ago(1),
        ),
    ],
)
def test_the_most_severe_state_counts(
    changes: dict[str, Any], state: str, since: datetime | None
) -> None:
    found = assess_repository(repository(copy_of="primary", **changes))
    assert (found.repository, found.copy_of) == ("primary", "primary")
    assert (found.state, found.since) == (state, since)
    readable_time = None if "lost" in changes else NEW.data_time
    assert found.data_time == readable_time


def test_a_place_where_drd_never_found_a_repository_is_absent() -> None:
    found = assess_repository(repository(met=False, newest=None, sound=None))
    assert (found.state, found.stored, found.data_time) == (ABSENT, False, None)
    unanswered = repository(met=False, newest=None, sound=None, unreachable="no answer")
    assert assess_repository(unanswered).state == "unreachable"
    made = assess_repository(repository(newest=None, sound=None))
    assert (made.state, made.stored) == ("ok", False)
    assert assess_repository(repository(met=False)).state == "ok"


def test_without_a_sound_point_nothing_can_be_read_there() -> None:
    assert assess_repository(repository(sound=None)).data_time is None


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"lost": "shut"}, "repository primary does not open with the password of the plan"),
        (
            {"unreachable": "no secret", "unreachable_since": ago(HOUR)},
            "repository primary: no secret",
        ),
    ],
)
def test_a_repository_that_cannot_be_read_is_reported_before_the_drill_that_never_was(
    changes: dict[str, Any], first: str
) -> None:
    """The copy still has everything, so nothing is breached."""
    both = (repository(**changes), repository("offsite", copy_of="primary"))
    never = healthy(
        repositories=both,
        last_drill=None,
        last_passed_drill=None,
        failures=failures(1),
    )
    plan = assess(never, NOW)
    assert plan.state is PlanState.UNKNOWN
    assert plan.why is not None
    assert plan.why.text.startswith(first)
    well = assess(never._replace(repositories=(repository(),), failures=None), NOW)
    assert well.why is not None
    assert well.why.text.startswith("never drilled")
