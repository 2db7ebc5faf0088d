"""The RPO of each component, which is its own RPO or the RPO of its plan, and the exposure of each.

If no component of a plan has an RPO of its own, the plan is judged as a whole."""

from __future__ import annotations

from datetime import datetime
from functools import reduce

from drd.model.clock import age
from drd.model.facts import AUTO, ComponentFacts, PlanFacts, PointFacts
from drd.named import NamedTuple

STORED_WITHIN_S = 5.0
"""The longest time, in seconds, that drd usually needs to store the newest part of a log."""


class Exposed(NamedTuple):
    """The data that a recovery would restore now, which is of `data_time`, and the RPO. `component`
    is empty for a plan that is judged as a whole. With `by_log`, the newest data is in the log, not
    in a backup."""

    component: str
    data_time: datetime
    rpo_s: float
    by_log: bool


class Achievable(NamedTuple):
    """The largest exposure that the schedule allows, and the RPO. `component` is empty for a plan
    that is judged as a whole. `log_every_s` is the interval of the log, None if backups decide."""

    component: str
    exposure_s: float
    rpo_s: float
    log_every_s: float | None = None


def rpo_of(plan: PlanFacts, component: ComponentFacts) -> float:
    return plan.rpo_s if component.rpo_s is None else component.rpo_s


def strictest_s(plan: PlanFacts) -> float:
    """Return the shortest RPO in the plan."""
    return min([rpo_of(plan, c) for c in plan.components], default=plan.rpo_s)


def has_own(plan: PlanFacts) -> bool:
    """Return whether a component of the plan has an RPO of its own."""
    return any(c.rpo_s is not None for c in plan.components)


def has_logs(plan: PlanFacts) -> bool:
    """Return whether every component has a log. Then the logs decide the exposure."""
    return bool(plan.components) and all(c.log_at is not None for c in plan.components)


def points_tell(plan: PlanFacts) -> bool:
    """Return whether the times of the restore points show when every RPO was kept: so no log may
    have a shorter RPO than the restore points.
    """
    kept_s = plan.points_within_s
    logged = (c for c in plan.components if c.log_at is not None)
    return not has_logs(plan) and all(rpo_of(plan, c) >= kept_s for c in logged)


def oldest_s(rpo_s: float, interval_s: float | None) -> float:
    """Return how old the newest point may be: as old as the RPO. If logs decide what is lost,
    `interval_s` is the interval of the backups, and the point may be twice as old as this interval,
    because one backup may be late."""
    return rpo_s if interval_s is None else max(rpo_s, 2 * interval_s)


def points_may_be_s(plan: PlanFacts) -> float:
    """Return how old the newest restore point may be: as old as the RPO that points must keep. If
    all components have a log, it may also be as old as the interval of the backups."""
    by_logs = bool(plan.components) and all(c.log_every_s is not None for c in plan.components)
    if not by_logs or plan.interval_s is None:
        return plan.points_within_s
    return max(plan.points_within_s, plan.interval_s)


def exposed(plan: PlanFacts, point: PointFacts, *, leads_on: bool) -> tuple[Exposed, ...]:
    """Return the data that a recovery from this point would restore: of each component if one has
    an RPO of its own, else of the plan as a whole. With `leads_on`, the logs continue the point."""
    if not plan.components:
        return (Exposed("", point.data_time, plan.rpo_s, by_log=False),)
    parts = tuple(
        Exposed(
            c.component,
            max(c.log_at or point.data_time, point.data_time) if leads_on else point.data_time,
            rpo_of(plan, c),
            by_log=leads_on and c.log_at is not None,
        )
        for c in plan.components
    )
    if has_own(plan):
        return parts
    oldest = min(part.data_time for part in parts)
    return (Exposed("", oldest, plan.rpo_s, by_log=all(part.by_log for part in parts)),)


def worst_of(parts: tuple[Exposed, ...], now: datetime) -> Exposed:
    """Return the part with the largest exposure in relation to its RPO. If a part has a data time
    in the future, return this part, because its exposure is unknown."""
    worst, most_s = parts[0], age(parts[0].data_time, now)
    for part in parts[1:]:
        exposure_s = age(part.data_time, now)
        if most_s is None:
            break
        # Compare the quotients without a division: the RPO of a damaged row can be 0.
        if exposure_s is None or exposure_s * worst.rpo_s > most_s * part.rpo_s:
            worst, most_s = part, exposure_s
    return worst


def achievable(plan: PlanFacts) -> Achievable | None:
    """Return the exposure that the schedule allows, for the component whose exposure is largest in
    relation to its RPO. None if drd knows it for no component."""
    if has_own(plan):
        known = [a for c in plan.components if (a := achievable_of(plan, c)) is not None]
        return reduce(_slower, known) if known else None
    every_s = [c.log_every_s for c in plan.components if c.log_every_s is not None]
    if every_s and len(every_s) == len(plan.components):
        return _of_log("", max(every_s), plan.rpo_s)
    by_points_s = _by_points_s(plan)
    return Achievable("", by_points_s, plan.rpo_s) if by_points_s is not None else None


def _slower(one: Achievable, other: Achievable) -> Achievable:
    return other if other.exposure_s * one.rpo_s > one.exposure_s * other.rpo_s else one


def achievable_of(plan: PlanFacts, component: ComponentFacts) -> Achievable | None:
    """Return the exposure of one component that the schedule allows; None if it is unknown."""
    rpo_s = rpo_of(plan, component)
    if component.log_every_s is not None:
        return _of_log(component.component, component.log_every_s, rpo_s)
    by_points_s = _by_points_s(plan)
    return None if by_points_s is None else Achievable(component.component, by_points_s, rpo_s)


def _of_log(component: str, every_s: float, rpo_s: float) -> Achievable:
    return Achievable(component, every_s + STORED_WITHIN_S, rpo_s, every_s)


def _by_points_s(plan: PlanFacts) -> float | None:
    """Return the exposure that backups alone allow: their interval plus their usual (95th
    percentile) duration. Until drd has measured a backup, only the interval counts. Return None if
    drd does not know the interval. With `auto`, drd makes the interval as long as the RPO allows.
    """
    if plan.interval_s is None:
        return None
    usual_s = plan.backup_p95_s or 0.0
    if plan.cron == AUTO:
        # The interval shrinks as backups take longer, until one follows the other.
        return max(plan.interval_s, 2 * usual_s)
    return plan.interval_s + usual_s
