"""Calculate from the steps of a run what a recovery has lost, or a drill would have lost."""

from __future__ import annotations

from datetime import datetime

from drd.model.losses import Loss, worst_loss
from drd.model.plan import Plan
from drd.model.run import StepState
from drd.model.step_record import RESTORE
from drd.model.step_results import RestoreStepResult
from drd.ports import Catalogue


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
