"""Giving restore points up by name: what needs a word more, and what goes where."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from drd.cli import points_forget
from drd.cli.main import main
from drd.errors import (
    NotSupported,
    RepositoryError,
    RepositoryUnreachable,
    SnapshotsUnreadable,
    UsageError,
)
from drd.flows.upkeep.forget_loss import loss_lines
from drd.flows.upkeep.forget_points import GiveUpRequest, _require_gone, give_up
from drd.model.actor import Actor
from drd.model.adopted import Adopted
from drd.model.holds import Hold
from drd.model.plan import RepositorySpec
from drd.model.retention_state import RetentionState
from drd.model.run import RunState
from drd.model.snapshot import RestorePoint
from tests.fakes_repository import MemoryRepository
from tests.flow_support import DAY, NOON, World

HOUR = timedelta(hours=1)
ANN = Actor(uid=1000, user="ann", login_uid=1000, host="db1", came="cli")
MISSING = {"aaaaaaaa": ("5a" * 32,)}


@pytest.fixture
def point(world: World) -> RestorePoint:
    """One of two, in both repositories."""
    world.stored("bbbbbbbb", NOON - HOUR, copied=True)
    return world.stored("aaaaaaaa", NOON - 2 * HOUR, copied=True)


def damage(world: World, repository: str, affected: Sequence[str] | None = ("aaaaaaaa",)) -> None:
    world.catalogue.health.record_damage("shop", repository, "a pack is gone", affected, NOON)


def give(world: World, *points: str, **how: object) -> tuple[str, ...]:
    what = GiveUpRequest(points or ("aaaaaaaa",), "it is damaged", **how)  # type: ignore[arg-type]
    return give_up(world.services, world.plan, what)


def snapshots_of(world: World, name: str, point: str = "aaaaaaaa") -> int:
    return len(world.repositories[name].snapshots(tags=[f"run:{point}"]))


def is_forgotten(world: World, point: str = "aaaaaaaa") -> bool:
    return bool(world.catalogue.points.forgotten("shop", [point]))


def state(world: World) -> RetentionState:
    found = world.catalogue.keeping.state("shop")
    assert found is not None
    return found


# --- what may be given up ---


def test_a_sound_point_needs_force(world: World, point: RestorePoint) -> None:
    with pytest.raises(UsageError) as caught:
        give(world)
    assert caught.value.message == (
        "drd does not forget restore point aaaaaaaa, because drd has not found damage in this point"
    )
    assert "drd verify shop" in caught.value.hint
    assert snapshots_of(world, "primary") == 3
    assert world.catalogue.runs.newest("shop", limit=1) == []
    assert give(world, force=True) == ("aaaaaaaa",)
    assert snapshots_of(world, "primary") == snapshots_of(world, "offsite") == 0


def test_a_held_point_is_never_given_up(world: World, point: RestorePoint) -> None:
    world.catalogue.keeping.hold(Hold("aaaaaaaa", "shop", "the audit", NOON))
    with pytest.raises(UsageError) as caught:
        give(world, force=True)
    assert caught.value.message == (
        "drd does not forget restore point aaaaaaaa, because it is held: the audit"
    )
    assert caught.value.hint == (
        "if nobody needs the hold any more, release the point: drd release aaaaaaaa"
    )
    assert snapshots_of(world, "primary") == 3
    assert give(world, "bbbbbbbb", force=True) == ("bbbbbbbb",)


def test_a_damaged_point_may_go_where_no_repository_has_it_whole(
    world: World, point: RestorePoint
) -> None:
    damage(world, "primary")
    with pytest.raises(UsageError) as caught:
        give(world)
    assert caught.value.message == (
        "drd does not forget restore point aaaaaaaa, because it is complete in offsite"
    )
    assert caught.value.hint == (
        "--repository primary forgets only the damaged part; "
        "to forget the point anyway, add --force."
    )
    with pytest.raises(UsageError, match="is complete in offsite"):
        give(world, repository="offsite")
    damage(world, "offsite")
    assert give(world) == ("aaaaaaaa",)


def test_the_damaged_part_of_a_point_may_go_alone(world: World, point: RestorePoint) -> None:
    damage(world, "primary")
    give(world, repository="primary")
    assert (snapshots_of(world, "primary"), snapshots_of(world, "offsite")) == (0, 3)
    assert world.point("aaaaaaaa").repositories.keys() == {"offsite"}
    [given] = world.catalogue.keeping.given_up("shop")
    assert (given.point, given.repository, given.reason) == ("aaaaaaaa", "primary", "it is damaged")


def test_damage_of_unknown_extent_concerns_every_point(world: World, point: RestorePoint) -> None:
    damage(world, "primary", None)
    damage(world, "offsite", None)
    assert give(world) == ("aaaaaaaa",)


def test_damage_of_another_point_is_not_a_reason(world: World, point: RestorePoint) -> None:
    damage(world, "primary", ("bbbbbbbb",))
    with pytest.raises(UsageError, match="has not found damage"):
        give(world)


def test_a_point_whole_everywhere_by_now_has_no_lost_part(
    world: World, point: RestorePoint
) -> None:
    # The last retention missed snapshots that are there again.
    missed = RetentionState("shop", NOON, "", missing={"primary": MISSING})
    world.catalogue.keeping.record_state(missed)
    with pytest.raises(UsageError) as caught:
        give(world)
    assert caught.value.message == (
        "drd does not forget restore point aaaaaaaa, because it is complete in primary and offsite"
    )
    assert caught.value.hint == "to forget the point anyway, add --force."


def test_a_point_with_missing_snapshots_may_go(world: World, point: RestorePoint) -> None:
    for name in ("primary", "offsite"):
        world.catalogue.health.record_missing("shop", name, MISSING, (), NOON)
    assert give(world) == ("aaaaaaaa",)


def test_a_snapshot_that_retention_missed_is_no_reason_to_forget_another_point(
    world: World, point: RestorePoint
) -> None:
    missed = RetentionState("shop", NOON, "", missing={"primary": {"bbbbbbbb": ("5a" * 32,)}})
    world.catalogue.keeping.record_state(missed)
    with pytest.raises(UsageError, match="has not found damage"):
        give(world)


def test_incomplete_and_unknown_points_may_go(world: World) -> None:
    world.stored("cccccccc", NOON - HOUR, complete=False)
    assert give(world, "cccccccc", "dddddddd") == ("cccccccc", "dddddddd")
    assert snapshots_of(world, "primary", "cccccccc") == 0


@pytest.mark.parametrize("ahead", ["data_time", "available_at"])
def test_points_of_the_future_may_go(world: World, point: RestorePoint, ahead: str) -> None:
    world.catalogue.points.record(replace(point, **{ahead: NOON + DAY}))
    assert give(world) == ("aaaaaaaa",)


def test_forgetting_is_refused_when_one_of_the_points_is_undamaged(
    world: World, point: RestorePoint
) -> None:
    damage(world, "primary")
    damage(world, "offsite")
    with pytest.raises(
        UsageError, match="restore point bbbbbbbb, because drd has not found damage in this point"
    ):
        give(world, "aaaaaaaa", "bbbbbbbb")


def test_an_unknown_repository_is_refused(world: World, point: RestorePoint) -> None:
    with pytest.raises(UsageError) as caught:
        give(world, repository="third", force=True)
    assert caught.value.message == "plan shop has no repository 'third'"
    assert caught.value.hint == "choose one of the plan's repositories: primary, offsite"


# --- what is said before drd asks ---


def lost(world: World, *points: str, **how: object) -> list[str]:
    what = GiveUpRequest(points or ("aaaaaaaa",), "room", force=True, **how)  # type: ignore[arg-type]
    return loss_lines(world.services, world.plan, what)


def test_the_question_says_what_goes_and_what_stays(world: World, point: RestorePoint) -> None:
    gone, left = lost(world)
    assert gone == (
        "restore point aaaaaaaa: data of 2026-11-25 10:00:00 UTC, 200 B, complete, "
        "in offsite and primary"
    )
    assert left == (
        "the newest restore point that can be restored stays: bbbbbbbb, with data of 2026-11-25 "
        "11:00:00 UTC"
    )


def test_the_question_names_the_newest_point_and_the_loss_without_it(
    world: World, point: RestorePoint
) -> None:
    gone, left = lost(world, "bbbbbbbb")
    assert gone.endswith("in offsite and primary, the newest point that can be restored")
    assert left == (
        "after that, the newest restore point that can be restored is aaaaaaaa, with data "
        "of 2026-11-25 10:00:00 UTC: newer data would be lost (RPO 15m)"
    )
    gone, left = lost(world, "bbbbbbbb", repository="primary")
    assert "in primary, the newest" in gone
    assert "stays: bbbbbbbb" in left


def test_the_question_says_that_nothing_proven_or_nothing_at_all_is_left(world: World) -> None:
    world.stored("aaaaaaaa", NOON - HOUR, proven_by="d1")
    world.stored("bbbbbbbb", NOON - DAY)
    first, _, proof = lost(world)
    assert first.endswith("can be restored, the only point that a drill has proven")
    assert proof == "after that, the plan does not have a restore point that a drill has proven"
    assert lost(world, "aaaaaaaa", "bbbbbbbb", "cccccccc")[2:] == [
        "restore point cccccccc: drd no longer lists this point",
        (
            "after that, the plan does not have a restore point that can be restored: "
            "everything would be lost"
        ),
        proof,
    ]


@pytest.mark.parametrize("answer", ["shop", "aaaaaaaa", ""])
def test_a_person_at_a_terminal_is_asked(
    world: World,
    point: RestorePoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        points_forget, "give_up", lambda _, __, what: asked.append(what.points) or what.points
    )
    config = ["--config", str(world.base / "drd.yaml")]
    words = ["points", "forget", "bbbbbbbb", "--reason", "room", *config]
    assert main(words) == 2, "a refusal comes before the question"
    assert "newest" not in capsys.readouterr().out
    done = main([*words, "--force"])
    told = capsys.readouterr()
    assert "restore point bbbbbbbb: data of 2026-11-25 11:00:00 UTC" in told.out
    assert (done, asked) == ((0, [("bbbbbbbb",)]) if answer == "shop" else (130, []))
    assert ("not confirmed: nothing was changed" in told.err) == (answer != "shop")


# --- what is recorded ---


def test_a_forgotten_point_is_recorded_with_its_reason_and_person(
    world: World, point: RestorePoint
) -> None:
    give(world, force=True, by=ANN)
    [run] = world.catalogue.runs.newest("shop", limit=1)
    assert (run.state, run.trigger) == (RunState.SUCCEEDED, "manual")
    began = {k: run.detail.to_json()[k] for k in ("given_up", "reason", "by")}
    assert began == {"given_up": ["aaaaaaaa"], "reason": "it is damaged", "by": ANN.to_json()}
    steps = world.catalogue.steps.of_run(run.id)
    assert [(s.name, s.result.to_json()) for s in steps] == [
        ("forget in primary", {"snapshots": 3}),
        ("forget in offsite", {"snapshots": 3}),
    ]
    [given] = world.catalogue.keeping.given_up("shop")
    assert (given.point, given.repository, given.by, given.at) == ("aaaaaaaa", "", ANN, NOON)
    assert is_forgotten(world, "aaaaaaaa")
    assert not is_forgotten(world, "bbbbbbbb")


def test_nobody_s_name_is_not_recorded(world: World, point: RestorePoint) -> None:
    give(world, force=True)
    [run] = world.catalogue.runs.newest("shop", limit=1)
    assert "by" not in run.detail.to_json()


def test_points_that_drd_itself_forgets_are_noted_as_leaving(
    world: World, point: RestorePoint
) -> None:
    give(world, force=True)
    give(world, "bbbbbbbb", "aaaaaaaa", force=True)
    assert state(world).leaving == ("aaaaaaaa", "bbbbbbbb")
    assert state(world).at == NOON


def test_the_last_retention_is_remembered(world: World, point: RestorePoint) -> None:
    past = RetentionState("shop", NOON - DAY, "r1", waiting=("bbbbbbbb",), succeeded_at=NOON - DAY)
    world.catalogue.keeping.record_state(past)
    give(world, force=True)
    assert state(world) == replace(past, at=NOON, leaving=("aaaaaaaa",))


def test_given_up_points_are_missing_no_more(world: World, point: RestorePoint) -> None:
    for name in ("primary", "offsite"):
        world.catalogue.health.record_missing("shop", name, MISSING, (), NOON)
    give(world)
    assert [dict(k.missing) for k in world.catalogue.health.of_plan("shop")] == [{}, {}]


def test_in_one_repository_the_other_still_misses_it(world: World, point: RestorePoint) -> None:
    for name in ("primary", "offsite"):
        world.catalogue.health.record_missing("shop", name, MISSING, (), NOON)
    give(world, repository="primary")
    missing = {k.repository: dict(k.missing) for k in world.catalogue.health.of_plan("shop")}
    assert missing == {"primary": {}, "offsite": MISSING}


def test_the_last_place_of_a_point_ends_it(world: World, point: RestorePoint) -> None:
    give(world, repository="primary", force=True)
    assert not is_forgotten(world, "aaaaaaaa")
    give(world, repository="offsite", force=True)
    assert is_forgotten(world, "aaaaaaaa")


# --- what a repository does with it ---


def test_the_manifests_of_points_are_forgotten_before_their_data(
    world: World, point: RestorePoint
) -> None:
    asked: list[Sequence[str]] = []

    class Watched(MemoryRepository):
        def forget(self, snapshots: Sequence[str]) -> None:
            asked.append(snapshots)
            super().forget(snapshots)

    manifests = {world.point(p).repositories["primary"] for p in ("aaaaaaaa", "bbbbbbbb")}
    world.primary.__class__ = Watched
    give(world, "aaaaaaaa", "bbbbbbbb", force=True)
    [ids] = asked
    assert len(ids) == 6
    assert set(ids[:2]) == manifests


def test_a_repository_that_removes_nothing_is_found_out(world: World, point: RestorePoint) -> None:
    class Keeps(MemoryRepository):
        def forget(self, snapshots: Sequence[str]) -> None:
            super().forget(list(snapshots)[:1])

    world.primary.__class__ = Keeps
    with pytest.raises(RepositoryError) as caught:
        give(world, force=True)
    assert caught.value.message == (
        "primary still lists 2 of 3 snapshots that drd has just forgotten"
    )
    assert not is_forgotten(world, "aaaaaaaa")
    [run] = world.catalogue.runs.newest("shop", limit=1)
    assert run.state is RunState.FAILED
    assert snapshots_of(world, "offsite") == 0


def away(spec: RepositorySpec) -> MemoryRepository:
    class Away(MemoryRepository):
        def identity(self) -> str | None:
            raise RepositoryUnreachable("no answer")

    return Away(spec.name, spec.url)


def without(world: World, name: str, **how: object) -> tuple[str, ...]:
    services = replace(
        world.services,
        open_repository=lambda s: away(s) if s.name == name else world.repository(s),
    )
    what = GiveUpRequest(("aaaaaaaa",), "it is damaged", force=True, **how)  # type: ignore[arg-type]
    return give_up(services, world.plan, what)


def test_a_copy_that_is_away_waits_for_retention(world: World, point: RestorePoint) -> None:
    assert without(world, "offsite") == ("aaaaaaaa",)
    assert world.warnings == ["cannot forget the points in offsite now: no answer"]
    assert is_forgotten(world, "aaaaaaaa")
    assert snapshots_of(world, "primary") == 0


def test_a_copy_that_is_away_fails_when_it_alone_was_meant(
    world: World, point: RestorePoint
) -> None:
    with pytest.raises(RepositoryUnreachable):
        without(world, "offsite", repository="offsite")
    assert world.point("aaaaaaaa").repositories.keys() == {"primary", "offsite"}


def test_without_the_primary_the_copy_goes_and_the_point_stays(
    world: World, point: RestorePoint
) -> None:
    with pytest.raises(RepositoryUnreachable):
        without(world, "primary")
    assert snapshots_of(world, "offsite") == 0
    assert not is_forgotten(world, "aaaaaaaa")
    assert world.point("aaaaaaaa").repositories.keys() == {"primary"}


def test_a_repository_that_drd_never_saw_is_not_asked(world: World) -> None:
    world.stored("aaaaaaaa", NOON - HOUR)
    assert without(world, "offsite") == ("aaaaaaaa",)
    assert world.warnings == []


def test_forgetting_stops_at_a_snapshot_that_cannot_be_read(
    world: World, point: RestorePoint
) -> None:
    world.primary.unreadable["5a" * 32] = "broken"
    with pytest.raises(SnapshotsUnreadable):
        give(world, force=True)
    assert snapshots_of(world, "primary") == 3


def test_a_repository_without_the_point_needs_no_step(world: World, point: RestorePoint) -> None:
    world.primary.forget([s.id for s in world.primary.snapshots(tags=["run:aaaaaaaa"])])
    give(world, force=True)
    [run] = world.catalogue.runs.newest("shop", limit=1)
    assert [s.name for s in world.catalogue.steps.of_run(run.id)] == ["forget in offsite"]


def test_a_copy_of_another_tool_is_given_up_once_it_is_not_listed_any_more(world: World) -> None:
    for name in ("aaaaaaaa", "bbbbbbbb"):
        world.stored(name, NOON - HOUR)
    adopted = replace(world.plan.repositories["primary"], adopted=Adopted("restic", "shop"))
    plan = replace(world.plan, repositories={"primary": adopted})
    world.catalogue.health.record_missing("shop", "primary", MISSING, (), NOON)
    for there in (("bbbbbbbb",), ("aaaaaaaa", "bbbbbbbb")):
        with pytest.raises(NotSupported, match="restic makes the copies of plan shop"):
            _require_gone(world.services, plan, GiveUpRequest(there, "x"))
    _require_gone(world.services, plan, GiveUpRequest(("aaaaaaaa",), "x"))
