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
    return tuple(
        ComponentLoss(name, max(0.0, (lost_at - (known or oldest)).total_seconds()))
        for name, known in _restored(catalogue, evidence.run).items()
    )


def loss_of(
    catalogue: Catalogue, plan: Plan, run: str, lost_s: float | None, oldest: datetime | None
) -> Loss | None:
    """Return the loss of a run and the RPO that it counts against; None if no loss was measured.
    `lost_s` is the loss in the evidence of the run, `oldest` the time of the oldest restored
    data."""
    if lost_s is None:
        return None
    restored = _restored(catalogue, run) if plan.own_objectives else {}
    return worst_loss(plan, lost_s, oldest, restored)


def _restored(catalogue: Catalogue, run: str) -> dict[str, datetime | None]:
    """Return the components that a run has restored, each with the data time after its log was
    replayed; None if no log was replayed."""
    restored: dict[str, datetime | None] = {}
    for step in catalogue.steps.of_run(run):
        if step.kind == RESTORE and step.subject and step.state is StepState.SUCCEEDED:
            result = step.result
            known = result.data_time if isinstance(result, RestoreStepResult) else None
            restored[step.subject] = known
    return restored
