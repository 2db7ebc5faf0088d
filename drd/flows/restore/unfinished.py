"""How far a recovery came that stopped in the middle, by its steps and its kept copies."""

from __future__ import annotations

from collections.abc import Sequence

from drd.errors import UsageError
from drd.flows.restore.recovery_request import RecoveryRequest
from drd.flows.state.kept_notes import last_note
from drd.model.down import NO_EFFECT
from drd.model.facts import REOPENED, FailedStep, UnfinishedFacts
from drd.model.plan import Plan
from drd.model.run import Run, RunState, StepState
from drd.model.run_details import RecoveryDetail
from drd.model.step_record import RESTORE, StepRecord
from drd.model.unfinished import Unfinished
from drd.ports import Catalogue


def unfinished(catalogue: Catalogue, plan: Plan, run: Run) -> Unfinished:
    """Return how far the recovery came. No process carries it out now. Raises UsageError if it
    never began."""
    at = run.finished_at or run.started_at
    if at is None:
        raise UsageError(
            f"run {run.id} of {run.plan} has not begun",
            hint=f"to see the state of this run: drd run show {run.id}",
        )
    records = catalogue.steps.of_run(run.id)
    begun = [r for r in records if r.kind == RESTORE and r.subject]
    replaced = {r.subject for r in begun if r.state is StepState.SUCCEEDED}
    restoring = {r.subject for r in begun if r.state is StepState.RUNNING}
    all_of_it = run.detail.begun if isinstance(run.detail, RecoveryDetail) else ()
    names = [n for n in plan.components if n in all_of_it or n in replaced]
    request, note = RecoveryRequest.of_run(run), last_note(catalogue, run)
    facts = UnfinishedFacts(
        run.id,
        at,
        _ended(run),
        replaced=tuple(n for n in names if n in replaced),
        left=tuple(n for n in names if n not in replaced | restoring),
        partly=tuple(n for n in names if n in restoring),
        down=stopped_services(catalogue, plan, run),
        kept=tuple(dict.fromkeys(a.component for a in note.aside if a.former)),
        keeps=not request.no_undo,
        unseen=note.unseen,
        failed=_failed(plan, records),
    )
    over = request.over_production and not request.beside
    return Unfinished.of(plan.name, facts, over=over)


def _ended(run: Run) -> str:
    if run.finished_at is not None:
        return str(run.state)
    return REOPENED if run.reopened else str(RunState.WAITING)


def _failed(plan: Plan, records: Sequence[StepRecord]) -> FailedStep | None:
    """Return the last step of the runbook that failed."""
    steps = {step.name for step in plan.runbook}
    failed = [r for r in records if r.name in steps and r.state is StepState.FAILED]
    last = max(failed, key=lambda r: r.started_at, default=None)
    return FailedStep(last.name, last.kind, last.error or "") if last is not None else None


def stopped_services(catalogue: Catalogue, plan: Plan, run: Run) -> tuple[str, ...]:
    """Return what steps of the run stopped, and no later step started, by the words of the plan:
    units of the host, and commands."""
    effects = {step.name: step.effect for step in plan.runbook}
    stopped: tuple[str, ...] = ()
    done = [r for r in catalogue.steps.of_run(run.id) if r.state is StepState.SUCCEEDED]
    for record in sorted(done, key=lambda r: r.started_at):
        # a unit that the host does not have was not stopped
        if record.result.to_json().get("down") != []:
            stopped = effects.get(record.name, NO_EFFECT).after(stopped)
    return stopped
