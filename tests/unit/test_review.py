"""Which recoveries and promised updates the entries of an incident show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drd.model.incidents import entries as kinds
from drd.model.incidents.cadence import Cadence
from drd.model.incidents.fold import fold
from drd.model.incidents.review import (
    Goals,
    Recovery,
    drill_before,
    playbook_runs,
    promises,
    recoveries,
    step_differences,
    unfinished,
)
from drd.model.losses import Loss
from drd.model.records import Draft
from drd.model.run import StepState
from drd.model.step_results import ActionStepResult
from tests.records_support import ANNA
from tests.unit.test_postmortem import HOUR, NOON, Response, evidence, measured, review, step

BEGAN = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RUN = {"run": "r1", "plan": "shop", "state": "succeeded"}
WHOLE = Recovery("r1", "shop", "", "", "passed", "", BEGAN, 60.0, 600.0)


def evidence_of(**values: Any) -> tuple[str, dict[str, Any]]:
    return "evidence", measured("r1", **values)


def end_of(**values: Any) -> tuple[str, dict[str, Any]]:
    return "run.end", {**RUN, **values}


def decision(action: str, **values: Any) -> tuple[str, dict[str, Any]]:
    return "decision", {"run": "r1", "action": action, **values}


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([evidence_of()], WHOLE),
        (
            [evidence_of(point="p1", data_time="2026-11-28T12:00:00Z", judged=True)],
            replace(WHOLE, point="p1", data_time=NOON),
        ),
        (
            [evidence_of(rpa_s=None, rta_s=None, result="inconclusive", scenario="recovery")],
            replace(WHOLE, loss_s=None, took_s=None, result="inconclusive"),
        ),
        ([evidence_of(), end_of()], replace(WHOLE, state="succeeded")),
        ([end_of(), evidence_of()], replace(WHOLE, state="succeeded")),
        (
            [end_of(error="no room", started_at="2026-11-28T12:00:00Z")],
            Recovery("r1", "shop", "succeeded", "no room", started_at=NOON),
        ),
        ([evidence_of(), decision("undo")], replace(WHOLE, back="undone")),
        ([evidence_of(), decision("rollback")], replace(WHOLE, back="rolled back")),
        ([evidence_of(), decision("undo", step="swap")], WHOLE),
        ([evidence_of(), decision("undo"), decision("redo")], WHOLE),
        # Entries that another version wrote in another form have no effect.
        ([("evidence", {"evidence": 5}), evidence_of(), ("run.end", {"run": "r1"})], WHOLE),
        ([evidence_of(), ("note", RUN)], WHOLE),
        ([end_of(run_kind="backup"), evidence_of()], WHOLE),
    ],
)
def test_a_recovery_is_what_its_signed_entries_say(
    entries: list[tuple[str, dict[str, Any]]], found: Recovery
) -> None:
    said = Response()
    for kind, body in entries:
        said.run(kind, "r1", **body)
    assert recoveries(said.entries) == (found,)


def test_without_the_objectives_of_a_plan_nobody_knows_whether_too_much_was_lost() -> None:
    assert review().loss_of(WHOLE) is None
    judged = review(goals={"shop": Goals(60.0, 600.0)})
    assert judged.loss_of(WHOLE) == Loss("", 60.0, 60.0)
    assert judged.loss_of(replace(WHOLE, loss_s=None)) is None


def test_a_recovery_is_unfinished_until_a_run_of_its_plan_ends() -> None:
    said = Response()
    said.say(kinds.RECOVERY, plan="", target="standby")
    for plan in ("shop", "billing"):
        said.say(kinds.RECOVERY, plan=plan, target="standby")
    assert unfinished(said.entries) == ("shop", "billing")
    said.run("run.end", "b1", **{**RUN, "run_kind": "backup"})
    assert unfinished(said.entries) == ("shop", "billing")
    said.run("run.end", "r1", **RUN)
    assert unfinished(said.entries) == ("billing",)


def test_runs_of_playbooks_are_those_of_entries_in_their_form() -> None:
    said = Response()
    said.say(kinds.PLAYBOOK, run="p1")
    said.say(kinds.PLAYBOOK, run="p2", playbook="contain")
    said.say(kinds.RECOVERY, run="p3", playbook="contain")
    assert playbook_runs(said.entries) == {"p2": "contain"}


def test_updates_that_nobody_expected_are_no_promises() -> None:
    """Incident 1 is opened at noon, and its messages are sent one a minute."""
    said = Response()
    said.say(kinds.MESSAGE, act="draft", audience="internal", next_update=NOON.isoformat())
    said.say(kinds.MESSAGE, act="send", audience="press")
    said.say(kinds.LOG, act="send", audience="internal", text="")
    incident = fold(1, said.entries)
    now = NOON + HOUR
    assert promises(incident, said.entries, now) == ()
    expected = replace(incident, cadence=Cadence(60, {"critical": 60.0}))
    [first] = promises(expected, said.entries, now)
    assert (first.audience, first.due, first.told_at) == ("internal", NOON + MINUTE, None)
    assert promises(replace(expected, sealed=True), said.entries, now) == ()
    assert promises(expected, said.entries, first.due) == (), "it is due now"
    assert promises(expected, said.entries, first.due + MINUTE) == (first,)
    said.say(kinds.MESSAGE, act="send", audience="internal")
    [told] = promises(expected, said.entries, now)
    assert (told.due, told.told_at) == (NOON + MINUTE, NOON + 4 * MINUTE)


def test_promises_are_in_the_order_in_which_they_were_due() -> None:
    said = Response()
    for audience, minutes in (("press", 20), ("customers", 10), ("authorities", 20)):
        due = (NOON + minutes * MINUTE).isoformat()
        said.say(kinds.MESSAGE, act="send", audience=audience, next_update=due)
    found = promises(fold(1, said.entries), said.entries, NOON + HOUR)
    assert [one.audience for one in found] == ["customers", "authorities", "press"]


def test_the_drill_before_a_recovery_may_end_as_it_begins() -> None:
    drill = evidence(finished_at=NOON)
    assert drill_before([drill], NOON) is drill
    assert drill_before([drill], NOON - MINUTE) is None
    assert drill_before([drill], None) is drill
    assert drill_before([replace(drill, target="standby")], None) is None


def test_steps_that_did_not_succeed_have_no_time_to_compare() -> None:
    left = ActionStepResult.of({"reason": "the host is gone"})
    real = [
        step("a", state=StepState.CANCELLED),
        step("b", state=StepState.FAILED, error="no route", took_s=900),
        step("c", state=StepState.SKIPPED, result=left),
        step("d", took_s=900),
        step("e", took_s=900),
        step("f", took_s=-900),
        step("g", took_s=900),
        step("conf", kind="restore", subject="conf", attempt=2),
        step("h", took_s=900, finished_at=None),
    ]
    drilled = [
        *(step(name) for name in "abcfh"),
        step("d", state=StepState.FAILED),
        step("e", kind="restore"),
        step("g", took_s=-900),
    ]
    assert list(step_differences(real, drilled, {"conf": "it was not there"})) == [
        "step a cancelled",
        "step b failed: no route",
        "step c was skipped: the host is gone",
        "step g took 15m, but 0s in the drill",
        "restore of conf needed 2 attempts",
    ]


def test_a_decision_about_another_run_takes_nothing_back() -> None:
    said = Response()
    said.run("evidence", "r1", **measured("r1"))
    said.add(Draft("decision", "shop/r2", {"run": "r2", "action": "undo"}, NOON, ANNA))
    assert recoveries(said.entries) == (WHOLE,)
