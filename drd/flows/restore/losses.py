"""Find what a recovery or a drill has lost of each component, from the steps of its run."""

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
    """Return the loss of a run against the RPOs of the plan; None if nothing was measured. `lost_s`
    is what its evidence says, and `oldest` of when the oldest restored data is."""
    if lost_s is None:
        return None
    restored: dict[str, datetime | None] = {}
    for step in catalogue.steps.of_run(run) if plan.own_objectives else ():
        if step.kind == RESTORE and step.subject and step.state is StepState.SUCCEEDED:
            result = step.result
            known = result.data_time if isinstance(result, RestoreStepResult) else None
            restored[step.subject] = known
    return worst_loss(plan, lost_s, oldest, restored)
