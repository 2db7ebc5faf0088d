"""The drill of an operator: what it requires before it begins, and for whom it counts."""

from __future__ import annotations

from dataclasses import replace

from drd import process
from drd.errors import StepFailed, UsageError
from drd.flows.drill.phases import Phase, RunBegun, RunbookEnded
from drd.flows.drill.request import DrillRequest
from drd.flows.runbook.permissions import require_approvable
from drd.flows.services import Services
from drd.model.actor import Actor
from drd.model.operator_drill import (
    OperatorDrill,
    Starter,
    judged,
    names_another,
    person_steps,
)
from drd.model.plan import OPERATOR, Plan
from drd.model.run import CheckVerdict, Evidence, StepState
from drd.model.runbook import PEOPLE
from drd.model.training import Crew
from drd.model.training_records import proven_user


def require_possible(services: Services, plan: Plan, request: DrillRequest) -> None:
    """Raise UsageError for an option that only an operator drill allows, for an option that an
    operator drill does not allow, and if nobody could approve a step because drd does not know who
    starts the drill."""
    if request.scenario != OPERATOR:
        if request.by or request.blind:
            option = "--by" if request.by else "--blind"
            raise UsageError(
                f"{option} is allowed only with the scenario {OPERATOR}",
                hint=f"add --scenario {OPERATOR}, or leave out {option}.",
            )
        return
    if request.components:
        raise UsageError(
            "an operator drill rehearses the whole runbook, so --component is not allowed",
            hint="leave out --component.",
        )
    starter = _starter(services)
    require_approvable(plan.runbook, starter)
    if proven_user(starter) is None:
        services.warn(
            f"{starter.anybody()} starts this drill, so drd cannot prove which person it is, and "
            "the drill will count for nobody. To make it count, log in with your own account, and "
            f"start it from there: sudo drd drill {plan.name} --scenario {OPERATOR}"
        )
    crew = Crew(services.roles, services.users)
    other = names_another(Starter(starter, given_name(services, request), crew))
    if other:
        services.warn(
            f"{other} starts this drill, so it will count for nobody. To make it count, cancel it "
            f"(drd cancel), and start it again without --by, or as the user of that person"
        )


def given_name(services: Services, request: DrillRequest) -> str:
    """Return the name that the starter of the drill claimed to have: with `--by`, or in the request
    through the socket."""
    claim = services.claim
    claimed = claim.actor.claimed_by if claim is not None and claim.actor is not None else ""
    return request.by or claimed


def outcome_of(reached: Phase, evidence: Evidence) -> OperatorDrill | None:
    """Return the people's part of an operator drill; None for other drills."""
    begun = reached if isinstance(reached, RunBegun) else reached.begun
    if begun.request.scenario != OPERATOR:
        return None
    catalogue, run = begun.services.catalogue, begun.runner.run
    said = catalogue.decisions.of_run(run.id)
    crew = Crew(begun.services.roles, begun.services.users)
    judgement = judged(
        Starter(run.actor, given_name(begun.services, begun.request), crew),
        evidence.result,
        tuple(person_steps(catalogue.steps.of_run(run.id), said)),
        blind=begun.request.blind,
        people_s=evidence.phases.get("decide_s", 0.0) if evidence.rta_s is not None else None,
        machine_s=evidence.rta_s,
    )
    if judgement.counts and catalogue.records.signer(begun.services.clock.now()) is None:
        why = "drd cannot sign the record of this drill. To see why: drd records key"
        return replace(judgement, counts=False, why=why)
    return judgement


def unanswered(ended: RunbookEnded) -> StepFailed | None:
    """Return the error of an operator drill in which only steps of people failed: it proves
    nothing, because the data may be right. None for every other result."""
    restoring = ended.restoring
    if ended.begun.request.scenario != OPERATOR:
        return None
    states, steps = restoring.engine.outcome.states, restoring.engine.steps
    late = [n for n, s in states.items() if s is StepState.FAILED and steps[n].kind in PEOPLE]
    rows = {f"step {name}" for name in late}
    failed = [row for row in ended.checks if row.verdict is CheckVerdict.FAILED]
    if not late or any(row.name not in rows for row in failed):
        return None
    why = restoring.engine.outcome.causes[late[0]].text
    return StepFailed(
        f"step {late[0]}: {why}",
        hint=f"start the drill again: drd drill {ended.begun.plan.name} --scenario {OPERATOR}",
    )


def _starter(services: Services) -> Actor:
    claim = services.claim
    if claim is not None and claim.actor is not None:
        return claim.actor
    return process.actor_here()
