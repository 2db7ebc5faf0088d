"""Operator drills: for whom they count, and what the records say of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd import process
from drd.api import documents
from drd.errors import Refused
from drd.flows.drill.operator import require_possible
from drd.flows.drill.request import DrillRequest
from drd.model.actor import Actor
from drd.model.operator_drill import (
    OperatorDrill,
    PersonStep,
    Starter,
    judged,
    names_another,
    person_steps,
)
from drd.model.records import Draft
from drd.model.run import Decision, DrillResult, StepState
from drd.model.step_record import StepRecord
from drd.model.step_results import PersonStepResult, StepResult
from drd.model.training import Crew, Drilled, Known, OperatorsRule, Standing, TrainingPolicy
from drd.model.training import operators as qualified
from drd.model.training_findings import of_training
from drd.model.training_records import DRILLED, Belief, drilled
from drd.signing import accepts
from tests.flow_support import World
from tests.records_support import ANNA, BEGUN, Chain, key
from tests.schedule_support import plan

CREW = Crew({"Anna": (), "Bob": ()}, {"anna": "Anna", "bob": "Bob"})
BOB = Actor(1001, "bob", None, "db1", "socket")
ROOT = Actor(0, "root", None, "db1", "terminal")
DONE = PersonStep("dns", "manual", "done", "anna", "Anna", 9.7)
APPROVED = PersonStep("go", "approve", "approve", "bob", "Bob", 18.0)


def outcome(
    *steps: PersonStep, actor: Actor | None = ANNA, by: str = "", result: str = "passed"
) -> OperatorDrill:
    return judged(
        Starter(actor, by, CREW),
        DrillResult(result),
        steps,
        blind=False,
        people_s=28.0,
        machine_s=1.6,
    )


def test_drill_counts_for_the_starter_who_did_the_manual_steps() -> None:
    found = outcome(APPROVED, DONE)
    assert (found.counts, found.user, found.person, found.why) == (True, "anna", "Anna", "")
    assert outcome(APPROVED, DONE, by="ANNA").counts
    assert outcome(by="anna").counts


@pytest.mark.parametrize(
    ("step", "of", "why"),
    [
        (DONE, {"actor": ROOT}, "root without a login started the drill"),
        (DONE, {"by": "Bob"}, "--by names Bob, but Anna (user anna) started the drill"),
        (DONE, {"result": "failed"}, "the result of the drill is failed, not passed"),
        (replace(DONE, user="bob"), {}, "step dns was done by Bob, not by Anna"),
        (replace(DONE, user=""), {}, "step dns was done by an unknown person"),
        (replace(APPROVED, action="skip"), {}, "step go was skipped by Bob"),
        (DONE, {"actor": replace(BOB, came="schedule")}, "drd cannot prove which person it was"),
        (DONE, {"actor": None}, "an unknown user started the drill"),
    ],
)
def test_drill_counts_for_nobody(step: PersonStep, of: dict[str, Any], why: str) -> None:
    found = outcome(step, **of)
    assert not found.counts
    assert why in found.why


@pytest.mark.parametrize("by", ["", "Anna", "anna", "ANNA"])
def test_a_person_who_gives_their_own_name_names_nobody_else(by: str) -> None:
    assert names_another(Starter(ANNA, by, CREW)) == ""


@pytest.mark.parametrize("by", ["Anna Smith", "asmith"])
def test_a_person_may_be_named_by_the_name_or_by_the_user(by: str) -> None:
    crew = Crew({"Anna Smith": ()}, {"asmith": "Anna Smith"})
    anna = Actor(1000, "asmith", None, "db1", "terminal")
    assert names_another(Starter(anna, by, crew)) == ""


def test_claimed_name_is_not_the_person() -> None:
    claims = replace(ROOT, claimed_by="Anna", claimed_user="anna")
    assert outcome(DONE, actor=claims).user == ""


@pytest.mark.parametrize(
    ("actor", "by", "told"),
    [
        (ROOT, "", ["root without a login starts this drill, so drd cannot prove"]),
        (ANNA, "", []),
        (ANNA, "Anna", []),
        (ANNA, "Bob", ["--by names Bob, but Anna (user anna) starts this drill, so it will count"]),
    ],
)
def test_a_drill_that_cannot_count_says_so_at_its_start(
    monkeypatch: pytest.MonkeyPatch, actor: Actor, by: str, told: list[str]
) -> None:
    monkeypatch.setattr(process, "actor_here", lambda: actor)
    warned: list[str] = []
    people = {"roles": CREW.roles, "users": CREW.users}
    services = cast("Any", SimpleNamespace(claim=None, warn=warned.append, **people))
    require_possible(services, plan(), DrillRequest(scenario="operator", by=by))
    assert [w[: len(t)] for w, t in zip(warned, told, strict=True)] == told


def record(name: str, kind: str, state: StepState, attempt: int = 1, **more: Any) -> StepRecord:
    result = PersonStepResult(asked_at=BEGUN) if kind != "command" else StepResult()
    return StepRecord(
        run="r1",
        name=name,
        kind=kind,
        state=state,
        attempt=attempt,
        started_at=BEGUN,
        result=result,
        **more,
    )


def test_answers_are_those_to_the_last_question() -> None:
    def said(step: str, action: Any, attempt: int, actor: Actor) -> Decision:
        at = BEGUN + timedelta(seconds=10)
        return Decision(step, action, actor.user, "", attempt, at, actor)

    found = person_steps(
        [
            record("go", "approve", StepState.SUCCEEDED, 2),
            record("dns", "manual", StepState.SUCCEEDED),
            record("app", "command", StepState.SKIPPED),
            record("look", "check", StepState.SUCCEEDED),
            record("later", "manual", StepState.WAITING),
        ],
        [
            said("go", "approve", 1, BOB),
            said("go", "approve", 2, ANNA),
            said("dns", "done", 1, ROOT),
            said("app", "skip", 1, BOB),
        ],
    )
    told = [(s.step, s.action, s.user, s.took_s) for s in found]
    assert told == [
        ("go", "approve", "anna", 10.0),
        ("dns", "done", "", 10.0),
        ("app", "skip", "bob", 10.0),
    ]


@pytest.mark.parametrize(("after_s", "took_s"), [(0.0004, 0.0), (0.25, 0.25), (-0.001, None)])
def test_time_until_an_answer_is_unknown_if_a_clock_was_set_back(
    after_s: float, took_s: float | None
) -> None:
    at = BEGUN + timedelta(seconds=after_s)
    answer = Decision("dns", "done", "anna", "", 1, at, ANNA)
    [found] = person_steps([record("dns", "manual", StepState.SUCCEEDED)], [answer])
    assert found.took_s == took_s


def test_only_drills_that_count_are_read() -> None:
    chain = Chain(signer := key())

    def add(**more: Any) -> None:
        body = {**outcome(DONE).to_json(), "plan": "shop", "run": "r1", "result": "passed", **more}
        chain.add(Draft(DRILLED, "shop/r1", body, BEGUN, ANNA))

    for wrong in ({"counts": False}, {"counts": 1}, {"result": "failed"}, {"user": ""}):
        add(**wrong)
    belief = Belief({signer.public.id: signer.public.text}, accepts)
    assert not list(drilled(chain.entries, belief))
    add()
    [found] = drilled(chain.entries, belief)
    assert (found.user, found.plan, found.at) == ("anna", "shop", BEGUN)


def test_plan_needs_as_many_operators_as_it_requires() -> None:
    rule, now = OperatorsRule(2, 180 * 86400.0), BEGUN + timedelta(days=200)
    requires = plan(training=TrainingPolicy(rule))

    def passed(user: str, days: float, name: str = "orders-api") -> Drilled:
        return Drilled(user, name, "r", now - timedelta(days=days), False, 1)

    def finding(*done: Drilled) -> tuple[str, str, str]:
        [one] = of_training(requires, Known(drilled=done), CREW, {}, now)
        return one.finding.severity, str(one.allows), one.finding.text

    assert finding(passed("anna", 1), passed("bob", 179))[:2] == ("ok", "ready")
    assert finding(passed("anna", 1), passed("anna", 2)) == (
        "error",
        "needs drill",
        (
            "1 person passed an operator drill in the last 180d, and the plan requires 2: Anna "
            f"(until {now + timedelta(days=179):%Y-%m-%d})"
        ),
    )
    assert finding(passed("anna", 1), passed("bob", 1, "other"))[0] == "error"
    states = [q.standing for q in qualified(rule, "orders-api", Known(), CREW, now)]
    assert states == []
    [late] = qualified(rule, "orders-api", Known(drilled=(passed("eve", 181),)), CREW, now)
    assert (late.person, late.standing) == ("eve", Standing.EXPIRED)


def test_a_secret_of_a_control_does_not_keep_members_from_the_page_without_controls(
    tmp_path: Path,
) -> None:
    control = "{name: up, kind: http, url: https://shop.example/, expect: 403, "
    control += "headers: {X-Key: {file: /k}}}"
    world = World(tmp_path, copies=False, more=f"controls: [{control}]\n")
    try:
        with pytest.raises(Refused, match='"headers" under `controls`, which only root may see'):
            documents.plan(world.app, "shop")
        page = documents.plan(world.app, "shop", without=("controls",))
        assert "controls" not in page["resolved"]
    finally:
        world.close()
