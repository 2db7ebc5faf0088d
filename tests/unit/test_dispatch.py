"""What may start now: limits, deadlines, and what gives way to a backup close to its RPO."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.model.backups_ahead import BackupQueue
from drd.model.dispatch import RunLimits, Running, StartDecision, choose
from drd.model.due import Due
from drd.model.policies import Blackout
from drd.model.schedule import Job, Timing
from tests.growth import calls
from tests.schedule_support import DAY, HOUR, MINUTE, NOW, ago, ahead

EXCLUSIVE = ("retention", "prune")
YIELDING = (*EXCLUSIVE, "verification")
BACKGROUND = ("copy", "verification")
WIDE = RunLimits(
    runs=100, drills=100, copies=100, maintenance=100, per_repository=100, per_host=100
)


def due(
    kind: str = "backup",
    plan: str = "orders-api",
    *,
    at: datetime | None = None,
    deadline: datetime | None = None,
    expected_s: float | None = 60.0,
    rpo_s: float = 15 * MINUTE,
    subject: str = "",
    **changes: object,
) -> Due:
    """Due since a second; a backup has to begin in 10 minutes, others within a week."""
    repositories = changes.pop("repositories", (f"/srv/{plan}",))
    job = Job(plan, kind, Timing(every_s=300), rpo_s, subject, repositories, **changes)  # type: ignore[arg-type]
    usual = ahead(10 * MINUTE) if kind == "backup" else ahead(7 * DAY)
    return Due(job, at or ago(1), deadline or usual, expected_s, "every 5m", "schedule")


def test_the_first_backup_ahead_is_one_that_was_not_started() -> None:
    started: set[tuple[str, str, str]] = set()
    queue = BackupQueue(started)
    dues = [due(plan=name, repositories=(f"/srv/{name}", "/srv/all")) for name in "abc"]
    for minutes, one in zip((2, 1, 3), dues, strict=True):
        queue.add(ahead(minutes * MINUTE), one)
    queue.sort()

    def first(url: str = "") -> str:
        found = queue.first(url)
        return found[1].job.plan if found is not None else ""

    assert (first(), first("/srv/all"), first("/srv/c"), first("/srv/none")) == ("b", "b", "c", "")
    started.add(dues[2].job.key)
    assert (first(), first("/srv/c")) == ("b", "")
    started.add(dues[1].job.key)
    assert (first(), first("/srv/all")) == ("a", "a")
    started.add(dues[0].job.key)
    assert first() == ""


def ran(found: StartDecision) -> list[str]:
    return [f"{d.job.kind} of {d.job.plan}" for d in found.start]


def why(found: StartDecision) -> dict[str, str]:
    return {f"{d.job.kind} of {d.job.plan}": reason for d, reason in found.waiting}


def alone(due: Due, *others: Due, running: Sequence[Running] = (), limits: RunLimits = WIDE) -> str:
    """Why it waits; empty when it starts."""
    found = choose([due, *others], running, limits, NOW)
    return dict(found.waiting).get(due, "" if due in found.start else "not due")


def waits(what: str, setting: str = "") -> str:
    where = f" (`limits: {{{setting}}}` in drd.yaml)" if setting else ""
    return f"waits: {what} are in progress{where}"


MAINTENANCE = waits("1 of at most 1 runs of retention, prune or verification", "maintenance: 1")


# --- order and limits ---------------------------------------------------------------------------


def test_a_due_job_starts_and_a_later_one_does_not() -> None:
    found = choose([due(), due(plan="billing", at=ahead(1))], (), RunLimits(), NOW)
    assert ran(found) == ["backup of orders-api"]
    assert found.waiting == ()


def test_a_job_is_due_from_its_very_instant_on() -> None:
    assert ran(choose([due(at=NOW)], (), RunLimits(), NOW)) == ["backup of orders-api"]


@pytest.mark.parametrize("limits", [RunLimits(runs=1), RunLimits(per_repository=1)])
def test_a_backup_waits_for_no_backup_that_comes_earlier_than_its_end(limits: RunLimits) -> None:
    shared = {"repositories": ("/srv/shared",)}
    slow = due(plan="a", expected_s=HOUR, **shared)
    soon = due(plan="b", at=ahead(1), deadline=ahead(MINUTE), **shared)
    assert alone(slow, soon, limits=limits) == ""


def test_earliest_deadline_first() -> None:
    dues = [due(plan=f"p{n}", deadline=ahead(60 * (5 - n))) for n in range(5)]
    found = choose(dues, (), RunLimits(runs=3), NOW)
    assert ran(found) == ["backup of p4", "backup of p3", "backup of p2"]
    assert why(found) == {
        f"backup of p{n}": waits("3 of at most 3 runs", "runs: 3") for n in (0, 1)
    }


@pytest.mark.parametrize(
    ("kind", "limits", "words"),
    [
        ("backup", RunLimits(backups=1), waits("1 of at most 1 backups", "backups: 1")),
        ("drill", RunLimits(), waits("1 of at most 1 drills", "drills: 1")),
        ("copy", RunLimits(copies=1), waits("1 of at most 1 copies", "copies: 1")),
        ("prune", RunLimits(), MAINTENANCE),
        ("retention", RunLimits(), MAINTENANCE),
        ("verification", RunLimits(), MAINTENANCE),
        ("readiness", RunLimits(), waits("1 of at most 1 readiness runs")),
        ("kit", RunLimits(), waits("1 of at most 1 kit runs")),
        ("control", RunLimits(), waits("1 of at most 1 control runs")),
        ("backup", RunLimits(runs=1), waits("1 of at most 1 runs", "runs: 1")),
    ],
)
def test_only_so_many_runs_of_a_kind_start_at_once(
    kind: str, limits: RunLimits, words: str
) -> None:
    found = choose([due(kind, "a"), due(kind, "b")], (), limits, NOW)
    assert ran(found) == [f"{kind} of a"]
    assert why(found) == {f"{kind} of b": words}
    running = [Running(kind="verification" if kind in YIELDING else kind, plan="c")]
    assert alone(due(kind, "a"), running=running, limits=limits) == words


def test_backups_may_take_all_slots_unless_limited() -> None:
    dues = [due(plan=f"p{n}") for n in range(6)]
    assert len(choose(dues, (), RunLimits(runs=5), NOW).start) == 5
    assert len(choose(dues, (), RunLimits(runs=5, backups=3), NOW).start) == 3


def test_runs_of_other_commands_take_slots() -> None:
    running = [Running("billing", "recovery"), Running("shop", "backup")]
    assert alone(due(), running=running, limits=RunLimits(runs=2)) == waits(
        "2 of at most 2 runs", "runs: 2"
    )


def test_repository_has_its_limit() -> None:
    shared = {"repositories": ("/srv/shared",)}
    dues = [due(plan=f"p{n}", **shared) for n in range(3)]
    found = choose(dues, (), RunLimits(per_repository=2), NOW)
    assert len(found.start) == 2
    (reason,) = why(found).values()
    assert reason == waits(
        "2 of at most 2 runs that use the repository /srv/shared", "per_repository: 2"
    )


def test_host_of_a_component_has_its_limit() -> None:
    dues = [due(plan=f"p{n}", hosts=("db1", f"db-of-p{n}")) for n in range(3)]
    found = choose(dues, (), RunLimits(per_host=2), NOW)
    assert ran(found) == ["backup of p0", "backup of p1"]
    assert why(found) == {
        "backup of p2": waits("2 of at most 2 runs that read from db1", "per_host: 2")
    }
    there = [Running.of(d.job) for d in dues[:2]]
    assert "db1" in alone(dues[2], running=there, limits=RunLimits(per_host=2))


def test_one_run_of_a_plan_kind_and_subject_at_a_time() -> None:
    running = [Running("orders-api", "verification", "primary")]
    second = due("verification", subject="primary")
    assert alone(second, running=running) == "verification of orders-api is running"
    assert alone(due("verification", subject="offsite"), running=running) == ""
    assert alone(due("backup"), running=running) == ""


@pytest.mark.parametrize(("one", "other"), [("retention", "prune"), ("prune", "retention")])
def test_retention_and_prune_of_a_plan_exclude_each_other(one: str, other: str) -> None:
    """Whatever repository they are about."""
    running = [Running("orders-api", one, "offsite")]
    assert alone(due(other), running=running) == f"{one} of orders-api is running"
    assert alone(due(other, "billing"), running=running) == ""
    assert alone(due(other), running=[Running("orders-api", "backup")]) == ""


@pytest.mark.parametrize("kind", ["backup", "readiness"])
def test_a_recovery_over_production_holds_what_asks_the_services(kind: str) -> None:
    """The runbook has stopped them; but a backup that is late in the end starts all the same."""
    running = [Running("orders-api", "recovery", replaces=True)]
    assert alone(due(kind), running=running) == (
        "recovery of orders-api over production is running"
    )
    assert alone(due(kind, deadline=NOW), running=running) == ""
    assert alone(due(kind, "billing"), running=running) == ""
    assert alone(due("copy", subject="offsite"), running=running) == ""
    assert alone(due(kind), running=[Running("orders-api", "recovery")]) == ""


def test_blackout_that_has_begun_meanwhile_holds_what_was_due_before() -> None:
    night = Timing(every_s=300, blackout=(Blackout(22 * 60, 6 * 60),))
    late = due(at=ago(3 * HOUR))
    late = replace(late, job=replace(late.job, timing=night))
    assert alone(late) == "waits until the blackout ends at 06:00 UTC"


# --- exclusive use of a repository --------------------------------------------------------------


@pytest.mark.parametrize("kind", EXCLUSIVE)
@pytest.mark.parametrize("user", ["backup", "drill", "copy", "recovery", *YIELDING])
def test_exclusive_jobs_wait_for_other_users_of_a_repository(kind: str, user: str) -> None:
    repositories = ("/srv/shared",)
    running = [Running("billing", user, repositories=repositories)]
    found = alone(due(kind, repositories=repositories), running=running)
    assert found == f"{user} of billing uses the repository /srv/shared"


@pytest.mark.parametrize("kind", EXCLUSIVE)
@pytest.mark.parametrize("user", ["backup", "drill", "copy", "verification"])
def test_nobody_enters_a_repository_that_is_used_alone(kind: str, user: str) -> None:
    repositories = ("/srv/shared", "/srv/other")
    running = [Running("billing", kind, repositories=("/srv/shared",))]
    found = alone(due(user, repositories=repositories), running=running)
    assert found == f"{kind} of billing uses the repository /srv/shared"
    assert alone(due(user, repositories=("/srv/other",)), running=running) == ""


def test_readiness_locks_nothing_and_waits_for_nobody() -> None:
    running = [Running("orders-api", "prune", repositories=("/srv/orders-api",))]
    assert alone(due("readiness", repositories=()), running=running) == ""


def test_overdue_prune_is_let_in_before_runs_that_overlap_for_ever() -> None:
    shared = {"repositories": ("/srv/shared",)}
    running = [Running("a", "backup", repositories=("/srv/shared",))]
    prune = due("prune", deadline=ago(1), **shared)
    backup = due(plan="b", deadline=ahead(14 * MINUTE), **shared)
    found = choose([prune, backup], running, WIDE, NOW)
    assert found.start == ()
    assert why(found)["backup of b"] == "waits for prune of orders-api, which is overdue"
    for deadline in (ahead(DAY), ahead(1)):
        patient = replace(prune, deadline=deadline)
        assert ran(choose([patient, backup], running, WIDE, NOW)) == ["backup of b"]


def test_a_backup_in_the_second_half_of_its_rpo_has_priority() -> None:
    shared = {"repositories": ("/srv/shared",)}
    running = [Running("a", "backup", repositories=("/srv/shared",))]
    prune = due("prune", deadline=ago(1), expected_s=1.0, **shared)
    backup = due(plan="b", deadline=ahead(6 * MINUTE), **shared)
    assert ran(choose([prune, backup], running, WIDE, NOW)) == ["backup of b"]


@pytest.mark.parametrize("runs", [2, 1])
def test_the_first_of_several_backups_is_waited_for_in_whatever_order_they_are_known(
    runs: int,
) -> None:
    limits = RunLimits(runs=runs)
    running = [Running("shop", "backup")][: runs - 1]
    drill = due("drill", expected_s=9 * MINUTE)
    first = due(plan="p1", at=ahead(MINUTE), deadline=ahead(5 * MINUTE))
    later = due(plan="p2", at=ahead(MINUTE), deadline=ahead(8 * MINUTE))
    for backups in ((first, later), (later, first)):
        reason = alone(drill, *backups, running=running, limits=limits)
        assert reason == "waits for the backup of p1, which must begin by 00:36 UTC"


def test_as_many_backups_as_slots_need_no_more_time_than_there_is() -> None:
    soon = [
        due(plan=f"p{n}", at=ahead(30), deadline=ahead(4 * MINUTE), expected_s=HOUR)
        for n in range(4)
    ]
    drill = due("drill", expected_s=5 * MINUTE)
    assert alone(drill, *soon[:3], limits=RunLimits(runs=4)) == ""
    assert "waits for 4 backups" in alone(drill, *soon, limits=RunLimits(runs=4))


@pytest.mark.parametrize(("left_s", "close"), [(450, True), (451, False)])
def test_a_backup_that_was_never_measured_takes_nothing_of_its_rpo(
    left_s: float, close: bool
) -> None:
    shared = {"repositories": ("/srv/shared",)}
    running = [Running("a", "backup", repositories=("/srv/shared",))]
    prune = due("prune", deadline=NOW, expected_s=1.0, **shared)
    backup = due(plan="b", deadline=ahead(left_s), expected_s=None, **shared)
    found = choose([prune, backup], running, WIDE, NOW)
    assert (ran(found) == ["backup of b"]) == close


@pytest.mark.parametrize(("left_s", "fresh"), [(810, False), (811, True)])
def test_a_point_of_a_backup_that_was_never_measured_is_fresh_as_long(
    left_s: float, fresh: bool
) -> None:
    backup = due(at=ahead(30), deadline=ahead(left_s), expected_s=None)
    assert (alone(due("prune", expected_s=HOUR), backup) == "") == fresh


def test_a_job_is_overdue_from_its_deadline_on() -> None:
    one, two = RunLimits(runs=1), RunLimits(runs=2)
    hours = due(plan="p1", at=ahead(30 * MINUTE), deadline=ahead(50 * MINUTE), rpo_s=4 * HOUR)
    for deadline, waits in ((NOW, False), (ahead(1), True)):
        first = due("drill", expected_s=None, deadline=deadline)
        assert bool(alone(first, hours, limits=one)) == waits
        measured = due("copy", deadline=deadline)
        assert bool(alone(measured, running=[Running("shop", "drill")], limits=two)) == waits


@pytest.mark.parametrize("backwards", [False, True])
def test_only_so_many_backups_are_counted_as_begin_before_the_end(backwards: bool) -> None:
    soon = [due(plan=f"p{n}", at=ahead(30), deadline=ahead(60 * (n + 1))) for n in range(20)]
    drill = due("drill", expected_s=5 * MINUTE)
    dues = soon[::-1] if backwards else soon
    assert alone(drill, *dues, limits=RunLimits(runs=4)) == ""
    long = [replace(d, expected_s=4 * MINUTE) for d in dues]
    assert alone(drill, *long, limits=RunLimits(runs=4)) == (
        "waits for 5 backups, which must begin by 00:36 UTC"
    )


def test_only_a_backup_has_priority_over_an_overdue_prune() -> None:
    shared = {"repositories": ("/srv/shared",)}
    running = [Running("a", "backup", repositories=("/srv/shared",))]
    prune = due("prune", deadline=ago(60), **shared)
    for kind in ("copy", "drill"):
        late = due(kind, "b", deadline=ago(30), **shared)
        found = choose([prune, late], running, WIDE, NOW)
        assert why(found)[f"{kind} of b"] == "waits for prune of orders-api, which is overdue"


@pytest.mark.parametrize(("left_s", "close"), [(7 * MINUTE, True), (7 * MINUTE + 1, False)])
def test_half_of_the_time_that_the_rpo_leaves_is_close(left_s: float, close: bool) -> None:
    """15 minutes, of which the backup itself takes one."""
    shared = {"repositories": ("/srv/shared",)}
    running = [Running("a", "backup", repositories=("/srv/shared",))]
    prune = due("prune", deadline=NOW, expected_s=1.0, **shared)
    backup = due(plan="b", deadline=ahead(left_s), **shared)
    found = choose([prune, backup], running, WIDE, NOW)
    assert (ran(found) == ["backup of b"]) == close


def test_a_job_that_takes_exactly_until_a_backup_begins_waits_for_it() -> None:
    backup = due(at=ahead(2 * MINUTE), deadline=ahead(8 * MINUTE))
    for expected_s, waits in ((8 * MINUTE, True), (8 * MINUTE - 1, False)):
        assert bool(alone(due("prune", expected_s=expected_s), backup)) == waits


@pytest.mark.parametrize(("left_s", "fresh"), [(13 * 54, False), (13 * 54 + 1, True)])
def test_a_point_is_fresh_while_nine_tenths_of_its_time_are_left(
    left_s: float, fresh: bool
) -> None:
    """Of 13 minutes: 15, of which the backup takes one before and one after."""
    backup = due(at=ahead(30), deadline=ahead(left_s))
    long = due("prune", expected_s=HOUR)
    assert (alone(long, backup) == "") == fresh


# --- giving way ---------------------------------------------------------------------------------

GIVES_WAY = ("drill", *EXCLUSIVE)


@pytest.mark.parametrize("kind", GIVES_WAY)
def test_last_slot_is_kept_for_a_backup_that_comes_within_the_run(kind: str) -> None:
    limits = RunLimits(runs=2)
    running = [Running("shop", "backup")]
    backup = due(plan="billing", at=ahead(2 * MINUTE), deadline=ahead(8 * MINUTE))
    long, short = due(kind, expected_s=9 * MINUTE), due(kind, expected_s=7 * MINUTE)
    reason = "waits for the backup of billing, which must begin by 00:39 UTC"
    assert alone(long, backup, running=running, limits=limits) == reason
    assert alone(short, backup, running=running, limits=limits) == ""
    assert alone(long, backup, limits=limits) == ""
    busy = [*running, Running.of(backup.job)]
    assert alone(long, backup, running=busy, limits=RunLimits(runs=3)) == ""


@pytest.mark.parametrize("kind", BACKGROUND)
def test_backups_run_beside_jobs_of_unknown_duration(kind: str) -> None:
    """However many there are, and whatever else is in the repository."""
    shared = {"repositories": ("/srv/shared",)}
    running = [Running(f"p{n}", kind, **shared) for n in range(2)] + [
        Running("x", "drill", **shared)
    ]
    limits = RunLimits(runs=4, drills=2, per_repository=2)
    assert alone(due(**shared), running=running, limits=limits) == ""
    assert "waits: 3 of at most 2 runs" in alone(
        due("drill", **shared), running=running, limits=limits
    )


@pytest.mark.parametrize("kind", BACKGROUND)
def test_jobs_of_unknown_duration_do_not_get_the_last_slot(kind: str) -> None:
    """Unless it was measured, is late itself, and no backup is known to come meanwhile."""
    two = RunLimits(runs=2)
    running = [Running("shop", "drill")]
    reason = "waits: the last slot is reserved for backups"
    for deadline in (ahead(DAY), ago(DAY)):
        unknown = due(kind, expected_s=None, deadline=deadline)
        assert alone(unknown, running=running, limits=two) == reason
    assert alone(due(kind), limits=two) == ""
    assert alone(due(kind), limits=RunLimits(runs=1)) == ""
    late = due(kind, deadline=ago(1), expected_s=9 * MINUTE)
    assert alone(late, running=running, limits=two) == ""
    backup = due(plan="billing", at=ahead(2 * MINUTE), deadline=ahead(8 * MINUTE))
    reason = "waits for the backup of billing, which must begin by 00:39 UTC"
    assert alone(late, backup, running=running, limits=two) == reason


def test_backup_that_is_not_due_before_the_end_needs_no_slot() -> None:
    """Its deadline has passed, but it failed and is tried again later."""
    backup = due(plan="billing", at=ahead(10 * MINUTE), deadline=ago(DAY))
    drill = due("drill", expected_s=9 * MINUTE)
    assert alone(drill, backup, running=[Running("x", "copy")], limits=RunLimits(runs=2)) == ""


@pytest.mark.parametrize("kind", YIELDING)
def test_repository_is_kept_for_a_backup_that_comes_within_the_run(kind: str) -> None:
    backup = due(at=ahead(2 * MINUTE), deadline=ahead(8 * MINUTE))
    reason = "waits for the backup of orders-api, which must begin by 00:39 UTC"
    assert alone(due(kind, expected_s=9 * MINUTE), backup) == reason
    assert alone(due(kind, expected_s=7 * MINUTE), backup) == ""
    other = due("prune", "billing", expected_s=9 * MINUTE)
    assert alone(other, backup) == ""


@pytest.mark.parametrize("kind", ["drill", "copy"])
def test_last_place_in_a_repository_is_kept_for_a_backup(kind: str) -> None:
    repositories = ("/srv/orders-api",)
    backup = due(at=ahead(2 * MINUTE), deadline=ahead(8 * MINUTE))
    run = due(kind, expected_s=9 * MINUTE)
    limits = replace(WIDE, per_repository=2)
    there = [Running("x", "drill", repositories=repositories)]
    assert "waits for the backup of orders-api" in alone(run, backup, running=there, limits=limits)
    assert alone(run, backup, limits=limits) == ""


@pytest.mark.parametrize("kind", YIELDING)
def test_a_job_longer_than_the_rpo_starts_right_after_a_backup(kind: str) -> None:
    """No moment is long enough; then the one at which it costs least."""
    long = due(kind, expected_s=HOUR)
    fresh = due(at=ahead(4 * MINUTE), deadline=ahead(13 * MINUTE))
    older = due(at=ahead(1 * MINUTE), deadline=ahead(10 * MINUTE))
    assert alone(long, fresh) == ""
    assert "waits for" in alone(long, older)


def test_only_slot_of_all_is_given_away_right_after_the_backups() -> None:
    one = RunLimits(runs=1)
    drill = due("drill", expected_s=HOUR)
    fresh = [due(plan=f"p{n}", at=ahead(240), deadline=ahead(13 * MINUTE)) for n in range(3)]
    assert alone(drill, *fresh, limits=one) == ""
    older = due(plan="p9", at=ahead(60), deadline=ahead(10 * MINUTE))
    assert "waits for the backup of p9" in alone(drill, *fresh, older, limits=one)


def test_many_backups_that_come_close_need_more_than_the_last_slot() -> None:
    soon = [
        due(plan=f"p{n}", at=ahead(30), deadline=ahead(4 * MINUTE), expected_s=60.0)
        for n in range(20)
    ]
    drill = due("drill", expected_s=5 * MINUTE)
    assert (
        alone(drill, *soon, limits=RunLimits(runs=4))
        == "waits for 20 backups, which must begin by 00:36 UTC"
    )
    assert alone(drill, *soon[:15], limits=RunLimits(runs=4)) == ""
    assert alone(drill, *soon, limits=RunLimits(runs=5)) == ""


def test_backups_of_unknown_duration_count_with_a_minute_each() -> None:
    soon = [
        due(plan=f"p{n}", at=ahead(30), deadline=ahead(4 * MINUTE), expected_s=None)
        for n in range(20)
    ]
    drill = due("drill", expected_s=5 * MINUTE)
    assert "waits for 20 backups" in alone(drill, *soon, limits=RunLimits(runs=4))
    assert alone(drill, *soon[:15], limits=RunLimits(runs=4)) == ""


def test_run_that_was_never_measured_gets_its_chance() -> None:
    backup = due(at=ahead(2 * MINUTE), deadline=ahead(8 * MINUTE))
    assert alone(due("retention", expected_s=None), backup) == ""
    close = due(at=ahead(30), deadline=ahead(50))
    assert "waits for" in alone(due("retention", expected_s=None), close)


@pytest.mark.parametrize("kind", ["prune", "verification"])
def test_first_run_that_may_take_long_needs_ten_minutes_or_is_overdue(kind: str) -> None:
    backup = due(at=ahead(2 * MINUTE), deadline=ahead(8 * MINUTE))
    fresh = due(at=ahead(4 * MINUTE), deadline=ahead(13 * MINUTE))
    later = due(at=ahead(2 * MINUTE), deadline=ahead(11 * MINUTE))
    first = due(kind, expected_s=None)
    assert "waits for" in alone(first, backup)
    assert alone(first, fresh) == alone(first, later) == ""
    assert alone(replace(first, deadline=ago(1)), backup) == ""


def test_first_drill_takes_the_only_slot_after_backups_or_when_overdue() -> None:
    """It may take hours: nobody knows."""
    one = RunLimits(runs=1)
    first = due("drill", expected_s=None)
    hours = due(plan="p1", at=ahead(30 * MINUTE), deadline=ahead(50 * MINUTE), rpo_s=4 * HOUR)
    fresh = due(plan="p2", at=ahead(240), deadline=ahead(13 * MINUTE))
    assert "waits for the backup of p1" in alone(first, hours, fresh, limits=one)
    assert alone(first, fresh, limits=one) == ""
    assert alone(replace(first, deadline=ago(1)), hours, limits=one) == ""


def test_a_backup_that_starts_now_delays_no_other_job() -> None:
    backup = due(deadline=ahead(30), repositories=("/srv/a",))
    drill = due("drill", expected_s=HOUR, deadline=ahead(DAY))
    found = choose([backup, drill], (), RunLimits(runs=2), NOW)
    assert ran(found) == ["backup of orders-api", "drill of orders-api"]


# --- properties ---------------------------------------------------------------------------------

KINDS = ["backup", "drill", "copy", "retention", "prune", "verification", "readiness"]
names = st.sampled_from(["a", "b", "c", "d"])
urls = st.sets(st.sampled_from(["/r1", "/r2", "/r3"]), min_size=1, max_size=2).map(tuple)
hosts = st.sets(st.sampled_from(["db1", "db2"]), max_size=2).map(tuple)
jobs = st.builds(
    Job,
    names,
    st.sampled_from(KINDS),
    st.just(Timing(every_s=300)),
    st.sampled_from([300.0, 900.0, 86400.0]),
    st.sampled_from(["", "primary"]),
    urls,
    hosts,
)
dues = st.lists(
    st.builds(
        Due,
        jobs,
        st.integers(-3600, 3600).map(ahead),
        st.integers(-3600, 7200).map(ahead),
        st.none() | st.floats(0, 7200),
        st.just("every 5m"),
        st.just("schedule"),
    ),
    max_size=25,
    unique_by=lambda d: d.job.key,
)
running = st.lists(
    st.builds(Running, names, st.sampled_from([*KINDS, "recovery"]), st.just("x"), urls, hosts),
    max_size=5,
    unique_by=lambda r: (r.plan, r.kind),
)
small = st.integers(1, 4)
limits = st.builds(RunLimits, small, st.none() | small, small, small, small, small, small)
GROUP = {"retention": "maintenance", "prune": "maintenance", "verification": "maintenance"}


@given(dues, running, limits)
def test_every_limit_holds_and_everything_due_is_decided(
    dues: list[Due], running: list[Running], limits: RunLimits
) -> None:
    found = choose(dues, running, limits, NOW)
    decided = [*found.start, *(d for d, _ in found.waiting)]
    assert sorted(d.job.key for d in decided) == sorted(d.job.key for d in dues if d.at <= NOW)
    assert all(reason for _, reason in found.waiting)
    deadlines = [d.deadline for d in found.start]
    assert deadlines == sorted(deadlines)

    everyone = [*running, *(Running.of(d.job) for d in found.start)]
    new = [Running.of(d.job) for d in found.start]
    if new:
        assert len(everyone) <= limits.runs
    groups = Counter(GROUP.get(r.kind, r.kind) for r in everyone)
    most = {
        "backup": limits.backups or limits.runs,
        "drill": limits.drills,
        "copy": limits.copies,
        "maintenance": limits.maintenance,
        "readiness": 1,
    }
    for place, run in enumerate(new):
        group = GROUP.get(run.kind, run.kind)
        assert groups[group] <= most[group]
        for host in run.hosts:
            assert sum(host in r.hosts for r in everyone) <= limits.per_host
        for url in run.repositories:
            users = [r for r in everyone if url in r.repositories]
            before = [*running, *new[: place + 1]]  # a backup may begin beside a copy afterwards
            counted = [
                r
                for r in before
                if url in r.repositories and (run.kind != "backup" or r.kind not in BACKGROUND)
            ]
            assert len(counted) <= limits.per_repository
            if any(r.kind in EXCLUSIVE for r in users):
                assert users == [run]
        same = [
            r for r in everyone if (r.plan, r.kind, r.subject) == (run.plan, run.kind, run.subject)
        ]
        assert same == [run]


@given(dues, running, limits)
def test_nothing_that_takes_long_takes_what_a_backup_needs_meanwhile(
    dues: list[Due], running: list[Running], limits: RunLimits
) -> None:
    found = choose(dues, running, limits, NOW)
    busy = {(r.plan, r.kind, r.subject) for r in running} | {d.job.key for d in found.start}
    left = [d for d in dues if d.job.kind == "backup" and d.job.key not in busy]
    free = limits.runs - len(running) - len(found.start)
    for start in (d for d in found.start if d.job.kind != "backup"):
        ends = NOW + timedelta(seconds=start.expected_s or 60)
        for backup in (d for d in left if max(d.at, d.deadline) <= ends):
            room_s = max(0.0, backup.job.rpo_s - 2 * (backup.expected_s or 0))
            time_left_s = (max(backup.at, backup.deadline) - NOW).total_seconds()
            fresh = time_left_s > 0.9 * room_s
            if start.job.kind in YIELDING and set(start.job.repositories) & set(
                backup.job.repositories
            ):
                assert fresh
            if free == 0 and limits.runs == 1:
                assert fresh


def calls_to_choose(count: int) -> int:
    order = random.Random(0)
    dues = [
        due(kind, f"p{n}", deadline=ahead(order.randrange(3600)), expected_s=order.random() * 900)
        for n in range(count)
        for kind in KINDS
        if kind != "copy"
    ]
    order.shuffle(dues)
    choices = []
    limits = RunLimits(runs=50, maintenance=10, drills=5)
    made = calls(lambda: choices.append(choose(dues, (), limits, NOW)))
    [found] = choices
    assert len(found.start) + len(found.waiting) == 6 * count
    assert len(found.start) == 50
    return made


def test_ten_times_the_plans_are_decided_with_ten_times_the_calls() -> None:
    few, many = calls_to_choose(500), calls_to_choose(5_000)
    assert many <= 10 * few
