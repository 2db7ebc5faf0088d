"""What a drill of each scenario has proven, and how it is called."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drd.model.drill_verdicts import judge_drill, remedy_of
from drd.model.facts import ScenarioFacts
from drd.model.run import (
    CheckResult,
    CheckVerdict,
    DrillResult,
    drill_result,
    last_turn,
    taken_back,
)
from drd.model.verdicts import Reason, Verdict
from tests.status_support import NOW, drill, healthy, scenario


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
    assert reason.text.startswith("drill failed")


def test_one_of_several_scenarios_is_named() -> None:
    [reason] = reasons(failed(), scenario("host-loss"))
    assert reason.subject == "database-loss"
    assert reason.text.startswith("drill of database-loss failed")


def test_a_scenario_that_the_plan_does_not_want_any_more_is_named() -> None:
    [reason] = reasons(scenario(), failed("host-loss", wanted=False))
    assert reason.subject == "host-loss"
    assert reasons(scenario(), scenario("host-loss", wanted=False)) == []


def test_a_drill_from_one_repository_names_it() -> None:
    [reason] = reasons(scenario(), failed(repository="offsite"))
    assert reason.subject == "database-loss from offsite"
