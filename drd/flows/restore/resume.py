"""Resume a recovery that stopped, and roll one back."""

from __future__ import annotations

from contextlib import ExitStack

from drd.errors import Fenced, UsageError
from drd.flows.durable_steps import require_not_executed
from drd.flows.restore.preflight import require_answerable
from drd.flows.restore.recovery import adopted, opened
from drd.flows.restore.recovery_plan import RecoveryPlan, plan_recovery
from drd.flows.restore.recovery_request import RecoveryRequest
from drd.flows.runbook.taking_back import Undone, rolled_back, take_back, to_undo
from drd.flows.services import Services
from drd.model.actor import Actor
from drd.model.plan import Plan
from drd.model.proof import plan_hash, proof_hash
from drd.model.recovery_command import recovery_command
from drd.model.run import (
    Decision,
    Run,
    RunKind,
    RunState,
    about_all,
    taken_back,
)
from drd.model.run_details import RecoveryDetail
from drd.model.text import escaped


def resume_plan(services: Services, plan: Plan, run: Run) -> RecoveryPlan:
    """Return the plan for resuming the run, which is then open. Raises UsageError if the run cannot
    be resumed, AlreadyRunning if it is running."""
    _refuse_others(services, run, "start a new drill with drd drill.")
    run = services.row_trust.believed(run, "resume")
    if run.state is RunState.SUCCEEDED:
        raise UsageError(
            f"run {run.id} of {run.plan} cannot be resumed: it has already succeeded",
            hint=f"check what the run did: drd run show {run.id}",
        )
    if run.detail.point is None:
        raise UsageError(
            f"run {run.id} of {run.plan} cannot be resumed, because it ended before it restored "
            "anything",
            hint=f"start a new recovery: {recovery_command(run.plan, run.detail)}"
            if isinstance(run.detail, RecoveryDetail) and run.detail.target
            else f"start a new recovery: drd recover {run.plan} …",
        )
    if (back := taken_back(about_all(services.catalogue.decisions.of_run(run.id)))) is not None:
        on = (
            f"`drd undo {run.id} --redo` reverts the undo"
            if back == "undone"
            else f"`drd rollback {run.id}` continues the rollback"
        )
        raise UsageError(
            f"run {run.id} of {run.plan} cannot be resumed: it was {back}",
            hint=f"{on}. A new `drd recover` starts from the beginning.",
        )
    planned = plan_recovery(services, plan, RecoveryRequest.of_run(run), continues=run)
    require_answerable(services, planned)
    if changed := _changed(plan, run):
        services.warn(
            f"{changed} since run {run.id} began: drd does not repeat finished steps, and "
            "executes the other steps as they are in the current plan"
        )
    if run.state.final:
        services.catalogue.runs.reopen(run, services.clock.now())
    return planned


def _changed(plan: Plan, run: Run) -> str | None:
    """Describe what of the plan has changed since the run began, of that which a recovery restores
    and executes. The hashes also cover the files that its commands name, which a step may write.
    """
    detail = run.detail if isinstance(run.detail, RecoveryDetail) else RecoveryDetail()
    if plan.digest == run.plan_digest or plan.proof == detail.proof:
        return None
    then = detail.commands
    now = plan.resolved.get("commands")
    if not isinstance(then, dict) or not isinstance(now, dict):
        return "the plan, or a file that its commands name, has changed"
    as_then = {**plan.resolved, "commands": then}
    if run.plan_digest != plan_hash(as_then) and detail.proof != proof_hash(as_then):
        return "the plan has changed"
    files = sorted(n for n in {**then, **now} if then.get(n) != now.get(n))
    return f"files that commands of the plan use have changed ({escaped(', '.join(files))})"


def _refuse_others(services: Services, run: Run, instead: str) -> None:
    """Check that the run is a recovery, and that no process executes one of its plan."""
    if run.kind is not RunKind.RECOVERY:
        raise UsageError(
            f"run {run.id} of {run.plan} is a {run.kind}, not a recovery", hint=instead
        )
    require_not_executed(services, run)


def rollback(
    services: Services, plan: Plan, run: Run, *, by: str, actor: Actor | None = None
) -> Undone:
    """Roll back the run's steps, the last first; after a kill, the same call continues.

    A step whose rollback fails ends it. Raises UsageError for a run without such steps,
    AlreadyRunning while the run is executed."""
    _refuse_others(services, run, "only recoveries can be rolled back.")
    run = services.row_trust.believed(run, "rollback")
    records = {r.name: r for r in services.catalogue.steps.of_run(run.id)}
    steps, left = to_undo(plan.runbook, records)
    if not steps:
        raise UsageError(
            f"run {run.id} cannot be rolled back: no step that was started has a `rollback` in the "
            "plan",
            hint=f"check what the run did: drd run show {run.id}",
        )
    if run.state.final and set(steps) <= rolled_back(records.values()):
        raise UsageError(
            f"run {run.id} of {run.plan} was rolled back already",
            hint=f"check what the run did: drd run show {run.id}",
        )
    planned = plan_recovery(services, plan, RecoveryRequest.of_run(run), continues=run)
    now = services.clock.now()
    services.catalogue.decisions.add(run.id, Decision("", "rollback", by, "", 0, now, actor))
    if run.state.final:
        run = services.catalogue.runs.reopen(run, now, succeeded=True)
    with ExitStack() as stack:
        runner = adopted(services, plan, run, stack)
        if runner is None:
            raise Fenced(f"run {run.id} was taken over by another process")
        step_runner = opened(services, planned, runner, stack, records)
        return take_back(
            runner, step_runner, plan.runbook, steps, left=left, by=by, detail=RecoveryDetail
        )
