"""Which restore point a recovery or a drill takes, and what is said of those that it leaves out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from drd.errors import ManifestRefused, NoRestorePoint, UsageError
from drd.flows.drill.request import DrillRequest
from drd.flows.drill.run import drill
from drd.flows.restore.point_choice import (
    choose,
    drill_choice,
    drill_scenario,
    parse_time,
    require_held,
)
from drd.model.plan import DrillPolicy, Plan
from drd.model.run import CheckVerdict, DrillResult
from tests.flow_support import DAY, NOON, World

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def drilling(plan: Plan, **policy: object) -> Plan:
    return replace(plan, drill=DrillPolicy(**policy))  # type: ignore[arg-type]


# --- by name, by time, the newest ---


def test_the_newest_complete_point_is_the_default(world: World) -> None:
    world.stored("aaaaaaaa", NOON - 2 * HOUR)
    newest = world.stored("bbbbbbbb", NOON - HOUR)
    world.stored("cccccccc", NOON, complete=False)
    for point in (None, "latest"):
        choice = choose(world.services, world.plan, point=point)
        assert (choice.point, choice.newest) == (newest, True)
    assert world.notes == []


def test_a_point_by_its_id_says_whether_it_is_the_newest(world: World) -> None:
    older = world.stored("aaaaaaaa", NOON - 2 * HOUR)
    newest = world.stored("bbbbbbbb", NOON - HOUR)
    choice = choose(world.services, world.plan, point="aaaa")
    assert (choice.point, choice.newest) == (older, False)
    choice = choose(world.services, world.plan, point="bbbb")
    assert (choice.point, choice.newest) == (newest, True)
    with pytest.raises(NoRestorePoint):
        choose(world.services, world.plan, point="dddd")


def test_an_incomplete_point_by_its_id_is_not_the_newest(world: World) -> None:
    lone = world.stored("aaaaaaaa", NOON - HOUR, complete=False)
    choice = choose(world.services, world.plan, point="aaaa")
    assert (choice.point, choice.newest) == (lone, False)


def test_a_point_by_its_id_must_be_in_one_of_the_allowed_repositories(world: World) -> None:
    world.stored("aaaaaaaa", NOON - HOUR)
    with pytest.raises(NoRestorePoint, match="aaaaaaaa is in primary, not in offsite"):
        choose(world.services, world.plan, point="aaaa", held_by=["offsite"])


def test_the_newest_from_before_a_time(world: World) -> None:
    first = world.stored("aaaaaaaa", NOON - 3 * HOUR)
    second = world.stored("bbbbbbbb", NOON - 2 * HOUR)
    world.stored("cccccccc", NOON - HOUR)
    choice = choose(world.services, world.plan, before=NOON - HOUR)
    assert (choice.point, choice.newest) == (second, False)
    # Data of that very moment may already lack what was lost.
    assert choose(world.services, world.plan, before=NOON - 2 * HOUR).point == first
    assert choose(world.services, world.plan, before=NOON).newest


def test_nothing_from_before_a_time_names_the_oldest_complete_point(world: World) -> None:
    world.stored("aaaaaaaa", NOON - 3 * HOUR, complete=False)
    world.stored("bbbbbbbb", NOON - 2 * HOUR)
    world.stored("cccccccc", NOON - HOUR)
    with pytest.raises(NoRestorePoint) as caught:
        choose(world.services, world.plan, before=NOON - 3 * HOUR)
    assert caught.value.message == (
        "plan shop has no complete restore point from before 2026-11-25 09:00:00 UTC; the "
        "oldest restore point is of 2026-11-25 10:00:00 UTC"
    )
    assert caught.value.hint == "choose another restore point: drd points shop"


def test_a_row_that_drd_does_not_write_is_refused(world: World) -> None:
    point = world.stored("aaaaaaaa", NOON - HOUR)
    rows = tuple(replace(row, snapshot="-rf") for row in point.components)
    world.catalogue.points.record(replace(point, components=rows))
    for named in (None, "aaaa"):
        with pytest.raises(ManifestRefused):
            choose(world.services, world.plan, point=named)


def test_only_points_of_the_allowed_repositories_count(world: World) -> None:
    copied = world.stored("aaaaaaaa", NOON - 2 * HOUR, copied=True)
    world.stored("bbbbbbbb", NOON - HOUR)
    choice = choose(world.services, world.plan, held_by=["offsite"])
    assert (choice.point, choice.newest) == (copied, True)


def test_a_point_in_one_of_the_allowed_repositories_counts(world: World) -> None:
    newest = world.stored("aaaaaaaa", NOON - HOUR)
    choice = choose(world.services, world.plan, held_by=["offsite", "primary"])
    assert (choice.point, choice.newest) == (newest, True)


def test_without_a_point_the_remedy_is_a_backup(world: World) -> None:
    with pytest.raises(NoRestorePoint) as caught:
        choose(world.services, world.plan)
    assert caught.value.message == "plan shop has no complete restore point"
    assert caught.value.hint == (
        "to make a restore point: `drd backup shop`. If the repository has points that this "
        "host does not know: `drd catalogue rebuild shop`"
    )
    world.stored("aaaaaaaa", NOON - 2 * HOUR, complete=False)
    world.stored("bbbbbbbb", NOON - HOUR, complete=False)
    with pytest.raises(
        NoRestorePoint, match=r"no complete restore point \(2 incomplete\)$"
    ) as caught:
        choose(world.services, world.plan)
    assert caught.value.hint == (
        "restore point bbbbbbbb is incomplete, but contains conf. To use this point: --point "
        "bbbbbbbb\nto make a restore point: `drd backup shop`. If the repository has points that "
        "this host does not know: `drd catalogue rebuild shop`"
    )


def test_without_a_point_in_a_copy_the_remedy_is_to_copy(world: World) -> None:
    world.stored("aaaaaaaa", NOON - HOUR)
    with pytest.raises(NoRestorePoint) as caught:
        choose(world.services, world.plan, held_by=["offsite"])
    assert caught.value.message == "plan shop has no complete restore point in offsite"
    assert caught.value.hint == "drd copy shop"


def test_without_a_point_in_the_primary_the_remedy_is_a_backup(world: World) -> None:
    world.stored("aaaaaaaa", NOON - HOUR, only_copied=True)
    with pytest.raises(NoRestorePoint) as caught:
        choose(world.services, world.plan, held_by=["primary"])
    assert caught.value.message == "plan shop has no complete restore point in primary"
    assert caught.value.hint == (
        "to make a restore point: `drd backup shop`. If the repository has points that this "
        "host does not know: `drd catalogue rebuild shop`"
    )


# --- what is left out ---


def test_points_dated_in_the_future_are_left_out_and_named(world: World) -> None:
    right = world.stored("aaaaaaaa", NOON - HOUR)
    world.stored("bbbbbbbb", NOON + 3 * DAY)
    assert choose(world.services, world.plan).point == right
    [note] = world.notes
    assert note == (
        "drd ignores restore points of plan shop that are dated in the future, because a clock was "
        "wrong. The newest other restore point is of 2026-11-25 11:00:00 UTC"
    )


def test_a_point_that_no_repository_can_give_whole_is_left_out(world: World) -> None:
    whole = world.stored("aaaaaaaa", NOON - 2 * HOUR, copied=True)
    world.stored("bbbbbbbb", NOON - HOUR, copied=True)
    health = world.catalogue.health
    health.record_missing("shop", "primary", {"bbbbbbbb": ["5a" * 32]}, (), NOON)
    assert choose(world.services, world.plan).point.id == "bbbbbbbb"  # the copy has it
    assert world.notes == []
    health.record_missing("shop", "offsite", {"bbbbbbbb": ["5a" * 32]}, (), NOON)
    assert choose(world.services, world.plan).point == whole
    [note] = world.notes
    assert note == (
        "drd leaves out restore point bbbbbbbb: its snapshots are no longer complete in any "
        "repository"
    )
    assert choose(world.services, world.plan, point="bbbb").point.id == "bbbbbbbb"


def test_an_older_point_that_is_not_whole_is_left_out_without_a_word(world: World) -> None:
    world.stored("aaaaaaaa", NOON - 2 * HOUR)
    newest = world.stored("bbbbbbbb", NOON - HOUR)
    world.catalogue.health.record_missing("shop", "primary", {"aaaaaaaa": ["5a" * 32]}, (), NOON)
    assert choose(world.services, world.plan).point == newest
    with pytest.raises(NoRestorePoint):
        choose(world.services, world.plan, before=NOON - HOUR)
    assert world.notes == []


def test_the_only_point_is_taken_although_it_is_not_whole(world: World) -> None:
    lone = world.stored("aaaaaaaa", NOON - 2 * HOUR)
    world.stored("bbbbbbbb", NOON - HOUR, complete=False)
    world.catalogue.health.record_missing("shop", "primary", {"aaaaaaaa": ["5a" * 32]}, (), NOON)
    assert choose(world.services, world.plan).point == lone
    assert world.notes == []


def test_points_of_a_former_repository_are_left_out_and_counted(world: World) -> None:
    world.stored("aaaaaaaa", NOON - 2 * HOUR)
    world.stored("bbbbbbbb", NOON - HOUR)
    known = world.primary.id
    assert known is not None
    second = replace(world.plan.primary, name="second", url="/memory/second")
    plan = replace(world.plan, repositories={"second": second})
    world.catalogue.plans.load(plan, file_digest="another", at=NOON)
    with pytest.raises(NoRestorePoint) as caught:
        choose(world.services, plan)
    assert caught.value.message == "plan shop has no complete restore point"
    [note] = world.notes
    assert note == (
        "drd leaves out 2 restore points of shop: the data is only in the repository "
        f"{known[:8]} that was called primary, which is no longer in the plan"
    )


def test_a_drill_of_a_point_that_the_plan_does_not_hold_is_refused_and_leaves_no_run(
    world: World,
) -> None:
    world.stored("aaaaaaaa", NOON - 2 * HOUR)
    second = replace(world.plan.primary, name="second", url="/memory/second")
    plan = replace(world.plan, repositories={"second": second})
    world.catalogue.plans.load(plan, file_digest="another", at=NOON)
    for point, words in (("aaaaaaaa", "is only in the repository"), ("ffff", "no restore point")):
        with pytest.raises(NoRestorePoint, match=words):
            drill(world.services, plan, DrillRequest(point))
    assert world.catalogue.runs.newest("shop", limit=5) == [], "the plan is no worse than before"


def test_a_drill_of_a_point_at_another_address_of_its_repository_goes_on(world: World) -> None:
    world.stored("aaaaaaaa", NOON - HOUR)
    moved = replace(world.plan.primary, url="/memory/another")
    plan = replace(world.plan, repositories={**world.plan.repositories, "primary": moved})
    world.catalogue.plans.load(plan, file_digest="another", at=NOON)
    require_held(world.services, plan, "aaaa")


def test_another_address_of_the_same_repository_is_recognised(world: World) -> None:
    point = world.stored("aaaaaaaa", NOON - HOUR)
    moved = replace(world.plan.primary, url="/memory/another")
    plan = replace(world.plan, repositories={**world.plan.repositories, "primary": moved})
    world.catalogue.plans.load(plan, file_digest="another", at=NOON)
    assert choose(world.services, plan).point.id == point.id
    assert world.notes == []


def refused(world: World, point: str, at: timedelta) -> None:
    """A point of which the catalogue has a snapshot that drd never writes."""
    stored = world.stored(point, NOON - at)
    rows = tuple(replace(row, snapshot="-rf") for row in stored.components)
    world.catalogue.points.record(replace(stored, components=rows))


def test_points_that_drd_refuses_are_left_out_with_the_reason(world: World) -> None:
    older = world.stored("aaaaaaaa", NOON - 4 * HOUR)
    right = world.stored("bbbbbbbb", NOON - 3 * HOUR)
    refused(world, "cccccccc", 2 * HOUR)
    refused(world, "dddddddd", HOUR)
    choice = choose(world.services, world.plan)
    assert (choice.point, choice.newest) == (right, True)
    newest, before = world.warnings
    assert newest.startswith("drd refuses restore point dddddddd as the catalogue describes it")
    assert before.startswith("drd refuses restore point cccccccc")
    assert newest.endswith("; so drd leaves this restore point out")
    world.warnings.clear()
    assert choose(world.services, world.plan, before=NOON - 3 * HOUR).point == older
    assert world.warnings == [], "what is newer than the requested time is not asked for"
    picks = {choose(world.services, world.plan, point="random").point.id for _ in range(30)}
    assert picks == {"aaaaaaaa", "bbbbbbbb"}
    with pytest.raises(ManifestRefused, match="restore point dddddddd"):
        choose(world.services, world.plan, point="dddd")


def test_the_newest_of_the_points_that_drd_refuses_is_named_if_there_is_no_other(
    world: World,
) -> None:
    world.stored("aaaaaaaa", NOON - HOUR / 2, complete=False)
    refused(world, "cccccccc", 2 * HOUR)
    refused(world, "dddddddd", HOUR)
    with pytest.raises(ManifestRefused, match="restore point dddddddd"):
        choose(world.services, world.plan)
    with pytest.raises(ManifestRefused, match="restore point cccccccc"):
        choose(world.services, world.plan, before=NOON - HOUR)
    assert world.warnings == []


def test_the_drill_of_a_point_that_drd_refuses_shows_that_it_cannot_be_restored(
    world: World,
) -> None:
    world.stored("bbbbbbbb", NOON - 2 * HOUR)
    refused(world, "dddddddd", HOUR)
    outcome = drill(world.services, world.plan, DrillRequest())
    assert (outcome.evidence.point, outcome.evidence.result) == ("dddddddd", DrillResult.FAILED)
    assert "drd refuses restore point dddddddd" in str(outcome.evidence.reason)
    rows = [(row.name, row.verdict) for row in outcome.evidence.checks]
    assert ("conf can be restored", CheckVerdict.FAILED) in rows
    assert len(rows) == len(world.plan.components)
    assert set(world.catalogue.evidence.unrestorable("shop")) == {"dddddddd"}
    assert choose(world.services, world.plan).point.id == "bbbbbbbb"
    [said] = world.warnings
    assert said.startswith("drd leaves out restore point dddddddd: the drill of ")


# --- at random, and what a drill takes ---


def test_random_points_are_complete_and_recent(world: World) -> None:
    world.stored("aaaaaaaa", NOON - 3 * DAY - SECOND)
    oldest = world.stored("bbbbbbbb", NOON - 3 * DAY)
    world.stored("cccccccc", NOON - 2 * DAY, complete=False)
    newest = world.stored("dddddddd", NOON - DAY)
    torn = world.stored("eeeeeeee", NOON - 2 * DAY)  # it lacks a component of a former plan
    world.catalogue.points.record(replace(torn, complete=False))
    plan = drilling(world.plan, random_within_s=3 * 86400.0)
    choices = [choose(world.services, plan, point="random") for _ in range(60)]
    assert {c.point.id for c in choices} == {oldest.id, newest.id}
    assert all(c.newest == (c.point.id == newest.id) for c in choices)


def test_no_random_point_is_from_before_a_component_was_added(world: World) -> None:
    for n in range(5):
        world.stored(f"aaaaaaa{n}", NOON - DAY * (n + 2))
    newest = world.stored("dddddddd", NOON - DAY)
    extra = replace(world.plan.components["conf"], name="extra")
    plan = replace(world.plan, components={**world.plan.components, "extra": extra})
    chosen = {choose(world.services, plan, point="random").point.id for _ in range(30)}
    assert chosen == {newest.id}, "whose drill then says that it lacks the component"


def test_a_random_point_is_of_the_last_month_by_default(world: World) -> None:
    world.stored("aaaaaaaa", NOON - 31 * DAY)
    world.stored("bbbbbbbb", NOON - 30 * DAY)
    chosen = {choose(world.services, world.plan, point="random").point.id for _ in range(30)}
    assert chosen == {"bbbbbbbb"}


def test_without_a_recent_point_random_takes_the_newest(world: World) -> None:
    point = world.stored("aaaaaaaa", NOON - 40 * DAY)
    choice = choose(world.services, world.plan, point="random")
    assert (choice.point, choice.newest) == (point, True)


def test_a_drill_takes_an_older_point_in_its_turn_only(world: World) -> None:
    newest = world.stored("bbbbbbbb", NOON - HOUR)
    older = [world.stored(f"aaaaaaa{n}", NOON - DAY * (n + 2)) for n in range(9)]
    plan = drilling(world.plan, random_within_s=30 * 86400.0, random_each=2)
    taken = []
    for _ in range(4):
        taken.append(drill_choice(world.services, plan).point.id)
        world.after(hours=1)
        world.drilled(target="standby")  # a recovery is no drill
        world.drilled()
    assert taken[0] == taken[2] == newest.id
    assert {taken[1], taken[3]} <= {newest.id, *(p.id for p in older)}
    picks = {drill_choice(world.services, plan).point.id for _ in range(5)}
    assert picks == {newest.id}
    world.drilled()
    assert len({drill_choice(world.services, plan).point.id for _ in range(30)}) > 1


def test_after_a_failed_drill_the_newest_point_is_drilled(world: World) -> None:
    newest = world.stored("bbbbbbbb", NOON - HOUR)
    for n in range(9):
        world.stored(f"aaaaaaa{n}", NOON - DAY * (n + 2))
    plan = drilling(world.plan, random_within_s=30 * 86400.0, random_each=2)
    world.drilled(result=DrillResult.FAILED)
    assert {drill_choice(world.services, plan).point.id for _ in range(20)} == {newest.id}


def test_a_drill_without_random_points_takes_the_newest(world: World) -> None:
    newest = world.stored("bbbbbbbb", NOON - HOUR, copied=True)
    for n in range(9):
        world.stored(f"aaaaaaa{n}", NOON - DAY * (n + 2))
    plan = drilling(world.plan, random_each=1)
    world.drilled()
    assert {drill_choice(world.services, plan).point.id for _ in range(20)} == {newest.id}


def test_a_drill_keeps_to_the_repositories_that_it_may_use(world: World) -> None:
    copied = world.stored("aaaaaaaa", NOON - 2 * HOUR, copied=True)
    world.stored("bbbbbbbb", NOON - HOUR)
    random = drilling(world.plan, random_within_s=30 * 86400.0, random_each=1)
    world.drilled()
    for plan in (world.plan, random):
        assert drill_choice(world.services, plan, held_by=["offsite"]).point == copied


def test_the_scenario_whose_last_drill_is_the_longest_ago(world: World) -> None:
    plan = drilling(world.plan, scenarios=("database-loss", "host-loss"))
    assert drill_scenario(world.services, plan) == "database-loss"
    world.drilled(scenario="host-loss")
    assert drill_scenario(world.services, plan) == "database-loss"
    world.after(hours=1)
    world.drilled(scenario="database-loss")
    assert drill_scenario(world.services, plan) == "host-loss"
    world.after(hours=1)
    world.drilled(scenario="host-loss")
    assert drill_scenario(world.services, plan) == "database-loss"
    world.after(hours=1)
    world.drilled(scenario="database-loss", target="standby")  # a recovery is no drill
    assert drill_scenario(world.services, plan) == "database-loss"


# --- times as people type them ---


@pytest.mark.parametrize("text", ["2h", "2h ago", " 2h  ago", "2hago"])
def test_a_duration_is_a_time_ago(text: str) -> None:
    assert parse_time(text, NOON) == NOON - 2 * HOUR


def test_a_time_with_its_zone() -> None:
    for text in ("2026-11-25T11:00:00+01:00", "2026-11-25 10:00:00 UTC", "2026-11-25 10:00 UTC"):
        assert parse_time(text, NOON) == NOON - 2 * HOUR


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterday", "'yesterday' is not a time"),
        ("2026-11-25T11:00:00", "'2026-11-25T11:00:00' has no time zone"),
        ("99999999999d", "'99999999999d' is too long ago"),
    ],
)
def test_a_text_that_is_not_a_time_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_time(text, NOON)
    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith("write 2")
