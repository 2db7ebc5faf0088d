"""What a recovery has lost, or a drill would have lost, against the RPO of each component. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from drd.model.plan import Plan
from drd.model.run import CheckResult, CheckVerdict
from drd.model.units import format_duration, format_time
from drd.named import NamedTuple

NOTHING = "nothing"


class Loss(NamedTuple):
    """The lost time, in seconds, and the RPO. `component` is the component that is worst against
    its own RPO; empty if no component of the plan has an RPO of its own."""

    component: str
    lost_s: float
    rpo_s: float

    @property
    def missed(self) -> bool:
        return self.lost_s > self.rpo_s


class ComponentLoss(NamedTuple):
    """How many seconds of a component's data are lost; `at_most`: no more than that."""

    component: str
    lost_s: float
    at_most: bool = False


def by_loss(losses: Iterable[ComponentLoss]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the components that lose the same, the greatest loss first: `2m 21s` and their names.
    The loss of those that lose nothing is `nothing`."""
    same: dict[str, list[str]] = {}
    for one in sorted(losses, key=lambda one: -one.lost_s):
        lost = f"{'up to ' * one.at_most}{format_duration(one.lost_s)}"
        same.setdefault(lost if one.lost_s > 0 else NOTHING, []).append(one.component)
    return [(lost, tuple(names)) for lost, names in same.items()]


def worst_loss(
    plan: Plan, lost_s: float, oldest: datetime | None, restored: Mapping[str, datetime | None]
) -> Loss:
    """Return the loss of the component that is worst against its RPO. `lost_s` is the loss of the
    component with the oldest data, which is of the time `oldest`. `restored` has the data time of
    each restored component; None if it is that of the restore point. A component whose data time is
    unknown counts as the oldest."""
    if not plan.own_objectives:
        return Loss("", lost_s, plan.objectives.rpo_s)
    times = {name: at for name, at in restored.items() if at is not None}
    if times and len(times) == len(restored):
        oldest = min(times.values())
    losses = []
    for name in restored or plan.components:
        newer_s = 0.0
        if oldest is not None and name in times:
            newer_s = max(0.0, (times[name] - oldest).total_seconds())
        losses.append(Loss(name, lost_s - newer_s, plan.rpo_of(name)))
    worst = losses[0]
    for one in losses[1:]:
        # Compare the quotients without a division: the RPO of a damaged row can be 0.
        if one.lost_s * worst.rpo_s > worst.lost_s * one.rpo_s:
            worst = one
    return worst


def rows_of_losses(
    plan: Plan, lost_at: datetime, restored: Mapping[str, datetime]
) -> tuple[CheckResult, ...]:
    """Return a row for the evidence with the loss of each restored component, by its data time;
    empty if the data of all is of the same time, because the evidence has this loss already."""
    if len(set(restored.values())) < 2:
        return ()
    rows = []
    for name, at in restored.items():
        lost_s, rpo_s = (lost_at - at).total_seconds(), plan.rpo_of(name)
        lost = f"{format_duration(lost_s)} lost" if lost_s > 0 else "nothing lost"
        rows.append(
            CheckResult(
                f"loss of {name}",
                name,
                CheckVerdict.PASSED,
                f"{lost}: the data is of {format_time(at, seconds=True)}",
                f"RPO {format_duration(rpo_s)}",
                part=True,
                looked_at_data=False,
            )
        )
    return tuple(rows)
