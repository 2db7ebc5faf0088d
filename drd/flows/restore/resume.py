"""Going on with a recovery that stopped, and taking one back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from drd.errors import AlreadyRunning, CatalogueError, DrdError, Fenced, UsageError
from drd.flows.durable_steps import describe
from drd.flows.restore.preflight import require_answerable
from drd.flows.restore.recovery import adopted, opened
from drd.flows.restore.recovery_plan import RecoveryPlan, RecoveryRequest, plan_recovery
from drd.flows.services import Services
from drd.model.actor import Actor
from drd.model.plan import Plan, plan_hash
from drd.model.run import (
    Decision,
    Run,
    RunKind,
    RunState,
    StepRecord,
    StepState,
    about_all,
    taken_back,
)
from drd.model.runbook import can_be_undone
from drd.model.text import escaped

_DONE = StepState.SUCCEEDED
_BEGUN = (StepState.SUCCEEDED, StepState.FAILED, StepState.RUNNING, StepState.CANCELLED)
"""States of steps that may have had an effect."""


def resume_plan(services: Services, plan: Plan, run: Run) -> RecoveryPlan:
    """What going on with the run means; it is open afterwards.

    Raises UsageError for a run that cannot go on, AlreadyRunning for one that does.
    """
    _refuse_others(services, run, "drd drill begins anew.")
    run = services.witness.believed(run, "resume")
    if run.state is RunState.SUCCEEDED:
        raise UsageError(
            f"run {run.id} of {run.plan} is over: it succeeded",
            hint=f"what it did: drd run show {run.id}",
        )
    if "point" not in run.detail:
        raise UsageError(
            f"run {run.id} of {run.plan} had not begun yet", hint="give drd recover once more."
        )
    if (back := taken_back(about_all(services.catalogue.decisions(run.id)))) is not None:
        on = (
            f"undo {run.id} --redo takes that back"
            if back == "undone"
            else f"rollback {run.id} goes on with that"
        )
        raise UsageError(
            f"run {run.id} of {run.plan} was {back}", hint=f"drd {on}; drd recover begins anew."
        )
    planned = plan_recovery(services, plan, RecoveryRequest.of_run(run), continues=run)
    require_answerable(services, planned)
    if changed := _changed(plan, run):
        services.warn(
            f"{changed} since run {run.id} began: what is done stays done, the rest follows what "
            "is there now"
        )
    if run.state.final:
        services.catalogue.reopen(run, services.clock.now())
    return planned


def _changed(plan: Plan, run: Run) -> str | None:
    """What of the plan is not as it was when the run began, in words. Its hash is also of the files
    that its commands name, which a step may make or write."""
    if plan.digest == run.plan_digest:
        return None
    then, now = run.detail.get("commands"), plan.resolved.get("commands")
    if not isinstance(then, dict) or not isinstance(now, dict):
        return "the plan, or a file that its commands name, has changed"
    if plan_hash({**plan.resolved, "commands": then}) != run.plan_digest:
        return "the plan has changed"
    files = sorted(n for n in {**then, **now} if then.get(n) != now.get(n))
    return (
        "the plan is as it was, and what its commands name has changed "
        f"({escaped(', '.join(files))})"
    )


def _refuse_others(services: Services, run: Run, instead: str) -> None:
    """It is a recovery, and no process carries one of its plan out."""
    if run.kind is not RunKind.RECOVERY:
        raise UsageError(f"run {run.id} of {run.plan} is a {run.kind}, no recovery", hint=instead)
    dead = {r.id for r in services.catalogue.abandoned(run.plan)}
    for other in services.catalogue.runs(run.plan, limit=200, kind=RunKind.RECOVERY):
        if not other.state.final and other.id not in dead:
            raise AlreadyRunning(
                f"run {other.id} of {run.plan} is being carried out by process {other.owner_pid}"
                + (f" on {other.owner_host}" if other.owner_host else ""),
                run=other.id,
                hint=f"see how far it is: drd run show {other.id}; end it: drd cancel {other.id}",
            )


# --- taking back ------------------------------------------------------------------------------


_HARMLESS = ("check", "wait", "approve", "notify")
"""Kinds that leave nothing to take back, unless the plan says so."""


@dataclass(frozen=True, slots=True)
class Undone:
    """`steps` were taken back, in this order; `left` had begun and name no rollback; `error` is why
    it stopped at `failed`."""

    steps: tuple[str, ...]
    left: tuple[str, ...]
    failed: str | None = None
    error: DrdError | None = None


def to_undo(plan: Plan, records: Mapping[str, StepRecord]) -> tuple[list[str], list[str]]:
    """Of the steps that may have had an effect, the last first: those that can be taken back, and
    those that cannot."""
    begun = [
        (record.started_at, at, step)
        for at, step in enumerate(plan.runbook)
        if (record := records.get(step.name)) is not None and record.state in _BEGUN
    ]
    last_first = [
        step
        for _, _, step in sorted(begun, key=lambda b: b[:2], reverse=True)
        if step.rollback is not None or step.kind not in _HARMLESS
    ]
    can = [s.name for s in last_first if can_be_undone(s)]
    return can, [s.name for s in last_first if not can_be_undone(s)]


def rollback(
    services: Services, plan: Plan, run: Run, *, by: str, actor: Actor | None = None
) -> Undone:
    """Take back what the run's steps did, the last first; killed, it goes on where it stopped.

    A step that cannot be taken back ends it. Raises UsageError for a run without such steps,
    AlreadyRunning while the run is carried out.
    """
    _refuse_others(services, run, "only recoveries are taken back.")
    run = services.witness.believed(run, "rollback")
    found = {r.name: r for r in services.catalogue.steps(run.id)}
    steps, left = to_undo(plan, found)
    if not steps:
        raise UsageError(
            f"nothing of run {run.id} can be taken back: no step that was begun has a rollback",
            hint=f"what it did: drd run show {run.id}",
        )
    done = [f"rollback {n}" in found and found[f"rollback {n}"].state is _DONE for n in steps]
    if all(done) and run.state.final:
        raise UsageError(
            f"run {run.id} of {run.plan} was taken back already",
            hint=f"what it did: drd run show {run.id}",
        )
    planned = plan_recovery(services, plan, RecoveryRequest.of_run(run), continues=run)
    now = services.clock.now()
    services.catalogue.decide(run.id, Decision("", "rollback", by, "", 0, now, actor))
    if run.state.final:
        run = services.catalogue.reopen(run, now, succeeded=True)
    with ExitStack() as stack:
        runner = adopted(services, plan, run, stack)
        if runner is None:
            raise Fenced(f"run {run.id} was taken over by another process")
        deeds = opened(services, planned, runner, stack, found)
        taken: list[str] = []
        failed: tuple[str, DrdError] | None = None
        for name in steps:
            step = next(s for s in plan.runbook if s.name == name)
            try:
                runner.step(f"rollback {name}", "rollback", partial(deeds.take_back, step))
            except DrdError as error:
                if isinstance(error, (Fenced, CatalogueError)):
                    raise
                failed = (name, error)
                break
            taken.append(name)
        services.catalogue.finish(
            runner.owned,
            RunState.CANCELLED if failed is None else RunState.FAILED,
            at=services.clock.now(),
            error=f"taken back by {by}: {', '.join(taken)}"
            if failed is None
            else f"could not take back {failed[0]}: {describe(failed[1])}",
            detail={"rolled_back": taken},
        )
    return Undone(tuple(taken), tuple(left), *(failed or (None, None)))
