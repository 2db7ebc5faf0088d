"""Points that a drill could not restore: nothing counts on them, and no recovery takes them by
itself."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from drd.api import recoveries
from drd.api.documents import points as points_document
from drd.catalogue.summary import read_facts
from drd.cli import points as points_screen
from drd.flows.host.doctor import examine
from drd.flows.restore.point_choice import choose, drill_choice
from drd.flows.upkeep.forget_points import GiveUpRequest, give_up
from drd.flows.upkeep.retention_plan import plan_forgetting
from drd.kit.known_drills import bring_back, known_drills, left_out_by_hand
from drd.model.check_words import RESTORES
from drd.model.compliance import assess
from drd.model.kit import KitPlan
from drd.model.kit_index import index_from_json
from drd.model.policies import RetentionPolicy
from drd.model.run import CheckResult, CheckVerdict, DrillResult
from drd.model.verdicts import Assessment
from tests.catalogue_support import evidence
from tests.flow_support import NOON, World
from tests.unit.test_kit_index import INDEX

HOUR = timedelta(hours=1)
OLD, NEW = "aaaaaaaa", "bbbbbbbb"


def drilled(world: World, point: str, *checks: CheckResult, **of: Any) -> None:
    """A drill that failed with these checks, a minute after the one before."""
    world.after(minutes=1)
    failed = {"result": DrillResult.FAILED, "rta_s": None} if checks else {}
    of = {"checks": checks, **failed, **of} if checks else of
    world.drilled(point=point, **of)


def not_restored(*, by_the_data: bool = True) -> CheckResult:
    return CheckResult(
        "conf can be restored", "conf", CheckVerdict.FAILED, "it is cut off", RESTORES,
        looked_at_data=by_the_data,
    )  # fmt: skip


EXPECTED = CheckResult("there are orders", "conf", CheckVerdict.FAILED, "0", "> 0", bound=True)


def two_points(world: World) -> None:
    world.stored(OLD, NOON - 2 * HOUR)
    world.stored(NEW, NOON - HOUR / 6)


def assessed(world: World) -> Assessment:
    [facts] = read_facts(world.app.settings.state_url)
    return assess(facts, world.clock.now())


def told(plan: Assessment) -> str:
    return "\n".join(r.text for r in plan.reasons)


def test_the_newest_point_that_a_drill_could_not_restore_does_not_count(world: World) -> None:
    two_points(world)
    assert assessed(world).rpo.exposure_s == 600
    drilled(world, NEW, not_restored())
    plan = assessed(world)
    assert (plan.rpo.exposure_s, plan.points) == (7260, 1)
    assert plan.newest is not None
    assert plan.newest.id == OLD
    assert (
        f"restore point {NEW} cannot be restored, as the drill of 2026-11-25 12:01:00 UTC showed "
        "(drd run show "
    ) in told(plan)
    assert f"; the newest remaining point, {OLD}, has data of 2026-11-25 10:00:00" in told(plan)
    world.stored("cccccccc", NOON)
    assert assessed(world).rpo.exposure_s == 60
    assert "cannot be restored" not in told(assessed(world))


def test_a_later_drill_that_restores_the_point_clears_it_whatever_its_checks_say(
    world: World,
) -> None:
    two_points(world)
    drilled(world, NEW, not_restored())
    drilled(world, OLD)
    drilled(world, NEW, EXPECTED)  # failed before anything was restored
    assert world.catalogue.evidence.unrestorable("shop").keys() == {NEW}
    drilled(world, NEW, EXPECTED, rta_s=9.0)
    assert world.catalogue.evidence.unrestorable("shop") == {}
    assert assessed(world).rpo.exposure_s == 840


def test_a_failed_expectation_or_a_missing_program_says_nothing_against_the_point(
    world: World,
) -> None:
    two_points(world)
    for check in (EXPECTED, not_restored(by_the_data=False)):
        drilled(world, NEW, check)
    drilled(world, NEW, not_restored(), target="sandbox")  # of single components
    assert assessed(world).points == 2
    assert choose(world.services, world.plan).point.id == NEW
    assert world.warnings == []


def test_the_page_by_hand_leaves_such_points_out_while_another_one_is_left(world: World) -> None:
    two_points(world)
    assert left_out_by_hand("shop", world.catalogue) == ()
    drilled(world, NEW, not_restored())
    assert left_out_by_hand("shop", world.catalogue) == (NEW,)
    drilled(world, OLD, not_restored())
    assert left_out_by_hand("shop", world.catalogue) == ()


def test_if_no_point_can_be_restored_everything_would_be_lost(world: World) -> None:
    two_points(world)
    drilled(world, NEW, not_restored())
    drilled(world, OLD, not_restored())
    plan = assessed(world)
    assert plan.rpo.loses_everything
    assert f"everything would be lost: restore point {NEW} cannot be restored" in told(plan)
    assert choose(world.services, world.plan).point.id == NEW, "rather than nothing"


def test_a_recovery_takes_the_next_older_point_and_a_drill_tries_the_newest_again(
    world: World,
) -> None:
    two_points(world)
    drilled(world, NEW, not_restored())
    assert choose(world.services, world.plan).point.id == OLD
    [warning] = world.warnings
    assert warning.startswith(
        f"drd leaves out restore point {NEW}: the drill of 2026-11-25 12:01:00 UTC could not "
        "restore it (drd run show "
    )
    assert warning.endswith(f"To use this point nevertheless: --point {NEW}")
    assert choose(world.services, world.plan, point=NEW).point.id == NEW
    assert choose(world.services, world.plan, before=NOON).point.id == OLD
    assert drill_choice(world.services, world.plan).point.id == NEW
    assert {choose(world.services, world.plan, point="random").point.id for _ in range(9)} == {OLD}
    drilled(world, OLD, not_restored())
    world.stored("cccccccc", NOON)
    assert choose(world.services, world.plan, before=NOON).point.id == NEW, "no other from before"


def test_a_place_in_the_log_takes_no_point_that_could_not_be_restored(world: World) -> None:
    two_points(world)
    drilled(world, NEW, not_restored())
    assert choose(world.services, world.plan, among=[NEW, OLD]).point.id == OLD
    assert choose(world.services, world.plan, among=[NEW]).point.id == NEW, "rather than nothing"


def test_points_doctor_and_forget_know_what_the_drill_found(world: World, capsys: Any) -> None:
    two_points(world)
    drilled(world, NEW, not_restored())
    document = points_document(world.app, "shop")
    run = document["points"][0]["unrestorable"]["run"]
    assert document["points"][1]["unrestorable"] is None
    points_screen._print("shop", document["points"], {}, {})
    shown = capsys.readouterr().out
    assert f"complete, cannot be restored (drill {run})" in shown
    assert (
        f"To see why: drd run show {run}. To drill this point again: drd drill shop --point {NEW}"
    ) in (shown)
    found = examine(world.services, world.plan, lambda ref: "x")
    [finding] = [f for f in found if f.code == "last-drill"]
    assert f"; the newest other restore point is {OLD}, with data of" in finding.text
    assert finding.remedy.startswith(
        f"to see why: `drd run show {run}`. Then make a new restore point: "
    )
    assert give_up(world.services, world.plan, GiveUpRequest((NEW,), "cut off")) == (NEW,)
    assert "last-drill" not in {f.code for f in examine(world.services, world.plan, lambda _: "x")}


def test_a_recovery_that_failed_by_the_data_names_the_next_older_point_that_is_left(
    world: World,
) -> None:
    world.stored("99999999", NOON - 3 * HOUR)
    two_points(world)
    drilled(world, OLD, not_restored())
    run: Any = SimpleNamespace(plan="shop", detail=SimpleNamespace(point=NEW))

    def older(*checks: CheckResult) -> str:
        return recoveries._older(world.app, run, evidence(checks=checks))

    assert older(not_restored()) == "99999999"
    assert older(EXPECTED) == older(not_restored(by_the_data=False)) == ""


def test_retention_keeps_the_newest_point_that_can_be_restored(world: World) -> None:
    two_points(world)
    plan = replace(world.plan, retention=RetentionPolicy(last=1))
    assert plan_forgetting(world.services, plan).due == (OLD,)
    drilled(world, NEW, not_restored())
    forgetting = plan_forgetting(world.services, plan)
    assert OLD in {kept.id for kept in forgetting.chosen.keep}
    assert forgetting.due == ()


def test_the_time_without_a_point_that_can_be_restored_begins_with_the_drill(world: World) -> None:
    world.stored(OLD, NOON - 2 * HOUR)
    world.stored(NEW, NOON)
    drilled(world, NEW, not_restored())
    world.after(minutes=9)
    world.stored("cccccccc", world.clock.now())
    [facts] = read_facts(world.app.settings.state_url)
    assert facts.outages == ((NOON + timedelta(minutes=1), NOON + timedelta(minutes=10)),)


def test_a_host_from_a_kit_knows_what_drills_could_not_restore(
    world: World, tmp_path: Path
) -> None:
    two_points(world)
    drilled(world, OLD)
    assert known_drills("shop", world.catalogue) == ()
    why = "it is\ncut \x1b[31moff " + "x\x1b" * 900
    drilled(world, NEW, replace(not_restored(), observed=why), rpa_s=-1.0)
    drilled(world, OLD)
    drills = known_drills("shop", world.catalogue)
    kit = KitPlan("shop", "d1", "plans/shop.yaml", (), drills=drills)
    index = replace(INDEX, plans=(kit,))
    assert index_from_json(json.loads(json.dumps(index.to_json()))) == index
    refuting, last = drills
    assert (kit.refuted, refuting.refuted, last.result) == ({NEW}, NEW, "passed")
    [failure] = refuting.failed
    assert failure.why.startswith("it is; cut \\x1b[31moff x\\x1bx")
    assert len(failure.why) <= 200
    (tmp_path / "new").mkdir()
    other = World(tmp_path / "new")
    try:
        other.after(minutes=5)
        for _ in range(2):  # an interrupted bootstrap is run again
            bring_back(other.catalogue, "shop", "db1", drills, other.clock.now())
        two_points(other)
        assert choose(other.services, other.plan).point.id == OLD
        [warning] = other.warnings
        assert warning.startswith(
            f"drd leaves out restore point {NEW}: the drill of 2026-11-25 12:02:00 UTC could not "
            f"restore it (drd run show {refuting.run})"
        )
        assert [e.id for e in other.catalogue.evidence.newest("shop")] == [
            last.evidence,
            refuting.evidence,
        ]
        run = other.catalogue.runs.get(refuting.run)
        assert (run.state, run.owner_host, run.error) == ("failed", "db1", failure.why)
        assert assessed(other).drill.result == "passed", "the last drill, not the one that failed"
        drilled(other, NEW, rta_s=9.0)
        assert choose(other.services, other.plan).point.id == NEW
    finally:
        other.close()
