"""Which drill of a scenario counts, and whose turn it is."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from drd.catalogue.summary import read_facts
from drd.model.due import next_due
from drd.model.run import DrillResult, RunKind
from drd.model.scenarios import ScenarioDrill, is_random_turn, next_scenario, standing, valid_s
from drd.model.schedule import Job, Timing
from tests.flow_support import NOON, World
from tests.schedule_support import situation
from tests.status_support import DAY, NOW, ago

OLD, NEW = ago(10 * DAY), ago(DAY)


def drill(
    number: int,
    result: str,
    data_time: datetime | None = NEW,
    scenario: str = "database-loss",
    **more: object,
) -> ScenarioDrill:
    at = NOW + timedelta(minutes=number)
    return ScenarioDrill(f"e{number}", scenario, at, result, data_time, **more)  # type: ignore[arg-type]


def result(*drills: ScenarioDrill, repository: str = "") -> str:
    return standing(drills)["database-loss", repository].result


def test_the_newest_drill_of_a_scenario_decides_its_result() -> None:
    assert result(drill(1, "passed"), drill(2, "failed")) == "failed"
    assert result(drill(1, "failed"), drill(2, "passed")) == "passed"
    assert result(drill(1, "passed"), drill(2, "inconclusive")) == "inconclusive"


def test_a_drill_of_an_older_point_clears_no_failure_of_a_newer_one() -> None:
    assert result(drill(1, "failed"), drill(2, "passed", OLD)) == "failed"
    assert result(drill(1, "failed", OLD), drill(2, "passed")) == "passed"
    two = (drill(1, "failed", NEW), drill(2, "failed", OLD), drill(3, "passed", OLD))
    assert result(*two) == "failed"
    assert standing(two)["database-loss", ""].passed == "e3"


def test_once_the_failed_point_is_gone_a_pass_of_the_newest_that_is_left_clears_its_failure() -> (
    None
):
    failed, passed = drill(1, "failed"), drill(2, "passed", OLD)
    of = ("database-loss", "")
    assert standing([failed, passed], NEW)[of].result == "failed"
    assert standing([failed, passed], OLD)[of].result == "passed"
    oldest = drill(2, "passed", ago(20 * DAY))
    assert standing([failed, oldest], OLD)[of].result == "failed", "an even older one proves less"
    assert standing([failed], OLD)[of].result == "failed"


def test_a_point_that_is_forgotten_lets_the_drill_of_the_next_one_count(world: World) -> None:
    def last_drill() -> str:
        [facts] = read_facts(world.app.settings.state_url)
        [one] = facts.scenarios
        assert one.last is not None
        return one.last.result

    world.stored("aaaaaaaa", NOON - timedelta(hours=2))
    world.stored("bbbbbbbb", NOON - timedelta(hours=1))
    for n, (point, result) in enumerate((("bbbbbbbb", "failed"), ("aaaaaaaa", "passed"))):
        world.after(minutes=n + 1)
        world.drilled(
            point=point, result=DrillResult(result), data_time=world.point(point).data_time
        )
    assert last_drill() == "failed", "the newest point is still not proven"
    world.catalogue.points.forget(["bbbbbbbb"], world.clock.now())
    assert last_drill() == "passed"
    world.drilled(point="aaaaaaaa", data_time=world.point("aaaaaaaa").data_time)
    assert last_drill() == "passed"


def test_an_inconclusive_drill_clears_nothing() -> None:
    assert result(drill(1, "failed"), drill(2, "inconclusive")) == "failed"


def test_a_drill_of_another_scenario_clears_no_failure() -> None:
    found = standing([drill(1, "failed"), drill(2, "passed", scenario="region-loss")])
    assert found["database-loss", ""].result == "failed"
    assert found["region-loss", ""].result == "passed"


def test_drills_held_to_one_repository_are_told_apart() -> None:
    held = drill(2, "failed", repository="offsite")
    first = drill(1, "passed", given_by=("primary",))
    assert result(first, held) == "passed"
    assert result(first, held, repository="offsite") == "failed"
    later = drill(3, "passed", given_by=("primary",))
    assert result(first, held, later, repository="offsite") == "failed"
    from_both = drill(3, "passed", given_by=("offsite", "primary"))
    assert result(first, held, from_both, repository="offsite") == "failed"
    from_there = drill(4, "passed", given_by=("offsite",))
    assert result(first, held, from_there, repository="offsite") == "passed"
    assert result(drill(1, "failed"), drill(2, "passed", repository="primary")) == "failed"


def test_a_pass_from_one_repository_proves_the_scenario_that_did_not_fail() -> None:
    held = drill(2, "passed", repository="offsite")
    assert standing([held])["database-loss", ""].last == "e2"
    for before in ("passed", "inconclusive"):
        found = standing([drill(1, before), held])
        assert (found["database-loss", ""].last, found["database-loss", ""].result) == (
            "e2",
            "passed",
        )
    failed = standing([drill(1, "failed", OLD), held])
    assert (failed["database-loss", ""].last, failed["database-loss", ""].result) == (
        "e1",
        "failed",
    )


def test_turns_follow_what_is_oldest() -> None:
    wanted = ("a", "b", "c")
    assert next_scenario(wanted, {"a": NOW, "c": OLD}) == "b"
    assert next_scenario(wanted, {"a": NEW, "b": NOW, "c": OLD}) == "c"


@pytest.mark.parametrize("each", [1, 2, 3, 4])
@pytest.mark.parametrize("scenarios", [1, 2, 3])
def test_random_points_come_once_in_each_round_and_meet_every_scenario(
    each: int, scenarios: int
) -> None:
    turns = [n for n in range(each * scenarios * 12) if is_random_turn(n, each, scenarios)]
    assert len(turns) == scenarios * 12
    assert [n // each for n in turns] == list(range(scenarios * 12)), "one of each round"
    if each >= scenarios:
        assert [n % scenarios for n in turns] == [*range(scenarios)] * 12


def test_pass_counts_for_two_turns_and_ninety_days_without_a_schedule() -> None:
    assert valid_s(7 * DAY, 2) == 28 * DAY
    assert valid_s(None, 2) == 90 * DAY


def weekly(**history: object) -> str:
    job = Job("shop", RunKind.DRILL, Timing(every_s=7 * DAY), 900)
    known = situation(ago(30 * DAY), data_time=ago(60), **history)  # type: ignore[arg-type]
    due = next_due(job, known, NOW)
    assert due is not None
    return due.why if due.at <= NOW else "later"


def test_scenario_that_was_never_drilled_is_due_at_once() -> None:
    ran = {"last_started_at": ago(DAY), "drilled_at": ago(DAY - 60)}
    assert weekly(**ran) == "later"
    assert weekly(**ran, undrilled=("region-loss",)) == "region-loss was never drilled"
    failed = {"last_started_at": ago(60), "drilled_at": ago(DAY)}
    assert weekly(**failed, undrilled=("region-loss",)) == "later", "it left no evidence"
