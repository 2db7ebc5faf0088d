"""What a run says of itself, and what people decided about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drd.model.actor import Actor
from drd.model.cause import Cause
from drd.model.run import (
    CheckResult,
    CheckVerdict,
    Decision,
    Run,
    RunKind,
    RunState,
    about_all,
    operators,
    sound_id,
    took_s,
)
from drd.model.run_details import RunDetail

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
ANNA = Actor(1000, "anna", 1000, "db1", "terminal")
BERT = Actor(1001, "bert", 1001, "db1", "terminal")


def run(**known: Any) -> Run:
    return Run(
        **{
            "id": "4f2a",
            "plan": "shop",
            "kind": RunKind.RECOVERY,
            "trigger": "manual",
            "state": RunState.FAILED,
            "started_at": NOON,
            **known,
        }
    )


def decision(action: Any, step: str = "", actor: Actor | None = None) -> Decision:
    return Decision(step, action, "somebody", "", 1, NOON, actor)


@pytest.mark.parametrize("good", ["4f2a", "0", "a" * 40, "7c1e-d14"])
def test_an_id_that_drd_made_is_sound(good: str) -> None:
    assert sound_id(good) == good


@pytest.mark.parametrize("bad", ["", "-a", "a" * 41, "A", "a/b", "a.b", "a\n", "../a"])
def test_an_id_that_drd_did_not_make_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="somebody has changed the catalogue"):
        sound_id(bad)


def test_states_are_final_but_for_three() -> None:
    assert {state for state in RunState if not state.final} == {
        RunState.PENDING,
        RunState.RUNNING,
        RunState.WAITING,
    }


def test_a_run_without_an_error_has_no_cause() -> None:
    assert run().cause is None
    assert run(error="").cause is None
    assert run(error="it broke").cause == Cause("it broke")
    detail = RunDetail(remedy="mend it")
    assert run(error="it broke", error_code="bug", detail=detail).cause == Cause(
        "it broke", "bug", "mend it"
    )


def test_the_duration_is_measured_or_that_of_the_clock_if_it_was_not_set_back() -> None:
    end = NOON + timedelta(seconds=5)
    assert took_s(NOON, end, None) == 5.0
    assert took_s(NOON, end, 7.0) == 7.0
    assert took_s(NOON, end, 0.0) == 0.0
    assert took_s(NOON, NOON, None) == 0.0
    assert took_s(end, NOON, None) is None
    assert run(finished_at=end).duration_s == 5.0
    assert run(finished_at=end, detail=RunDetail(took_s=7.0)).duration_s == 7.0
    assert run().duration_s is None
    assert run(started_at=None, finished_at=end).duration_s is None


def test_operators_of_a_run_are_those_who_started_or_resumed_it() -> None:
    said = [decision("approve", "go", BERT), decision("resume", actor=BERT), decision("undo")]
    assert operators(run(actor=ANNA), said) == [ANNA, BERT]
    assert operators(run(), []) == [None]


def test_decisions_about_a_whole_run_name_no_step() -> None:
    said = [decision("approve", "go"), decision("resume"), decision("undo")]
    assert about_all(said) == ["resume", "undo"]


def test_checks_of_former_versions_are_read() -> None:
    check = CheckResult("rows", "db", CheckVerdict.PASSED, "14 tables", "0 differ")
    assert CheckResult.from_json(check.to_json()) == check
    told = CheckResult("n", None, CheckVerdict.FAILED, "1", "> 2", True, False, True, "1")
    assert CheckResult.from_json({**told.to_json(), "later": 1}) == told
    former = {
        "name": "n",
        "component": None,
        "verdict": "passed",
        "observed": "5,000",
        "expected": "> 10",
    }
    found = CheckResult.from_json(former)
    assert (found.part, found.looked_at_data, found.bound) == (False, True, True)
