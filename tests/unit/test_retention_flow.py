"""What retention forgets in each repository, what it spares, and when it waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from drd.errors import (
    RepositoryError,
    RepositoryMissing,
    RepositoryUnreachable,
    SnapshotsUnreadable,
)
from drd.flows.incidents.opening import open_incident
from drd.flows.incidents.writing import Desk
from drd.flows.services import Services
from drd.flows.state import clock_trust
from drd.flows.upkeep.retention import RetentionOutcome, RetentionRequest, retention
from drd.flows.upkeep.retention_plan import (
    MOST_NAMED,
    Forgetting,
    out_of_the_future,
    plan_forgetting,
)
from drd.flows.upkeep.retention_share import KEEP_OWN
from drd.model.actor import Actor
from drd.model.clock import SNAPSHOT_SKEW
from drd.model.holds import GivenUp, Hold
from drd.model.incidents.entries import Author
from drd.model.plan import Plan, RepositorySpec
from drd.model.policies import RetentionPolicy
from drd.model.run import RunKind, RunState, StepState
from drd.model.run_details import BackupDetail, RecoveryDetail, RetentionDetail
from drd.model.snapshot import MadeDuring, RestorePoint
from drd.model.step_results import ChoiceStepResult, ForgetStepResult
from drd.ports import SnapshotInfo
from drd.process import Boot
from tests.fakes_repository import MemoryRepository
from tests.flow_support import DAY, NOON, World

MINUTE = timedelta(minutes=1)
IDS = [f"{n}{n}{n}{n}aaaa" for n in range(9)]


@pytest.fixture
def points(world: World) -> list[RestorePoint]:
    """Eight points, a day apart, in both repositories, the oldest first. With `last: 6` two of them
    are due, which is what one run may forget."""
    return [world.stored(IDS[n], NOON - MINUTE - (7 - n) * DAY, copied=True) for n in range(8)]


def keeping(world: World, last: int = 6) -> Plan:
    return replace(world.plan, retention=RetentionPolicy(last=last))


def forgetting(world: World, last: int = 6, **how: bool) -> Forgetting:
    return plan_forgetting(world.services, keeping(world, last), **how)


def forget(
    world: World, last: int = 6, services: Services | None = None, **request: object
) -> RetentionOutcome:
    asked = RetentionRequest(**request)  # type: ignore[arg-type]
    return retention(services or world.services, keeping(world, last), asked)


def codes(plan: Forgetting) -> list[str]:
    return [pause.code for pause in plan.pauses]


def snapshots_of(world: World, name: str, *points: str) -> set[str]:
    marks = {f"run:{p}" for p in points}
    return {s.id for s in world.repositories[name].snapshots() if marks & set(s.tags)}


def stray(
    repository: MemoryRepository, run: str, at: datetime, *tags: str, plan: str = "shop"
) -> str:
    """A snapshot of a run that made no point."""
    return repository.store_bytes(
        b"x", "x", host=plan, tags=["drd", f"plan:{plan}", f"run:{run}", *tags], time=at
    ).snapshot


def ended(world: World, state: RunState) -> str:
    """A backup run that ended so."""
    now = world.clock.now()
    owned = world.catalogue.runs.begin(world.plan, RunKind.BACKUP, trigger="manual", at=now)
    world.catalogue.runs.finish(owned, state, at=now)
    owned.release()
    return owned.run.id


# --- what is due ---


def test_whole_points_go_manifests_first(world: World, points: list[RestorePoint]) -> None:
    plan = forgetting(world)
    assert (plan.chosen.forget, plan.due, plan.limit) == ((IDS[1], IDS[0]), (IDS[1], IDS[0]), 2)
    assert (plan.pauses, plan.vanished, plan.unreached, plan.hollow) == ((), (), {}, {})
    primary, offsite = plan.shares
    assert (primary.name, offsite.name) == ("primary", "offsite")
    gone = [points[1], points[0]]
    assert primary.manifests == tuple(p.repositories["primary"] for p in gone)
    assert primary.others == tuple(str(row.snapshot) for p in gone for row in p.components)
    assert offsite.manifests == tuple(p.repositories["offsite"] for p in gone)
    for share in plan.shares:
        assert share.leftovers == share.own == share.vanished == ()
        assert set(share.snapshots) == snapshots_of(world, share.name, *IDS[:2])
        assert share.points[share.manifests[0]] == IDS[1]
    assert plan.snapshots == 12
    assert plan.leftovers == 0


def test_points_of_other_plans_are_not_touched(world: World, points: list[RestorePoint]) -> None:
    other = stray(world.primary, IDS[0], NOON, plan="other")
    assert other not in forgetting(world).shares[0].snapshots


def test_more_than_the_limit_waits_for_a_person(world: World, points: list[RestorePoint]) -> None:
    forget(world)
    world.stored(IDS[8], NOON - MINUTE / 2, copied=True)
    plan = forgetting(world, last=1)
    assert plan.limit == 1
    assert plan.chosen.forget == (IDS[2],)
    assert plan.chosen.over == (IDS[7], IDS[6], IDS[5], IDS[4], IDS[3])
    assert plan.due == (IDS[7], IDS[6], IDS[5], IDS[4], IDS[3], IDS[2])
    assert forgetting(world, last=1, force=True).chosen.forget == plan.due
    forget(world, last=1)
    assert forgetting(world, last=1).chosen.forget == ()
    assert forgetting(world, last=1, force=True).chosen.forget == plan.due[:-1]


def test_completed_points_raise_the_limit(world: World, points: list[RestorePoint]) -> None:
    forget(world)
    assert forgetting(world).limit == 6 // 4
    world.backup()
    world.backup()
    assert forgetting(world).limit == 2 + 8 // 4
    world.backup("conf")  # incomplete
    assert forgetting(world).limit == 2 + 9 // 4
    forget(world)
    assert forgetting(world).limit == 7 // 4


def test_points_count_from_when_the_last_retention_read_the_listing(
    world: World, points: list[RestorePoint]
) -> None:
    forget(world)
    world.backup()
    assert forgetting(world).limit == 1 + 7 // 4
    state = world.catalogue.keeping.state("shop")
    assert state is not None
    world.catalogue.keeping.record_leaving(replace(state, succeeded_at=world.clock.now()))
    assert forgetting(world).limit == 7 // 4
    world.catalogue.keeping.record_leaving(replace(state, succeeded_at=None))
    assert forgetting(world).limit == 1 + 7 // 4, "by the runs, where no state says so"


def test_a_held_point_stays(world: World, points: list[RestorePoint]) -> None:
    world.catalogue.keeping.hold(Hold(IDS[0], "shop", "the audit", NOON))
    world.catalogue.keeping.hold(Hold(IDS[1], "shop", "was needed", NOON, until=NOON))
    plan = forgetting(world)
    assert plan.chosen.forget == (IDS[1],)
    assert next(k for k in plan.chosen.keep if k.id == IDS[0]).reasons == ("held",)


def test_points_from_before_an_open_incident_of_the_plan_stay(
    world: World, points: list[RestorePoint]
) -> None:
    """Any of them may turn out to be the newest clean one. Those of other plans, and those from
    after the incident was opened, follow the rules."""
    author = Author("anna", points[0].data_time + MINUTE)
    open_incident(world.catalogue, author, "leak", plans=["shop"], severity="high")
    later = replace(author, at=NOON)
    open_incident(world.catalogue, later, "else", plans=["other"], severity="low")
    plan = forgetting(world)
    assert plan.chosen.forget == (IDS[1],)
    assert next(k for k in plan.chosen.keep if k.id == IDS[0]).reasons == ("incident 1 is open",)
    Desk(world.catalogue, 1, later).close("over")
    assert forgetting(world).chosen.forget == (IDS[1], IDS[0])


def test_points_of_an_incident_that_is_opened_since_the_decision_stay(
    world: World, points: list[RestorePoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    def decided(*args: Any, **how: Any) -> Forgetting:
        plan = plan_forgetting(*args, **how)
        assert plan.chosen.forget == (IDS[1], IDS[0])
        open_incident(world.catalogue, author, "leak", plans=["shop"], severity="high")
        return plan

    author = Author("anna", NOON)
    monkeypatch.setattr("drd.flows.upkeep.retention.plan_forgetting", decided)
    forget(world)
    for name in ("primary", "offsite"):
        assert snapshots_of(world, name, IDS[0])
        assert snapshots_of(world, name, IDS[1])


def test_a_point_that_is_being_restored_stays(world: World, points: list[RestorePoint]) -> None:
    detail = RecoveryDetail(point=IDS[0])
    owned = world.catalogue.runs.begin(
        world.plan, RunKind.RECOVERY, trigger="manual", detail=detail, at=NOON
    )
    plan = forgetting(world)
    assert plan.chosen.forget == (IDS[1],)
    [kept] = [k for k in plan.chosen.keep if k.id == IDS[0]]
    assert kept.reasons == (f"recovery {owned.run.id} is restoring this point",)
    world.catalogue.runs.finish(owned, RunState.SUCCEEDED, at=NOON)
    owned.release()
    assert forgetting(world).chosen.forget == (IDS[1], IDS[0])


def test_a_point_that_a_drill_has_chosen_stays(world: World, points: list[RestorePoint]) -> None:
    owned = world.catalogue.runs.begin(world.plan, RunKind.DRILL, trigger="manual", at=NOON)
    world.catalogue.steps.begin(owned, "choose", "choose", NOON)
    chosen = ChoiceStepResult(point=IDS[1])
    world.catalogue.steps.finish(owned, "choose", StepState.SUCCEEDED, at=NOON, result=chosen)
    assert forgetting(world).chosen.forget == (IDS[0],)
    owned.release()


def test_a_point_named_in_a_backup_run_is_not_kept_for_that(
    world: World, points: list[RestorePoint]
) -> None:
    owned = world.catalogue.runs.begin(
        world.plan, RunKind.BACKUP, trigger="manual", detail=BackupDetail(point=IDS[0]), at=NOON
    )
    assert forgetting(world).chosen.forget == (IDS[1], IDS[0])
    owned.release()


def test_the_newest_point_of_a_copy_stays(world: World) -> None:
    for n in range(8):
        world.stored(IDS[n], NOON - MINUTE - (7 - n) * DAY, copied=n == 1)
    plan = forgetting(world)
    assert plan.chosen.forget == (IDS[0],)
    [kept] = [k for k in plan.chosen.keep if k.id == IDS[1]]
    assert kept.reasons == ("newest in offsite",)


def test_a_point_that_passed_a_drill_stays(world: World, points: list[RestorePoint]) -> None:
    world.drilled(point=IDS[0])
    assert forgetting(world).chosen.forget == (IDS[1],)


# --- what else goes ---


def test_leftovers_of_runs_that_failed_go(world: World, points: list[RestorePoint]) -> None:
    gone = [
        stray(world.primary, ended(world, state), NOON)
        for state in (RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED)
    ]
    stray(world.primary, ended(world, RunState.SUCCEEDED), NOON)
    world.catalogue.runs.begin(world.plan, RunKind.COPY, trigger="manual", at=NOON).release()
    plan = forgetting(world)
    assert [p for p in plan.pauses if p.code != "backup-failed"] == []
    assert set(forgetting(world).shares[0].leftovers) == set(gone)
    assert plan.leftovers == 3


def test_leftovers_of_another_host_go_after_a_day(world: World, points: list[RestorePoint]) -> None:
    old = stray(world.primary, "ffffffff", NOON - DAY - timedelta(seconds=1))
    stray(world.primary, "eeeeeeee", NOON - DAY)
    stray(world.primary, "dddddddd", NOON - 2 * DAY)
    stray(world.primary, "dddddddd", NOON - MINUTE)  # it may be at work
    assert forgetting(world).shares[0].leftovers == (old,)


def test_points_of_another_host_are_not_leftovers(world: World, points: list[RestorePoint]) -> None:
    stray(world.primary, "ffffffff", NOON - 9 * DAY)
    stray(world.primary, "ffffffff", NOON - 9 * DAY, "manifest")
    assert forgetting(world).shares[0].snapshots == forgetting(world).shares[0].manifests + (
        forgetting(world).shares[0].others
    )


def test_old_copies_of_drd_s_own_state_go(world: World, points: list[RestorePoint]) -> None:
    owned = ended(world, RunState.SUCCEEDED)
    own = [
        stray(world.primary, owned, NOON - MINUTE * (100 - n), "component:drd")
        for n in range(KEEP_OWN + 2)
    ]
    plan = forgetting(world)
    assert plan.shares[0].own == tuple(own[:2])
    assert set(own[:2]) <= set(plan.shares[0].snapshots)


def test_a_copy_forgets_what_was_forgotten_while_it_was_away(
    world: World, points: list[RestorePoint]
) -> None:
    held = snapshots_of(world, "offsite", IDS[0], IDS[1])
    real = world.offsite
    away = replace(world.services, open_repository=lambda s: _away(world, s))
    with pytest.raises(
        RepositoryError,
        match="retention could not forget restore points in copy offsite: no answer",
    ):
        forget(world, services=away)
    assert snapshots_of(world, "primary", IDS[0], IDS[1]) == set()
    assert world.offsite is real
    share = forgetting(world).shares[1]
    assert set(share.manifests + share.others) == held
    assert forgetting(world).shares[0].snapshots == ()
    forget(world)
    assert snapshots_of(world, "offsite", IDS[0], IDS[1]) == set()


def test_snapshots_of_a_forgotten_point_that_come_back_are_strangers_in_the_primary_repository(
    world: World, points: list[RestorePoint]
) -> None:
    forget(world)
    back = stray(world.primary, IDS[0], NOON - 9 * DAY, "manifest")
    late = stray(world.primary, IDS[1], NOON)
    share = forgetting(world).shares[0]
    assert back not in share.snapshots
    assert share.leftovers == (late,)
    world.catalogue.keeping.hold(Hold(IDS[1], "shop", "the audit", NOON))
    assert forgetting(world).shares[0].leftovers == ()


def _away(world: World, spec: RepositorySpec) -> MemoryRepository:
    if spec.name != "offsite":
        return world.repository(spec)

    class Away(MemoryRepository):
        def identity(self) -> str | None:
            raise RepositoryUnreachable("no answer")

    return Away(spec.name, spec.url)


# --- when it waits ---


def test_late_backups_pause_retention_without_a_look(
    world: World, points: list[RestorePoint]
) -> None:
    world.after(minutes=14)
    assert codes(forgetting(world)) == []
    world.after(minutes=1)
    plan = forgetting(world)
    assert codes(plan) == ["rpo"]
    assert (plan.shares, plan.chosen.forget, plan.due) == ((), (), (IDS[1], IDS[0]))
    assert [k.id for k in plan.chosen.keep if k.reasons == ("retention is paused",)] == [
        IDS[1],
        IDS[0],
    ]
    assert plan.limit == 2
    assert plan.unreached == {}


def test_a_look_without_a_run_goes_on_although_it_is_paused(
    world: World, points: list[RestorePoint]
) -> None:
    world.after(minutes=15)
    plan = forgetting(world, writing=False)
    assert codes(plan) == ["rpo"]
    assert [s.name for s in plan.shares] == ["primary", "offsite"]
    assert plan.snapshots == 0
    assert plan.chosen.forget == ()
    assert plan.due == (IDS[1], IDS[0])


def test_a_clock_that_differs_pauses_before_any_listing(
    world: World, points: list[RestorePoint]
) -> None:
    world.offsite.ahead_s = 3600.0
    for writing in (True, False):
        plan = forgetting(world, writing=writing)
        assert codes(plan) == ["clock-differs"]
        assert plan.shares == ()


def test_without_the_repository_nothing_is_decided(
    world: World, points: list[RestorePoint]
) -> None:
    world.primary.id = None
    with pytest.raises(RepositoryMissing):
        forgetting(world)
    world.after(minutes=15)
    plan = forgetting(world, writing=False)
    assert codes(plan) == ["rpo"]
    assert list(plan.unreached) == ["primary"]
    assert plan.shares == ()


def test_a_copy_that_cannot_be_reached_is_named(world: World, points: list[RestorePoint]) -> None:
    world.offsite.id = None
    plan = forgetting(world)
    assert [s.name for s in plan.shares] == ["primary"]
    assert {n: type(e) for n, e in plan.unreached.items()} == {"offsite": RepositoryMissing}
    away = replace(world.services, open_repository=lambda s: _away(world, s))
    plan = plan_forgetting(away, keeping(world))
    assert {n: type(e) for n, e in plan.unreached.items()} == {"offsite": RepositoryUnreachable}


def test_a_copy_that_was_never_made_is_not_trouble(world: World) -> None:
    world.stored(IDS[0], NOON - MINUTE)
    plan = forgetting(world)
    assert plan.unreached == {}
    assert [s.name for s in plan.shares] == ["primary"]


def test_snapshots_that_others_removed_pause_it(world: World, points: list[RestorePoint]) -> None:
    lost = str(points[3].components[0].snapshot)
    world.primary.forget([lost])
    plan = forgetting(world)
    assert codes(plan) == ["listing-shrank"]
    assert plan.missing == {"primary": {IDS[3]: (lost,)}}
    assert plan.hollow == {}  # the copy has it
    assert plan.snapshots == 0
    assert codes(forgetting(world)) == ["listing-shrank"]


def test_a_point_that_lost_a_component_everywhere_is_hollow(
    world: World, points: list[RestorePoint]
) -> None:
    lost = str(points[7].components[1].snapshot)
    world.primary.forget([lost])
    [copy] = [s.id for s in world.offsite.snapshots() if s.original == lost]
    world.offsite.forget([copy])
    plan = forgetting(world)
    assert plan.hollow == {IDS[7]: ("data",)}
    [newest] = [k for k in plan.chosen.keep if k.id == IDS[6]]
    assert "newest" in newest.reasons


def test_a_point_that_was_never_copied_is_hollow_without_a_look_at_the_copy(world: World) -> None:
    point = world.stored(IDS[0], NOON - MINUTE)
    world.stored(IDS[1], NOON - DAY, copied=True)
    world.primary.forget([str(point.components[1].snapshot)])
    world.offsite.id = None
    assert forgetting(world).hollow == {IDS[0]: ("data",)}


def test_a_hollow_point_stands_for_no_other(world: World, points: list[RestorePoint]) -> None:
    world.drilled(point=IDS[1])
    lost = str(points[1].components[1].snapshot)
    world.primary.forget([lost])
    [copy] = [s.id for s in world.offsite.snapshots() if s.original == lost]
    world.offsite.forget([copy])
    plan = forgetting(world)
    assert IDS[1] in plan.due


def test_a_point_that_an_unreached_copy_may_contain_is_not_lost(
    world: World, points: list[RestorePoint]
) -> None:
    world.primary.forget([str(points[7].components[1].snapshot)])
    world.primary.forget([points[2].repositories["primary"]])
    world.offsite.id = None
    plan = forgetting(world)
    assert plan.hollow == {}
    assert plan.vanished == ()
    assert plan.shares[0].vanished == (IDS[2],)


def test_a_point_that_is_nowhere_has_vanished(world: World, points: list[RestorePoint]) -> None:
    for name in ("primary", "offsite"):
        world.repositories[name].forget([points[2].repositories[name]])
    plan = forgetting(world)
    assert plan.vanished == (IDS[2],)
    assert [s.vanished for s in plan.shares] == [(IDS[2],), (IDS[2],)]
    assert codes(plan) == ["listing-shrank", "listing-shrank"]


def test_points_that_were_given_up_are_not_missed(world: World, points: list[RestorePoint]) -> None:
    world.catalogue.keeping.give_up([GivenUp(IDS[0], "shop", "damaged", NOON)])
    for name in ("primary", "offsite"):
        world.repositories[name].forget([points[0].repositories[name]])
    plan = forgetting(world)
    assert codes(plan) == []
    assert plan.vanished == (IDS[0],)
    # What is left of it goes with it.
    assert len(plan.shares[0].leftovers) == 2


def test_a_snapshot_of_the_future_pauses_it(world: World, points: list[RestorePoint]) -> None:
    ahead = stray(world.primary, "ffffffff", NOON + DAY)
    with_it = stray(world.primary, "ffffffff", NOON - DAY)
    plan = forgetting(world)
    [pause] = plan.pauses
    assert pause.code == "future"
    assert pause.text == (
        f"snapshot {ahead[:8]} in primary is dated 2026-11-26 12:00:00 UTC, in the future"
    )
    assert "drd points forget" not in pause.remedy
    ids = {ahead[:8], with_it[:8]}
    words = pause.remedy.split("`restic forget ")[1].split("`")[0]
    assert set(words.split()) == ids
    assert plan.snapshots == 0


def test_a_snapshot_within_the_skew_of_clocks_is_not_of_the_future(
    world: World, points: list[RestorePoint]
) -> None:
    stray(world.primary, "ffffffff", NOON + SNAPSHOT_SKEW)
    assert codes(forgetting(world)) == []
    stray(world.primary, "eeeeeeee", NOON + SNAPSHOT_SKEW + timedelta(seconds=1))
    assert codes(forgetting(world)) == ["future"]


def test_several_snapshots_of_the_future_are_counted(
    world: World, points: list[RestorePoint]
) -> None:
    first = stray(world.primary, "ffffffff", NOON + DAY)
    stray(world.primary, "eeeeeeee", NOON + 2 * DAY)
    stray(world.primary, "dddddddd", NOON + 3 * DAY)
    [pause] = forgetting(world).pauses
    assert pause.text == (
        f"snapshot {first[:8]} and 2 more in primary are dated in the future: "
        "2026-11-26 12:00:00 UTC or later"
    )


def test_a_snapshot_of_nobody_s_run_is_named_alone(
    world: World, points: list[RestorePoint]
) -> None:
    made = world.primary.store_bytes(b"x", "x", host="laptop", tags=[], time=NOON + DAY).snapshot
    world.primary.store_bytes(b"x", "x", host="laptop", tags=[], time=NOON - DAY)
    [pause] = forgetting(world).pauses
    assert pause.code == "future"
    assert f"`restic forget {made[:8]}`" in pause.remedy


def test_a_small_difference_of_clocks_does_not_count_as_the_future(
    world: World, points: list[RestorePoint]
) -> None:
    stray(world.primary, "ffffffff", NOON + timedelta(seconds=1))
    assert codes(forgetting(world)) == []


def test_points_of_the_future_are_to_be_given_up_by_name(
    world: World, points: list[RestorePoint]
) -> None:
    world.stored(IDS[8], NOON + DAY)
    plan = forgetting(world)
    assert codes(plan) == ["future"]
    assert f"`drd points forget {IDS[8]} --reason TEXT`" in plan.pauses[0].remedy
    assert "restic forget" not in plan.pauses[0].remedy


def test_a_point_of_the_future_with_sound_snapshots_pauses_it(
    world: World, points: list[RestorePoint]
) -> None:
    world.catalogue.points.record(replace(points[6], available_at=NOON + DAY))
    [pause] = forgetting(world).pauses
    assert pause.code == "future"
    assert f"`drd points forget {IDS[6]} --reason TEXT`" in pause.remedy
    assert pause.text.startswith(f"restore point {IDS[6]} is dated 2026-11-26 12:00:00 UTC")


def test_ways_out_of_the_future_name_no_more_than_fits() -> None:
    snapshots = [SnapshotInfo(f"{n:08}", NOON, "h", (), (), None) for n in range(MOST_NAMED + 1)]
    few = out_of_the_future([], snapshots[:MOST_NAMED])
    assert "00000199`. Then run" in few
    many = out_of_the_future([f"p{n}" for n in range(MOST_NAMED + 1)], snapshots)
    assert "00000199`, and again for the rest. Then run" in many
    assert f" p{MOST_NAMED - 1} --reason" in many
    assert "00000200" not in many


# --- a run ---


def test_retention_forgets_points_and_records_them(
    world: World, points: list[RestorePoint]
) -> None:
    outcome = forget(world)
    assert outcome.state is RunState.SUCCEEDED
    assert outcome.forgotten == (IDS[1], IDS[0])
    assert world.listed(world.primary) == world.listed(world.offsite) == set(IDS[2:8])
    assert {p.id for p in world.catalogue.points.of_plan("shop")} == set(IDS[2:8])
    run = world.catalogue.runs.get(outcome.run)
    assert run.detail.to_json() == {
        "forgotten": [IDS[1], IDS[0]],
        "snapshots": 12,
        "bytes": 400,
        "limit": 2,
        "waiting": [],
    }
    state = world.catalogue.keeping.state("shop")
    assert state is not None
    assert (state.run, state.at, state.succeeded_at) == (outcome.run, NOON, NOON)
    assert (state.paused_since, state.pauses, state.waiting) == (None, (), ())
    assert (state.missing, state.leaving) == ({}, ())
    assert [s.name for s in world.catalogue.steps.of_run(outcome.run)] == [
        "forget",
        "forget in offsite",
    ]
    assert [s.result for s in world.catalogue.steps.of_run(outcome.run)] == [
        ForgetStepResult(snapshots=6),
        ForgetStepResult(snapshots=6),
    ]


def test_a_run_without_anything_to_forget_has_no_steps(
    world: World, points: list[RestorePoint]
) -> None:
    outcome = forget(world, last=20)
    assert outcome.forgotten == ()
    assert world.catalogue.steps.of_run(outcome.run) == []


def test_a_forced_retention_records_the_reason_and_the_person(
    world: World, points: list[RestorePoint]
) -> None:
    by = Actor(uid=1000, user="ann", login_uid=1000, host="db1", came="cli")
    asked = RetentionRequest(force="a wrong policy", by=by)
    assert asked.detail().to_json() == {"force": "a wrong policy", "by": by.to_json()}
    assert RetentionRequest(by=by).detail().to_json() == {}
    assert RetentionRequest(clock_is_right="it is").detail().to_json() == {
        "clock_is_right": "it is"
    }
    world.catalogue.keeping.hold(Hold(IDS[4], "shop", "the audit", NOON))
    forget(world)
    outcome = forget(world, last=1, force="a wrong policy")
    assert outcome.forgotten == (IDS[6], IDS[5], IDS[3], IDS[2])
    assert world.listed(world.primary) == {IDS[7], IDS[4]}


def test_a_person_may_confirm_a_clock_that_was_set(
    world: World, points: list[RestorePoint]
) -> None:
    services = replace(world.services, booted=lambda: Boot("b1", 100.0))
    assert clock_trust.jumped_s(services) is None
    world.after(hours=2)
    assert clock_trust.jumped_s(services) == 7200
    world.primary.ahead_s = 3600.0  # the server confirms nothing
    forget(world, services=services)
    assert clock_trust.jumped_s(services) == 7200
    forget(world, services=services, clock_is_right="compared with my watch")
    assert clock_trust.jumped_s(services) is None


def test_a_paused_run_says_why_and_since_when(world: World, points: list[RestorePoint]) -> None:
    forget(world)
    world.after(minutes=20)
    outcome = forget(world, last=1)
    assert (outcome.state, outcome.forgotten) == (RunState.PAUSED, ())
    run = world.catalogue.runs.get(outcome.run)
    assert str(run.error).startswith(
        "paused: the newest complete restore point has data of 2026-11-25 11:59:00 UTC"
    )
    assert isinstance(run.detail, RetentionDetail)
    assert [p.code for p in run.detail.pauses] == ["rpo"]
    first = world.catalogue.keeping.state("shop")
    assert first is not None
    assert first.paused_since == world.clock.now()
    assert first.succeeded_at == NOON
    assert [p.code for p in first.pauses] == ["rpo"]
    world.after(minutes=1)
    forget(world, last=1)
    second = world.catalogue.keeping.state("shop")
    assert second is not None
    assert (second.paused_since, second.at) == (first.at, world.clock.now())
    assert len(world.listed(world.primary)) == 6


def test_waiting_points_wait_on_while_it_is_paused(
    world: World, points: list[RestorePoint]
) -> None:
    forget(world)
    forget(world, last=1)
    waiting = (IDS[6], IDS[5], IDS[4], IDS[3])
    state = world.catalogue.keeping.state("shop")
    assert state is not None
    assert state.waiting == waiting
    world.after(minutes=20)
    forget(world, last=1)
    state = world.catalogue.keeping.state("shop")
    assert state is not None
    assert state.waiting == waiting


def test_missing_snapshots_are_remembered_by_a_paused_run(
    world: World, points: list[RestorePoint]
) -> None:
    lost = str(points[3].components[0].snapshot)
    world.primary.forget([lost])
    forget(world)
    state = world.catalogue.keeping.state("shop")
    assert state is not None
    assert state.missing == {"primary": {IDS[3]: (lost,)}}
    assert state.leaving == ()


def test_a_paused_run_notes_points_that_vanished(world: World, points: list[RestorePoint]) -> None:
    world.primary.forget([points[2].repositories["primary"]])
    forget(world)
    assert world.point(IDS[2]).repositories.keys() == {"offsite"}


@pytest.mark.parametrize(("name", "other"), [("primary", "offsite"), ("offsite", "primary")])
def test_a_run_notes_where_a_point_that_was_given_up_is_not_any_more(
    world: World, points: list[RestorePoint], name: str, other: str
) -> None:
    given_up = GivenUp(IDS[4], "shop", "damaged", NOON, repository=name)
    world.catalogue.keeping.give_up([given_up])
    world.repositories[name].forget([points[4].repositories[name]])
    assert forget(world).state is RunState.SUCCEEDED
    assert world.point(IDS[4]).repositories.keys() == {other}
    assert world.point(IDS[5]).repositories.keys() == {name, other}


def test_a_hollow_point_is_incomplete_for_good(world: World, points: list[RestorePoint]) -> None:
    lost = str(points[7].components[1].snapshot)
    world.primary.forget([lost])
    [copy] = [s.id for s in world.offsite.snapshots() if s.original == lost]
    world.offsite.forget([copy])
    forget(world)
    point = world.point(IDS[7])
    assert not point.complete
    assert [(c.component, c.state) for c in point.components] == [
        ("conf", "captured"),
        ("data", "failed"),
    ]
    (warning,) = world.warnings
    assert warning == (
        f"restore point {IDS[7]} of shop is incomplete now, because somebody removed its "
        "snapshot of data without drd: find out who. To see which restore points are complete: "
        "drd points shop"
    )


def test_an_unreadable_snapshot_ends_the_run_and_pauses_retention(
    world: World, points: list[RestorePoint]
) -> None:
    world.primary.unreadable["5a" * 32] = "broken"
    with pytest.raises(SnapshotsUnreadable):
        forget(world)
    state = world.catalogue.keeping.state("shop")
    assert state is not None
    assert [p.code for p in state.pauses] == ["unreadable"]
    assert state.paused_since == NOON
    assert len(world.listed(world.primary)) == 8


class Keeps(MemoryRepository):
    """Append-only: removes nothing, and says nothing."""

    def forget(self, snapshots: Sequence[str]) -> None:
        """As a server that refuses."""


def append_only(world: World, name: str) -> None:
    world.repositories[name].__class__ = Keeps


def test_a_repository_that_removes_nothing_is_found_out(
    world: World, points: list[RestorePoint]
) -> None:
    append_only(world, "primary")
    with pytest.raises(RepositoryError) as caught:
        forget(world)
    assert caught.value.message == (
        "the repository still lists 6 of 6 snapshots that drd has just forgotten"
    )
    assert len(world.catalogue.points.of_plan("shop")) == 8
    state = world.catalogue.keeping.state("shop")
    assert state is not None
    assert (state.leaving, state.succeeded_at) == ((IDS[1], IDS[0]), None)


def test_a_copy_that_removes_nothing_keeps_no_other_from_it(
    world: World, points: list[RestorePoint]
) -> None:
    append_only(world, "offsite")
    with pytest.raises(RepositoryError) as caught:
        forget(world)
    assert caught.value.message == (
        "retention could not forget restore points in copy offsite: the repository still lists "
        "6 of 6 snapshots that drd has just forgotten"
    )
    assert world.listed(world.primary) == set(IDS[2:8])
    assert len(world.catalogue.points.of_plan("shop")) == 6


def test_the_error_of_a_copy_is_as_lasting_as_its_cause(
    world: World, points: list[RestorePoint]
) -> None:
    away = replace(world.services, open_repository=lambda s: _away(world, s))
    with pytest.raises(RepositoryError) as caught:
        forget(world, services=away)
    assert caught.value.hint == "the next retention forgets these restore points there, too."
    assert caught.value.permanent == RepositoryUnreachable("x").permanent


def test_a_hold_since_the_decision_is_kept(world: World, points: list[RestorePoint]) -> None:
    class Holding(MemoryRepository):
        """Somebody holds the older point while the listing is made."""

        def snapshots(self, **how: object) -> object:  # type: ignore[override]
            listing = super().snapshots(**how)  # type: ignore[arg-type]
            if not world.catalogue.keeping.holds("shop"):
                world.catalogue.keeping.hold(Hold(IDS[0], "shop", "the audit", NOON))
            return listing

    world.offsite.__class__ = Holding
    plan = forgetting(world)
    assert plan.chosen.forget == (IDS[1],)


def test_a_backup_with_an_evidently_wrong_clock_warns(world: World) -> None:
    world.stored(IDS[0], NOON + 4000 * DAY)
    world.backup()
    (warning,) = [text for text in world.warnings if "clock" in text]
    assert f"restore point {IDS[0]} is dated 2037-11-07 12:00 UTC" in warning
    assert "the clock is wrong, or was wrong then" in warning


def test_the_newest_point_without_data_of_two_times_stays(
    world: World, points: list[RestorePoint]
) -> None:
    """A recovery takes it rather than those that were made while another one was unfinished."""
    mixed = MadeDuring("5f0c0000", ("conf",), False)
    for n in (4, 5, 6, 7):
        world.catalogue.points.record(replace(points[n], made_during=mixed))
    found = forgetting(world, last=2)
    assert IDS[3] not in found.due
    assert {IDS[2], IDS[4]} < set(found.due)
