"""Compute what a recovery is expected to lose, and how long it is expected to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from drd.flows.log.orders import LogOrder
from drd.flows.services import Services
from drd.model.losses import ComponentLoss
from drd.model.plan import Plan
from drd.model.row_loss import RowLoss, rows_lost
from drd.model.run import PARTIAL, PARTIAL_DRILL, RECOVERY, Evidence, StepState
from drd.model.snapshot import RestorePoint

MeasuredBy = Literal["drill", "recovery"]

_DRILLS = 200
"""drd reads so many of the newest drills and recoveries to find one of the whole plan."""


@dataclass(frozen=True, slots=True)
class ExpectedTime:
    """How long a recovery of the whole plan takes. `whole_s` is the time that the newest drill or
    recovery has measured, None if none has. `steps` has the seconds of each executed step."""

    whole_s: float | None = None
    measured_by: MeasuredBy = "drill"
    steps: Mapping[str, float] = field(default_factory=dict)


UNKNOWN = ExpectedTime()


def expected_time(services: Services, plan: Plan) -> ExpectedTime:
    """Return how long a whole recovery of the plan takes."""
    measured = _measured(services, plan)
    if measured is None:
        return UNKNOWN
    by: MeasuredBy = "recovery" if measured.scenario == RECOVERY else "drill"
    return ExpectedTime(measured.rta_s, by, _durations(services, measured.run))


def _measured(services: Services, plan: Plan) -> Evidence | None:
    """Return the newest evidence of how long a whole recovery takes; the evidence of a recovery
    counts only if no drill has any, because a recovery also waits for people."""
    known = services.catalogue.evidence.newest(plan.name, limit=_DRILLS)
    measured = [
        e for e in known if e.rta_s is not None and e.scenario not in (PARTIAL, PARTIAL_DRILL)
    ]
    drills = [e for e in measured if e.scenario != RECOVERY]
    return next(iter(drills or measured), None)


def _durations(services: Services, run: str) -> dict[str, float]:
    """Return how many seconds each executed step of a run took."""
    return {
        r.name: (r.finished_at - r.started_at).total_seconds()
        for r in services.catalogue.steps.of_run(run)
        if r.finished_at is not None and r.state is StepState.SUCCEEDED
    }


def data_time_of(
    point: RestorePoint, names: Sequence[str], logs: Mapping[str, LogOrder]
) -> datetime:
    """Return the data time of the recovered service: the oldest one of its components. What is not
    known is that of the point, before any log is replayed."""
    known = (logs[n].data_time if n in logs else None for n in names)
    return min((at or point.data_time for at in known), default=point.data_time)


def losses_of(
    point: RestorePoint,
    names: Sequence[str],
    logs: Mapping[str, LogOrder],
    lost_at: datetime,
) -> tuple[ComponentLoss, ...]:
    """Return the loss of each component: what its log brings back is not lost."""
    losses = []
    for name in names:
        known = logs[name].data_time if name in logs else point.data_time
        lost_s = max(0.0, (lost_at - (known or point.data_time)).total_seconds())
        losses.append(ComponentLoss(name, lost_s, at_most=known is None))
    return tuple(losses)


def lost_rows(
    services: Services, point: RestorePoint, names: Sequence[str], lost_at: datetime
) -> tuple[RowLoss, ...]:
    """Estimate how many rows of each table the recovery of `point` would lose. The numbers of rows
    in the restore points before and after it show how fast the tables grow."""
    known = services.catalogue.points.of_plan(point.plan)
    newer = (p for p in known if point.data_time < p.data_time <= lost_at)
    older = (p for p in known if p.data_time < point.data_time)
    here, after, before = (
        services.catalogue.points.get(point.plan, nearby.id) if nearby is not None else None
        for nearby in (point, next(newer, None), next(older, None))
    )
    assert here is not None
    return tuple(r for r in rows_lost(here, after, before, lost_at) if r.component in names)
