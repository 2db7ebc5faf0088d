"""What a drill of each scenario has proven, and how it is called."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from drd.model.check_words import RESTORES
from drd.model.drill_facts import FailedCheck, ScenarioFacts, Unproven
from drd.model.drill_verdicts import is_overdue, judge_drill, of_plan, remedy_of, wanted_of
from drd.model.facts import ComponentFacts, PlanFacts
from drd.model.run import (
    CheckResult,
    CheckVerdict,
    DrillResult,
    drill_result,
    last_turn,
    taken_back,
)
from drd.model.verdicts import PlanState, Reason, Verdict
from tests.status_support import DAY, HOUR, NOW, ago, drill, healthy, point, repository, scenario


def with_components(*names: str, **changes: object) -> PlanFacts:
    return healthy(components=tuple(ComponentFacts(n, "files") for n in names), **changes)


def reasons(*scenarios: ScenarioFacts) -> list[Reason]:
    return judge_drill(healthy(scenarios=scenarios), NOW)[1]


def failed(name: str = "database-loss", **changes: object) -> ScenarioFacts:
    return scenario(name, last=drill("failed", scenario=name), **changes)


PASSED = CheckResult("rows", "db", CheckVerdict.PASSED, "14 tables", "0 differ")
BESIDE = replace(PASSED, looked_at_data=False)
FAILED = replace(PASSED, verdict=CheckVerdict.FAILED)
NOT_RUN = replace(PASSED, verdict=CheckVerdict.NOT_RUN)


@pytest.mark.parametrize(
    ("checks", "result"),
    [
        ([], DrillResult.INCONCLUSIVE),
        ([PASSED], DrillResult.PASSED),
        ([PASSED, BESIDE], DrillResult.PASSED),
        ([BESIDE], DrillResult.INCONCLUSIVE),
        ([PASSED, NOT_RUN], DrillResult.INCONCLUSIVE),
        ([PASSED, replace(NOT_RUN, part=True)], DrillResult.PASSED),
        ([replace(PASSED, part=True)], DrillResult.INCONCLUSIVE),
        ([PASSED, replace(FAILED, part=True)], DrillResult.FAILED),
        ([PASSED, NOT_RUN, FAILED], DrillResult.FAILED),
    ],
)
def test_the_checks_make_the_result(checks: list[CheckResult], result: DrillResult) -> None:
    assert drill_result(checks) is result


@pytest.mark.parametrize(
    ("actions", "turn", "result"),
    [
        ([], None, None),
        (["approve", "resume"], None, None),
        (["undo"], "undo", "undone"),
        (["undo", "redo"], "redo", None),
        (["undo", "redo", "undo", "resume"], "undo", "undone"),
        (["rollback"], None, "rolled back"),
        (["rollback", "undo"], "undo", "undone"),
        (["rollback", "undo", "redo"], "redo", "rolled back"),
    ],
)
def test_decisions_on_a_whole_run_take_its_result_back(
    actions: list[str], turn: str | None, result: str | None
) -> None:
    assert (last_turn(actions), taken_back(actions)) == (turn, result)


def test_without_a_cause_there_is_no_remedy() -> None:
    assert remedy_of(()) == ""


def test_the_only_scenario_is_not_named() -> None:
    [reason] = reasons(failed())
    assert (reason.verdict, reason.subject) == (Verdict.BREACHED, "")
    assert reason.text.startswith("the last drill failed")


def test_one_of_several_scenarios_is_named() -> None:
    [reason] = reasons(failed(), scenario("host-loss"))
    assert reason.subject == "database-loss"
    assert reason.text.startswith("the last drill of database-loss failed")


def test_a_scenario_that_the_plan_does_not_want_any_more_is_named() -> None:
    [reason] = reasons(scenario(), failed("host-loss", wanted=False))
    assert reason.subject == "host-loss"
    assert reasons(scenario(), scenario("host-loss", wanted=False)) == []


def test_a_drill_from_one_repository_names_it() -> None:
    [reason] = reasons(scenario(), failed(repository="offsite"))
    assert reason.subject == "database-loss from offsite"


def test_failed_drill_of_a_point_that_is_gone_asks_for_another_drill() -> None:
    def about(data_time: datetime) -> Reason:
        last = drill("failed", data_time=data_time, point="bad1")
        facts = healthy(newest=point(HOUR), scenarios=(scenario(last=last),))
        [reason] = judge_drill(facts, NOW)[1]
        return reason

    assert about(ago(HOUR)).remedy == about(ago(2 * HOUR)).remedy == "drd run show d14a"
    gone = about(ago(HOUR / 2))
    assert gone.remedy == "drd drill orders-api"
    assert "; its restore point bad1 has been removed, and no drill with the " in gone.text


# --- what was proven, and what was not ------------------------------------------------------


@pytest.mark.parametrize(
    ("period_s", "late_s", "overdue"),
    [
        (0.0, 3600.0, False),
        (0.0, 3601.0, True),
        (36_000.0, 3600.0, False),
        (40_000.0, 4000.0, False),
        (40_000.0, 4001.0, True),
    ],
)
def test_work_is_overdue_by_an_hour_or_a_tenth_of_its_period(
    period_s: float, late_s: float, overdue: bool
) -> None:
    assert is_overdue(late_s, period_s) == overdue


def test_a_plan_without_noted_scenarios_has_the_usual_one() -> None:
    assert of_plan(healthy(scenarios=())) == (
        ScenarioFacts("database-loss", last=drill(), passed=drill()),
    )
    other = scenario("host-loss")
    assert of_plan(healthy(scenarios=(other,))) == (other,)


def test_scenarios_that_are_wanted_from_any_repository_take_turns() -> None:
    unwanted, held = scenario(wanted=False), scenario(repository="offsite")
    assert wanted_of((scenario(), scenario("host-loss"), unwanted, held)) == 2


def test_the_next_drill_is_that_of_the_first_scenario_whose_turn_it_is() -> None:
    late = scenario("host-loss", last=drill(scenario="host-loss", since_s=20 * DAY))
    held = scenario(repository="offsite", last=drill(since_s=60 * DAY))
    unwanted = scenario("region-loss", wanted=False, last=drill(since_s=50 * DAY))
    found, _ = judge_drill(healthy(scenarios=(scenario(), late, held, unwanted)), NOW)
    assert found.due_at == ago(20 * DAY - 2 * 7 * DAY)
    by_hand, _ = judge_drill(healthy(scenarios=(scenario(), late), drill_every_s=None), NOW)
    assert by_hand.due_at is None
    never = healthy(scenarios=(scenario(last=None, passed=None),), first_loaded_at=ago(3 * DAY))
    assert judge_drill(never, NOW)[0].due_at == ago(3 * DAY)


def test_the_last_drill_is_shown_whatever_it_was_of() -> None:
    last = drill("failed", scenario="host-loss")._replace(rehearsed=(3, 4))
    found, _ = judge_drill(healthy(last_drill=last), NOW)
    assert (found.last_at, found.result, found.rehearsed) == (last.at, "failed", (3, 4))
    none, _ = judge_drill(healthy(last_drill=None, last_passed_drill=None), NOW)
    assert (none.last_at, none.result, none.rehearsed) == (None, None, None)


def test_a_passed_drill_counts_for_two_intervals_and_a_failed_drill_for_none() -> None:
    passed, lost = scenario(), failed("host-loss")
    found, _ = judge_drill(healthy(scenarios=(passed, lost)), NOW)
    assert [s.valid_until for s in found.scenarios] == [ago(2 * DAY - 4 * 7 * DAY), None]
    assert [s.result for s in found.scenarios] == ["passed", "failed"]
    assert [s.verdict for s in found.scenarios] == [Verdict.MET, Verdict.BREACHED]


def test_parts_that_a_passed_drill_did_not_prove_are_at_risk_with_their_remedy() -> None:
    left = (Unproven("db", "was empty", "empty"), Unproven("conf", "is in no step", "in-no-step"))
    proven = scenario(last=drill(unproven=left))
    found, [reason] = judge_drill(with_components("db", "conf", scenarios=(proven,)), NOW)
    assert (reason.verdict, reason.kind) == (Verdict.AT_RISK, "drill-unproven")
    assert reason.text == (
        "the last drill did not prove everything: db was empty; conf is in no step"
    )
    assert reason.remedy == remedy_of(left)
    assert found.scenarios[0].unproven == left
    other = scenario(last=drill(unproven=(Unproven("orders-db", "was not restored"),)))
    [reason] = reasons(other)
    assert reason.remedy == "drd drill orders-api"
    never, _ = judge_drill(healthy(scenarios=(scenario(last=None, passed=None),)), NOW)
    assert never.scenarios[0].unproven == ()


def test_a_component_that_the_plan_lacks_now_is_not_a_gap_of_its_last_drill() -> None:
    """Nobody could follow "add a check for extra": only a drill of the plan as it is now helps."""
    left = (Unproven("extra", "was not compared", "no-check"),)
    gone = scenario(last=drill(unproven=left, plan_digest="digest-0"))
    found, [reason] = judge_drill(healthy(scenarios=(gone,)), NOW)
    assert (reason.kind, reason.remedy) == ("plan-changed", "drd drill orders-api")
    assert reason.text == "the plan changed since its last drill"
    assert found.scenarios[0].unproven == ()
    unclear = scenario(last=drill("inconclusive", unproven=left, plan_digest="digest-0"))
    [reason] = reasons(unclear)
    assert (reason.kind, reason.remedy) == ("drill-inconclusive", "drd drill orders-api")
    assert "extra" not in reason.text


@pytest.mark.parametrize(
    ("codes", "remedy"),
    [
        (["not-restored", "not-compared", ""], ""),
        (["no-check", "no-check"], "add a check for c0, c1 under `checks`"),
        (["no-check", "in-no-step"], "runbook that restores c1: `restore: c1`"),
        (["in-no-step", "empty", "no-check"], "check the source of c1; if it may be empty"),
    ],
)
def test_the_remedy_is_that_of_the_most_serious_gap(codes: list[str], remedy: str) -> None:
    found = remedy_of([Unproven(f"c{n}", "why", code) for n, code in enumerate(codes)])
    assert remedy in found
    assert bool(found) == bool(remedy)


def test_an_inconclusive_drill_says_why_or_what_it_left_out() -> None:
    left = (Unproven("orders-db", "has no check", "no-check"),)
    [reason] = reasons(scenario(last=drill("inconclusive", unproven=left)))
    assert (
        reason.text
        == "the last drill was inconclusive at 2026-11-23 00:31:00 UTC: orders-db has no check"
    )
    assert reason.remedy == remedy_of(left)
    [reason] = reasons(scenario(last=drill("inconclusive", unproven=left, reason="no room\nx")))
    assert reason.text == (
        "the last drill was inconclusive at 2026-11-23 00:31:00 UTC. The reason at that "
        "time: no room"
    )
    [reason] = reasons(scenario(last=drill("inconclusive")))
    assert (reason.text, reason.remedy) == (
        "the last drill was inconclusive at 2026-11-23 00:31:00 UTC",
        "drd drill orders-api",
    )
    assert reasons(scenario(), scenario("host-loss", wanted=False, last=drill("other"))) == []


@pytest.mark.parametrize(
    ("every_s", "since_s", "text"),
    [
        (7 * DAY, 14 * DAY, "drill is overdue: it was due at 2026-11-18 00:31:00 UTC (every 7d)"),
        (
            7 * DAY,
            14 * DAY + 1,
            (
                "the last drill passed at 2026-11-11 00:30:59 UTC, but a passed drill counts only "
                "for 14d"
            ),
        ),
        (None, 90 * DAY, ""),
        (
            None,
            90 * DAY + HOUR,
            (
                "the last drill passed at 2026-08-26 23:31:00 UTC, but a passed drill counts only "
                "for 90d"
            ),
        ),
    ],
)
def test_a_pass_that_is_too_old_counts_no_more(
    every_s: float | None, since_s: float, text: str
) -> None:
    facts = healthy(scenarios=(scenario(last=drill(since_s=since_s)),), drill_every_s=every_s)
    assert [r.text for r in judge_drill(facts, NOW)[1]] == ([text] if text else [])


def test_a_drill_that_was_held_to_a_repository_has_no_turn_and_no_age() -> None:
    old = drill(since_s=400 * DAY, plan_digest="older")
    assert reasons(scenario(), scenario(repository="offsite", last=old)) == []
    ahead = scenario(repository="offsite", last=drill(since_s=-HOUR))
    [reason] = reasons(scenario(), ahead)
    assert reason.text == (
        "the last drill of database-loss from offsite is dated 2026-11-25 01:31:00 UTC, which "
        "is in the future: a clock was set back"
    )
    assert reason.remedy == ("drd drill orders-api --scenario database-loss --repository offsite")


def test_a_changed_plan_names_the_scenario_if_there_are_several() -> None:
    old = scenario(last=drill(plan_digest="older"))
    [reason] = reasons(old)
    assert (reason.text, reason.kind) == ("the plan changed since its last drill", "plan-changed")
    [reason] = reasons(old, scenario("host-loss"))
    assert reason.text == "the plan changed since the last drill of database-loss"
    assert reason.remedy == "drd drill orders-api --scenario database-loss"


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"file": "/p/a.yaml"}, "drd plan check /p/a.yaml"),
        ({"file": "/p/a.yaml", "served": True}, "drd plan check /p/a.yaml && systemctl reload drd"),
        ({}, "drd plan check orders-api"),
        ({"file": "/p/a.yaml", "package_changed": True}, "drd backup orders-api"),
        ({"package_changed": True, "served": True}, "systemctl restart drd"),
        ({"file": "/p/a.yaml", "file_gone": True}, "drd plan show orders-api --loaded"),
        ({"file_gone": True, "renamed": True}, "drd plan show orders-api --loaded"),
        (
            {"file_gone": True, "renamed": True, "complete_points": 0},
            "drd plan forget orders-api",
        ),
    ],
)
def test_a_plan_that_is_not_loaded_is_at_risk(changes: dict[str, object], remedy: str) -> None:
    found, [reason] = judge_drill(healthy(load_error="its file is broken", **changes), NOW)
    assert (found.verdict, reason.kind, reason.remedy) == (
        Verdict.AT_RISK,
        "plan-not-loaded",
        remedy,
    )
    in_force = Verdict.AT_RISK if "package_changed" in changes else Verdict.MET
    assert found.proven is in_force, "what is in force was drilled, but not with this package"
    needs_drill = "package_changed" in changes
    assert reason.at_least is (PlanState.NEEDS_DRILL if needs_drill else PlanState.AT_RISK)
    assert "its file is broken" in reason.text


def test_a_later_drill_of_an_older_point_that_passed_is_told_beside_the_failed_one() -> None:
    older = drill(since_s=HOUR, scenario="database-loss", point="0a1b")
    facts = healthy(scenarios=(failed(),), last_drill=older)
    [reason] = judge_drill(facts, NOW)[1]
    later = "; a later drill passed with restore point 0a1b, which does not prove restore point "
    assert reason.text.endswith(f"{later}7c1e")
    assert later not in reasons(failed())[0].text
    for no_pass in (None, older._replace(result="failed")):
        [reason] = judge_drill(facts._replace(last_drill=no_pass), NOW)[1]
        assert later not in reason.text


def test_a_scenario_has_the_time_and_result_of_its_last_drill_or_none() -> None:
    found, _ = judge_drill(healthy(scenarios=(scenario(), ScenarioFacts("host-loss"))), NOW)
    drilled, never = found.scenarios
    assert (drilled.last_at, drilled.result) == (ago(2 * DAY), "passed")
    assert (never.last_at, never.result) == (None, None)


def test_a_failed_drill_says_which_checks_failed_and_its_alert_names_the_first() -> None:
    def told(*failed: FailedCheck) -> Reason:
        last = drill("failed", failed=failed)
        [reason] = judge_drill(healthy(scenarios=(scenario(last=last),)), NOW)[1]
        return reason

    few = FailedCheck("few orders", "2,433", "< 10")
    step = FailedCheck("step announce", "no route\nx", "succeeds")
    lead = "the last drill failed at 2026-11-23 00:31:00 UTC: "
    assert told(few).text == f'{lead}check "few orders": 2,433 (expected < 10)'
    assert told(few).brief == 'check "few orders"'
    assert told(step, few).text == (
        f'{lead}step announce: no route; check "few orders": 2,433 (expected < 10)'
    )
    assert told(step, few).brief == "step announce"
    many = told(*[FailedCheck(f"c{n}", "", "") for n in range(5)])
    assert many.text == f'{lead}check "c0"; check "c1"; check "c2"; and 2 more'


def test_a_package_that_is_missing_is_unknown_and_the_doctor_says_more() -> None:
    gone = healthy(load_error="it is not installed", package_changed=True, package_missing=True)
    found, [reason] = judge_drill(gone, NOW)
    assert (found.verdict, reason.remedy) == (Verdict.UNKNOWN, "drd doctor orders-api")


def test_a_drill_that_could_not_read_a_repository_is_repeated_once_that_is_sound() -> None:
    unread = FailedCheck("orders can be restored", "pack 5239 does not exist", RESTORES)
    wrong = FailedCheck("few orders", "7", "< 5")

    def remedy(*checks: FailedCheck, **of_repository: object) -> str:
        last = drill("failed", failed=checks)
        there = (repository(**of_repository),)
        facts = healthy(scenarios=(scenario(last=last),), repositories=there)
        [reason] = judge_drill(facts, NOW)[1]
        return reason.remedy

    assert remedy(unread) == "drd drill orders-api"
    for trouble, value in (("damage", "x"), ("lost", "gone"), ("unreachable", "x"), ("missing", 1)):
        assert remedy(unread, **{trouble: value}) == "drd run show d14a"
    assert remedy(unread, wrong) == remedy(wrong) == remedy() == "drd run show d14a"


def test_a_passed_operator_drill_proves_the_data_but_measures_no_time() -> None:
    kinds = []

    def judged(name: str = "database-loss", **changes: object) -> tuple[PlanState, str]:
        passed = drill(scenario="operator", **changes)
        facts = healthy(
            last_drill=passed, last_passed_drill=passed, scenarios=(ScenarioFacts(name),)
        )
        [found] = judge_drill(facts, NOW)[1]
        kinds.append(found.kind)
        return found.state, found.text

    state, text = judged()
    assert kinds.pop() == "time-unmeasured"
    assert state is PlanState.NEEDS_DRILL
    assert text.startswith("no drill has measured the time yet; an operator drill passed ")
    assert text.endswith(" with restore point 7c1e, so the data can be restored")
    never = (PlanState.UNKNOWN, "never drilled, so nobody knows whether the data can be restored")
    gap = Unproven("orders-db", "was not restored")
    assert judged("host-loss") == never, "the host was there"
    assert judged(since_s=40 * DAY) == never
    assert judged(plan_digest="another") == never
    assert judged(unproven=(gap,)) == never
    assert set(kinds) == {"never-drilled"}
