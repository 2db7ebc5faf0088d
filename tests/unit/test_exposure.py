"""What would be lost: of a plan, of each component, of each copy, and in which words."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from drd.model.clock import age, at_time, tried
from drd.model.compliance import assess
from drd.model.copy_exposure import copy_bound_s, judge_copy
from drd.model.exposure import judge_component, judge_rpo
from drd.model.exposure_reasons import against, incomplete_point
from drd.model.facts import (
    ComponentFacts,
    CopyFacts,
    IncompleteFacts,
    PlanFacts,
    RunningFacts,
    UndoneFacts,
    UnfinishedFacts,
)
from drd.model.unrestorable import UnrestorableFacts
from drd.model.verdicts import Reason, Verdict
from tests.status_support import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    drill,
    failures,
    healthy,
    incomplete,
    point,
    repository,
)
from tests.status_support import ago as before

MET, AT_RISK, UNKNOWN, BREACHED = (
    Verdict.MET,
    Verdict.AT_RISK,
    Verdict.UNKNOWN,
    Verdict.BREACHED,
)


def reasons(facts: PlanFacts) -> list[Reason]:
    return judge_rpo(facts, NOW)[1]


# --- ages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "seconds", "words"),
    [
        (before(252), 252.0, "at 2026-11-25 00:26:48 UTC"),
        (NOW, 0.0, "at 2026-11-25 00:31:00 UTC"),
        (before(-5), 0.0, "at 2026-11-25 00:31:05 UTC"),
        (before(-6), None, "at 2026-11-25 00:31:06 UTC (in the future)"),
        (None, None, "at an unknown time"),
    ],
)
def test_an_age_is_never_negative(at: datetime | None, seconds: float | None, words: str) -> None:
    assert (age(at, NOW), at_time(at, NOW)) == (seconds, words)


def test_tries_are_counted_from_the_second_on() -> None:
    assert (
        tried(0, before(60), NOW) == tried(1, before(60), NOW) == "tried at 2026-11-25 00:30:00 UTC"
    )
    assert tried(2, before(60), NOW) == "2 tries, last at 2026-11-25 00:30:00 UTC"


@pytest.mark.parametrize(
    ("exposure_s", "verdict"),
    [(None, UNKNOWN), (80.0, MET), (80.1, AT_RISK), (100.0, AT_RISK), (100.1, BREACHED)],
)
def test_an_exposure_of_the_rpo_still_meets_it(exposure_s: float | None, verdict: Verdict) -> None:
    assert against(exposure_s, 100.0) is verdict


# --- components -----------------------------------------------------------------------------


def component(lost_since: datetime | None, facts: PlanFacts, **known: Any) -> tuple[Any, ...]:
    of = ComponentFacts("db", "postgres", **{"data_time": before(60), "size_bytes": 5, **known})
    found = judge_component(facts, of, lost_since, NOW)
    return found.data_time, found.exposure_s, found.verdict


def test_a_component_is_as_old_as_what_can_be_read_of_it() -> None:
    old = point(14 * MINUTE)
    left = healthy(repositories=(repository(newest=point(60), sound=old),))
    assert component(None, left) == (before(60), 60.0, MET)
    assert component(before(30), left) == (before(14 * MINUTE), 14 * MINUTE, AT_RISK)
    older = {"data_time": before(15 * MINUTE)}
    assert component(before(30), left, **older) == (before(15 * MINUTE), 15 * MINUTE, AT_RISK)
    assert component(before(30), left, data_time=None) == (None, None, UNKNOWN)
    nothing = healthy(repositories=(repository(lost="gone"),))
    assert component(before(30), nothing) == (None, None, BREACHED)


def test_a_component_whose_last_capture_failed_is_at_risk_at_least() -> None:
    assert component(None, healthy(), error="gone") == (before(60), 60.0, AT_RISK)
    late = {"data_time": before(HOUR), "error": "gone"}
    assert component(None, healthy(), **late) == (before(HOUR), HOUR, BREACHED)


# --- copies ---------------------------------------------------------------------------------


def copy(facts: PlanFacts, data_s: float | None = 60.0) -> tuple[Any, ...]:
    at = before(data_s) if data_s is not None else None
    found = judge_copy(facts, CopyFacts("offsite", "primary", at), NOW)
    return found.data_time, found.exposure_s, found.verdict


@pytest.mark.parametrize("trouble", [{"damage": "rot"}, {"missing": 1}])
def test_a_copy_that_is_hurt_is_as_old_as_its_sound_points(trouble: dict[str, Any]) -> None:
    def place(**more: Any) -> PlanFacts:
        return healthy(repositories=(repository(), repository("offsite", **more)))

    assert copy(place()) == (before(60), 60.0, MET)
    assert copy(place(**trouble, sound=point(HOUR))) == (before(HOUR), HOUR, BREACHED)
    assert copy(place(**trouble, sound=None)) == (None, None, BREACHED)
    assert copy(place(lost="gone")) == (None, None, BREACHED)
    assert copy(place(lost="gone"), None) == (None, None, UNKNOWN)
    assert copy(healthy(repositories=(repository(**trouble),))) == (before(60), 60.0, MET)


def test_a_copy_may_be_twice_the_rpo_and_its_pause_behind() -> None:
    daily = CopyFacts("offsite", "primary", pause_s=DAY)
    assert copy_bound_s(healthy()._replace(rpo_s=900.0), daily) == DAY + 1800
    assert copy(healthy(), 24 * MINUTE)[2] is MET
    assert copy(healthy(), 24 * MINUTE + 1)[2] is AT_RISK
    assert copy(healthy(), 30 * MINUTE)[2] is AT_RISK
    assert copy(healthy(), 30 * MINUTE + 1)[2] is BREACHED


# --- reasons --------------------------------------------------------------------------------


def test_each_missing_component_of_an_incomplete_point_is_named_in_one_line() -> None:
    assert incomplete_point(incomplete()) == (
        "the newest restore point 9b0d is incomplete: sessions: redis is gone"
    )
    two = IncompleteFacts("9b0d", NOW, (("a", "x\nmore"), ("b", "y")))
    assert incomplete_point(two) == "the newest restore point 9b0d is incomplete: a: x; b: y"
    assert incomplete_point(IncompleteFacts("9b0d", NOW, ())) == (
        "the newest restore point 9b0d is incomplete"
    )


def test_the_run_that_left_an_incomplete_point_is_reported_as_that() -> None:
    left = incomplete()
    for run, code in (("9b0d", "point-incomplete"), ("4f2a", "backup-failing")):
        failed = failures(1)._replace(run=run)
        [told] = reasons(healthy(incomplete=left, failures=failed))
        assert (told.says_why, told.remedy) == (code, f"drd run show {run}")
        assert (
            told.text
            == "the last backup failed: pg_dump cannot connect (tried at 2026-11-25 00:27:00 UTC)"
        )
    [told] = reasons(healthy(incomplete=left))
    assert (told.says_why, told.remedy) == ("point-incomplete", "drd points orders-api")
    assert told.text == "the newest restore point 9b0d is incomplete: sessions: redis is gone"
    [told] = reasons(healthy(failures=failures(2, "")))
    assert (
        told.text
        == "the last backup failed: backup failed (2 tries, last at 2026-11-25 00:27:00 UTC)"
    )


def running(since_s: float, kind: str = "backup") -> RunningFacts:
    return RunningFacts("4f2a", kind, before(since_s))


@pytest.mark.parametrize(
    ("changes", "ends", "remedy"),
    [
        ({}, "; drd has recorded no later backup run", "drd backup orders-api"),
        (
            {"running": running(60, "drill")},
            "; drd has recorded no later backup run",
            "drd backup orders-api",
        ),
        (
            {"running": running(60)},
            "; a backup has been running since 2026-11-25 00:30:00 UTC",
            "drd run show 4f2a",
        ),
        (
            {"running": running(90), "backup_timeout_s": 90.0},
            "; a backup has been running since 2026-11-25 00:29:30 UTC",
            "drd run show 4f2a",
        ),
        (
            {"running": running(91), "backup_timeout_s": 90.0},
            "; a backup began at 2026-11-25 00:29:29 UTC and never ended",
            "drd run show 4f2a",
        ),
        (
            {"running": running(-HOUR)},
            "; a backup has been running since 2026-11-25 01:31:00 UTC",
            "drd run show 4f2a",
        ),
        (
            {"cron": "made by pgbackrest"},
            "; drd has not seen a newer copy from pgbackrest",
            "drd catalogue rebuild orders-api",
        ),
        ({"failures": failures(1), "running": running(60)}, "UTC)", "drd run show 4f2a"),
    ],
)
def test_an_exceeded_rpo_says_what_drd_has_done_about_it(
    changes: dict[str, Any], ends: str, remedy: str
) -> None:
    for exposure_s, lead in ((13 * MINUTE, "RPO nearly exceeded"), (HOUR, "RPO exceeded")):
        [told] = [
            r for r in reasons(healthy(newest=point(exposure_s), **changes)) if r.kind == "rpo"
        ]
        assert told.text.startswith(f"{lead}: the newest complete backup has data of 2026-11-2")
        assert told.text.endswith(ends)
        if "failures" not in changes:
            assert told.remedy == remedy


def test_a_plan_without_a_point_is_breached_once_it_is_loaded_for_longer_than_its_rpo() -> None:
    none = {"newest": None, "repositories": (repository(newest=None, sound=None),)}
    for loaded_s, verdict in (
        (15 * MINUTE, UNKNOWN),
        (15 * MINUTE + 1, BREACHED),
        (-HOUR, UNKNOWN),
    ):
        [told] = reasons(healthy(first_loaded_at=before(loaded_s), **none))
        assert (told.verdict, told.kind) == (verdict, "no-point")
    begun = healthy(first_loaded_at=before(60), running=running(30), last_drill=None, **none)
    [told] = reasons(begun)
    assert told.text == (
        "there is no restore point yet: nothing can be restored; a backup has been running since "
        "2026-11-25 00:30:30 UTC"
    )
    assert told.remedy == "drd run show 4f2a"


def test_a_former_address_is_named_if_only_a_part_of_the_plan_was_ever_stored() -> None:
    parts = (ComponentFacts("new", "files"), ComponentFacts("db", "postgres", before(HOUR), 10))
    unmet = (repository(newest=None, sound=None, met=False),)
    [told] = [
        r
        for r in reasons(
            healthy(newest=None, repositories=unmet, components=parts, last_drill=None)
        )
        if r.kind == "no-point"
    ]
    assert "that counts: the plan has another URL for primary than before" in told.text


@pytest.mark.parametrize("late_s", [-HOUR, -2 * HOUR])
def test_a_point_of_the_future_has_no_age(late_s: float) -> None:
    ahead = point(60)._replace(available_at=before(late_s))
    rpo, [told] = judge_rpo(healthy(newest=ahead), NOW)
    assert (rpo.exposure_s, told.verdict) == (None, UNKNOWN)
    assert told.text == (
        f"the newest restore point is dated 2026-11-25 0{1 if late_s == -HOUR else 2}:31:00 UTC, "
        "which is in the future: a clock was set back"
    )


def test_an_older_point_that_is_left_is_at_risk_at_least() -> None:
    def left(exposure_s: float) -> Reason:
        damaged = repository(
            newest=point(60), sound=point(exposure_s), damage="rot", damaged_since=before(30)
        )
        facts = healthy(newest=point(60), repositories=(damaged,))
        [told] = [r for r in reasons(facts) if r.kind == "rpo"]
        return told

    assert left(61).verdict is AT_RISK
    assert left(15 * MINUTE + 1).verdict is BREACHED
    assert (
        left(HOUR).text
        == "the newest readable restore point has data of 2026-11-24 23:31:00 UTC (RPO 15m)"
    )
    assert left(HOUR).remedy == "drd backup orders-api"


def test_a_point_that_a_drill_could_not_restore_is_made_anew_by_who_makes_the_copies() -> None:
    tried = UnrestorableFacts("7c1e", "d1", before(30))
    own, another = "drd backup orders-api", "drd points orders-api"
    anew = ". Let pgbackrest make a new copy"
    for left, lead in ((point(HOUR), "has data of"), (None, "everything would be lost: ")):
        place = repository(newest=point(60), sound=left)
        for cron, remedy, ends in ((None, own, ""), ("made by pgbackrest", another, anew)):
            facts = healthy(newest=point(60), repositories=(place,), unrestorable=tried, cron=cron)
            [told] = [r for r in reasons(facts) if r.kind == "rpo"]
            assert (told.verdict, told.remedy) == (BREACHED, remedy)
            assert tried.words() in told.text
            assert lead in told.text
            assert told.text.endswith(ends or (")" if left else "that can be restored"))


def test_without_any_readable_point_everything_would_be_lost_or_nobody_knows() -> None:
    empty = healthy(repositories=(repository(newest=None, sound=None),))
    [told] = [r for r in reasons(empty) if r.kind == "rpo"]
    assert (told.verdict, told.remedy) == (BREACHED, "drd doctor orders-api")
    assert told.text.startswith("everything would be lost: no repository")
    [told] = reasons(healthy(repositories=()))
    assert (told.verdict, told.kind) == (UNKNOWN, "rpo")
    assert told.text == "drd does not know which repository contains the restore points"
    gone = healthy(repositories=(repository(lost="gone"),))
    assert [r.kind for r in reasons(gone)] == ["repository-gone"]


def test_a_former_address_is_named_where_points_were_known_before() -> None:
    unmet = (
        repository(newest=None, sound=None, met=False),
        repository("offsite", newest=None, sound=None, met=False),
        repository("third", newest=None, sound=None),
    )
    facts = healthy(newest=None, repositories=unmet, first_loaded_at=before(60))
    [told] = [r for r in reasons(facts) if r.kind == "no-point"]
    assert told.verdict is UNKNOWN
    assert told.text == (
        "there is no restore point yet that counts: the plan has another URL for primary and "
        "offsite than before, and drd has not yet found a repository there (restore points at the "
        "former URL: drd points orders-api)"
    )
    assert told.remedy == "drd doctor orders-api"
    new = ComponentFacts("orders-db", "postgres")
    never = facts._replace(last_drill=None, components=(new,))
    [told] = [r for r in reasons(never) if r.kind == "no-point"]
    assert told.text == "there is no restore point yet: nothing can be restored"
    for known in ({"last_drill": drill()}, {"components": facts.components}):
        [told] = [r for r in reasons(never._replace(**known)) if r.kind == "no-point"]
        assert "that counts" in told.text
    failing = facts._replace(failures=failures(1))
    [told] = [r for r in reasons(failing) if r.kind == "no-point"]
    assert told.text == (
        "there is no restore point yet. Cause: pg_dump cannot connect (tried at 2026-11-25 "
        "00:27:00 UTC)"
    )


def test_while_nothing_can_be_read_the_objective_is_missed() -> None:
    lost = healthy(repositories=(repository(lost="gone", lost_since=before(200)),))
    assert judge_rpo(healthy(), NOW)[0].attainment == 1.0
    assert judge_rpo(lost, NOW)[0].attainment == pytest.approx(1 - 200 / (30 * DAY), abs=1e-9)
    earlier = healthy(outages=((before(3000), before(2000)),))
    assert judge_rpo(earlier, NOW)[0].attainment == pytest.approx(1 - 1000 / (30 * DAY), abs=1e-9)


def test_the_newest_of_several_misses_is_shown() -> None:
    missed = (
        (before(20 * HOUR), before(19 * HOUR)),
        (before(3 * HOUR), before(2 * HOUR)),
    )
    [told] = reasons(healthy(missed=missed))
    assert told.text == "the RPO was exceeded for 1h, until 2026-11-24 22:31:00 UTC"
    young = healthy(missed=missed[1:], first_loaded_at=before(3 * HOUR))
    assert reasons(young) == [], "it waited for the very first backup"


# --- after an undo --------------------------------------------------------------------------


def undone(exposure_s: float, **changes: Any) -> PlanFacts:
    """A recovery was undone a minute ago; the newest point from before it is `exposure_s` old."""
    back = UndoneFacts("5f0c", before(MINUTE), ("orders-db",), point(exposure_s))
    return healthy(undone=back, **changes)


@pytest.mark.parametrize(
    ("exposure_s", "verdict", "lead"),
    [
        (10 * MINUTE, MET, ""),
        (13 * MINUTE, AT_RISK, "RPO nearly exceeded: "),
        (2 * HOUR, BREACHED, "RPO exceeded: "),
    ],
)
def test_points_of_an_undone_recovery_do_not_count(
    exposure_s: float, verdict: Verdict, lead: str
) -> None:
    facts = undone(exposure_s)
    rpo, [reason] = judge_rpo(facts, NOW)
    assert (rpo.exposure_s, rpo.verdict, reason.verdict) == (exposure_s, verdict, verdict)
    assert reason.text.startswith(
        f"{lead}the newest backup of the data that the undo of recovery 5f0c put back has data of "
    )
    assert reason.text.endswith(
        "; newer restore points contain the data that this recovery had restored"
    )
    assert (reason.remedy, reason.kind) == ("drd backup orders-api", "rpo" if lead else "")
    component = judge_component(facts, facts.components[0], None, NOW)
    assert (component.exposure_s, component.verdict) == (exposure_s, verdict)
    other = ComponentFacts("conf", "files", before(252), 10)
    assert judge_component(facts, other, None, NOW).exposure_s == 252.0
    assert assess(facts, NOW).newest == point(exposure_s)


def test_points_made_while_a_recovery_had_restored_a_part_do_not_count() -> None:
    left = UnfinishedFacts("5f0c", before(HOUR), "failed", ("orders-db",), ("conf",))
    mixed = UndoneFacts("5f0c", before(MINUTE), ("orders-db",), point(2 * HOUR), unfinished=True)
    rpo, [reason] = judge_rpo(healthy(undone=mixed, unfinished=left), NOW)
    assert (rpo.exposure_s, rpo.verdict) == (2 * HOUR, BREACHED)
    assert reason.text.startswith(
        "RPO exceeded: the newest backup that does not mix data of two times has data of "
    )
    assert reason.text.endswith(
        "; newer restore points were made while recovery 5f0c had restored only a part of the "
        "service"
    )
    assert reason.remedy == "drd run show 5f0c"
    other = left._replace(run="77aa")
    [after] = judge_rpo(healthy(undone=mixed, unfinished=other), NOW)[1]
    assert after.remedy == "drd backup orders-api"
    [after] = judge_rpo(healthy(undone=mixed), NOW)[1]
    assert after.remedy == "drd backup orders-api"


def test_the_time_since_an_undo_is_missed_if_the_objective_is() -> None:
    young = {"first_loaded_at": before(100 * MINUTE)}
    late = judge_rpo(undone(2 * HOUR, **young), NOW)[0].attainment
    good = judge_rpo(undone(10 * MINUTE, **young), NOW)[0].attainment
    assert (late, good) == (0.99, 1.0)


def test_a_copy_has_no_newer_data_than_counts_after_an_undo() -> None:
    assert copy(undone(2 * HOUR)) == (before(2 * HOUR), 2 * HOUR, MET)
    assert copy(undone(2 * HOUR), 3 * HOUR) == (before(3 * HOUR), 3 * HOUR, BREACHED)
    assert copy(undone(2 * HOUR), None) == (None, None, UNKNOWN)


def test_a_backup_that_fails_after_an_undo_is_the_cause() -> None:
    [reason] = reasons(undone(2 * HOUR, failures=failures()))
    assert "put back has data of" in reason.text
    assert "Cause: pg_dump cannot connect" in reason.text
    failure, note = reasons(undone(10 * MINUTE, failures=failures()))
    assert failure.text.startswith("the last backup failed: pg_dump cannot connect")
    assert "put back has data of" in note.text


def test_a_readable_point_older_than_the_one_before_the_recovery_counts() -> None:
    kept = repository(sound=point(3 * HOUR), damage="a pack is bad", damaged_since=before(HOUR))
    rpo, _ = judge_rpo(undone(2 * HOUR, repositories=(kept,)), NOW)
    assert rpo.exposure_s == 3 * HOUR


# --- logs -----------------------------------------------------------------------------------


def _with_log(log_s: float | None, **changes: Any) -> PlanFacts:
    """A plan whose last backup is two hours old, with a log that leads on from it."""
    server = ComponentFacts(
        "server",
        "postgres-cluster",
        before(2 * HOUR),
        1000,
        log_at=before(log_s) if log_s is not None else None,
        log_every_s=30.0 if log_s is not None else None,
    )
    return healthy(
        components=(server,),
        newest=point(2 * HOUR),
        interval_s=DAY,
        missed=((before(5 * HOUR), before(3 * HOUR)),),
        **changes,
    )


def test_the_exposure_counts_from_what_is_stored_of_the_log() -> None:
    met, said = judge_rpo(_with_log(40), NOW)
    assert (met.exposure_s, met.achievable_s, met.verdict) == (40.0, 35.0, MET)
    assert (met.attainment, said) == (None, [])
    late, [why] = judge_rpo(_with_log(20 * MINUTE), NOW)
    assert (late.exposure_s, late.verdict) == (20 * MINUTE, BREACHED)
    assert "RPO exceeded: the log that drd has stored has data of 2026-11-25 00:11:00" in why.text
    none, _ = judge_rpo(_with_log(None), NOW)
    assert (none.exposure_s, none.verdict) == (2 * HOUR, BREACHED)


def test_a_component_without_a_log_counts_by_its_backup() -> None:
    facts = _with_log(40)
    files = ComponentFacts("conf", "files", before(2 * HOUR), 1000)
    both = facts._replace(components=(*facts.components, files))
    assert judge_rpo(both, NOW)[0].exposure_s == 2 * HOUR
    exposures = [judge_component(both, c, None, NOW).exposure_s for c in both.components]
    assert exposures == [40.0, 2 * HOUR]


def test_a_log_leads_on_only_from_a_point_that_can_be_read() -> None:
    facts = _with_log(40)
    gone = facts.repositories[0]._replace(lost="gone")
    lost, _ = judge_rpo(facts._replace(repositories=(gone,)), NOW)
    assert lost.verdict is BREACHED


def test_the_status_says_that_copies_do_not_get_the_log() -> None:
    copies = tuple(CopyFacts(n, "primary", before(HOUR)) for n in ("second", "third"))
    facts = _with_log(40, copies=copies)
    rpo, [note] = judge_rpo(facts, NOW)
    assert (rpo.verdict, note.verdict, note.kind) == (MET, MET, "")
    assert note.text == (
        "copies second, third do not have the log of server: a recovery from one of them alone "
        "loses what was written after the restore point"
    )
    one, other = copies
    known = (one._replace(logs=(("server", before(60)),)), other)
    [note] = judge_rpo(facts._replace(copies=known), NOW)[1]
    assert note.text.startswith("copy third does not have the log of server")
    assert judge_rpo(facts._replace(copies=()), NOW)[1] == []
    assert "the log" not in str(reasons(healthy(copies=copies)))


def test_a_copy_of_a_plan_with_logs_may_be_as_old_as_two_backups_are_apart() -> None:
    facts = _with_log(40)
    found = [
        judge_copy(facts, CopyFacts("second", "primary", before(days * DAY)), NOW).verdict
        for days in (1.5, 2.1)
    ]
    assert found == [MET, BREACHED]
    logs = (("server", before(50)),)
    by_log = judge_copy(facts, CopyFacts("second", "primary", before(1.5 * DAY), logs=logs), NOW)
    assert (by_log.exposure_s, by_log.verdict) == (50.0, MET)
    stale = CopyFacts("second", "primary", before(1.5 * DAY), logs=(("server", before(HOUR)),))
    assert judge_copy(facts, stale, NOW).verdict is BREACHED
    bare = facts.components[0]._replace(log_every_s=None)
    late = judge_copy(
        facts._replace(components=(bare,)), CopyFacts("second", "primary", before(HOUR)), NOW
    )
    assert late.verdict is BREACHED
