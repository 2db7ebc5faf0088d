"""Calculate from the steps of a run what a recovery has lost, or a drill would have lost."""

from __future__ import annotations

from datetime import datetime

from drd.model.losses import ComponentLoss, Loss, worst_loss
from drd.model.plan import Plan
from drd.model.run import Evidence, StepState
from drd.model.step_record import RESTORE
from drd.model.step_results import RestoreStepResult
from drd.ports import Catalogue


def losses_of_run(catalogue: Catalogue, evidence: Evidence) -> tuple[ComponentLoss, ...]:
    """Return the loss of each component that a recovery has restored; empty if no loss was
    measured. A component whose log was not replayed has the data of the restore point."""
    lost_at, oldest = evidence.lost_at, evidence.data_time
    if evidence.rpa_s is None or lost_at is None or oldest is None:
        return ()
    losses = []
    for step in catalogue.steps.of_run(evidence.run):
        if step.kind == RESTORE and step.subject and step.state is StepState.SUCCEEDED:
            result = step.result
            known = result.data_time if isinstance(result, RestoreStepResult) else None
            lost_s = max(0.0, (lost_at - (known or oldest)).total_seconds())
            losses.append(ComponentLoss(step.subject, lost_s))
    return tuple(losses)


def loss_of(
    catalogue: Catalogue, plan: Plan, run: str, lost_s: float | None, oldest: datetime | None
) -> Loss | None:
    """Return the loss of a run and the RPO that it counts against; None if no loss was measured.
    `lost_s` is the loss in the evidence of the run, `oldest` the time of the oldest restored
    data."""
    if lost_s is None:
        return None
    restored: dict[str, datetime | None] = {}
    for step in catalogue.steps.of_run(run) if plan.own_objectives else ():
        if step.kind == RESTORE and step.subject and step.state is StepState.SUCCEEDED:
            result = step.result
            known = result.data_time if isinstance(result, RestoreStepResult) else None
            restored[step.subject] = known
    return worst_loss(plan, lost_s, oldest, restored)
