"""A drill in which people answer approvals and do manual steps, and for whom it counts. Pure.

It counts for the person who started it, whom the kernel names, if it passed and if this person did
every manual step. Others may give the approvals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd.model.actor import Actor
from drd.model.person_names import is_same
from drd.model.plan import OPERATOR
from drd.model.records import Draft
from drd.model.run import Decision, DrillResult, Evidence, Run, RunKind, StepState
from drd.model.run_details import DrillDetail
from drd.model.runbook import PEOPLE
from drd.model.step_record import StepRecord
from drd.model.text import escaped
from drd.model.training import Crew
from drd.model.training_records import DRILLED, proven_user


@dataclass(frozen=True, slots=True)
class PersonStep:
    """What one person did: `action` is approve, done or skip. `user` is the user whom the kernel
    named; empty if drd cannot know the person. `took_s` is the time from the question to the
    answer."""

    step: str
    kind: str
    action: str
    user: str
    by: str
    took_s: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "kind": self.kind,
            "action": self.action,
            "user": self.user,
            "by": self.by,
            "took_s": self.took_s,
        }


@dataclass(frozen=True, slots=True)
class OperatorDrill:
    """The people's part of a drill. `user` is the user whom the kernel named as the starter of the
    drill, empty if drd cannot know the person, and `person` their name; `by` is the claimed name.
    `people_s` is the time during which only people worked, `machine_s` all other time; None if the
    drill ended before it was measured. The drill `counts` for the user, or `why` says why not."""

    user: str
    person: str
    by: str
    blind: bool
    people_s: float | None
    machine_s: float | None
    steps: tuple[PersonStep, ...]
    counts: bool
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON, for the run and the records."""
        return {
            "user": self.user,
            "person": self.person,
            "by": self.by,
            "blind": self.blind,
            "people_s": self.people_s,
            "machine_s": self.machine_s,
            "steps": [step.to_json() for step in self.steps],
            "counts": self.counts,
            "why": self.why,
        }


def of_operator_drill(
    run: Run, evidence: Evidence, operator: OperatorDrill, actor: Actor | None
) -> Draft:
    """Return the record of what people did in a drill, and for whom it counts."""
    body = {
        "run": run.id,
        "plan": run.plan,
        "evidence": evidence.id,
        "result": evidence.result,
        **operator.to_json(),
        "actor": actor,
    }
    return Draft(DRILLED, f"{run.plan}/{run.id}", body, evidence.finished_at, actor)


def is_operator_drill(run: Run) -> bool:
    """Return whether people decide in this drill."""
    detail = run.detail
    return (
        run.kind is RunKind.DRILL
        and isinstance(detail, DrillDetail)
        and detail.scenario == OPERATOR
    )


def is_blind(run: Run) -> bool:
    """Return whether drd gives the operator of this drill no hints."""
    return isinstance(run.detail, DrillDetail) and run.detail.blind


@dataclass(frozen=True, slots=True)
class Starter:
    """Who started a drill, and the name that this person claimed (`by`)."""

    actor: Actor | None
    by: str
    crew: Crew


def judged(
    starter: Starter,
    result: DrillResult,
    steps: Sequence[PersonStep],
    *,
    blind: bool,
    people_s: float | None,
    machine_s: float | None,
) -> OperatorDrill:
    """Return the people's part of a drill that ended with this result."""
    user = proven_user(starter.actor) or ""
    person = starter.crew.person(user) if user else ""
    why = _why_not(starter, user, person, result, steps)
    return OperatorDrill(
        user,
        person,
        starter.by,
        blind,
        people_s,
        machine_s,
        tuple(steps),
        not why,
        why,
    )


def names_another(starter: Starter) -> str:
    """Return the beginning of a sentence if `by` is the name of somebody else than the user whom
    the kernel names; empty otherwise."""
    user = proven_user(starter.actor)
    if user is None or not starter.by:
        return ""
    person = starter.crew.person(user)
    if any(is_same(starter.by, name) for name in (person, user)):
        return ""
    return f"--by names {escaped(starter.by)}, but {escaped(person)} (user {escaped(user)})"


def _why_not(
    starter: Starter, user: str, person: str, result: DrillResult, steps: Iterable[PersonStep]
) -> str:
    if not user:
        who = starter.actor.anybody() if starter.actor is not None else "an unknown user"
        return f"{who} started the drill, so drd cannot prove which person it was"
    if other_name := names_another(starter):
        return f"{other_name} started the drill"
    if result is not DrillResult.PASSED:
        return f"the result of the drill is {result}, not passed"
    for step in steps:
        if step.action == "skip":
            return f"step {step.step} was skipped by {_called(step, starter.crew)}"
        if step.kind == "manual" and step.user != user:
            other = _called(step, starter.crew)
            return f"step {step.step} was done by {other}, not by {escaped(person)}"
    return ""


def _called(step: PersonStep, crew: Crew) -> str:
    return escaped(crew.person(step.user)) if step.user else "an unknown person"


def person_steps(
    records: Iterable[StepRecord], decisions: Iterable[Decision]
) -> Iterator[PersonStep]:
    """Return what people answered: for each step the decision about its last attempt."""
    said = {(d.step, d.attempt): d for d in decisions if d.step}
    for record in records:
        decision = said.get((record.name, record.attempt)) or said.get((record.name, 0))
        skipped = record.state is StepState.SKIPPED and decision is not None
        if decision is None or not (skipped or record.kind in PEOPLE):
            continue
        yield PersonStep(
            record.name,
            record.kind,
            decision.action,
            proven_user(decision.actor) or "",
            decision.by,
            _seconds(record.result.asked_at or record.started_at, decision.at),
        )


def _seconds(begin: datetime, end: datetime) -> float | None:
    took_s = (end - begin).total_seconds()
    return round(took_s, 3) if took_s >= 0 else None  # a clock was set back
