"""The RPO of each component: its own, or the RPO of its plan. What would be lost counts against it.

A plan in which no component has an RPO of its own is judged as a whole."""

from __future__ import annotations

from datetime import datetime
from functools import reduce

from drd.model.clock import age
from drd.model.facts import AUTO, ComponentFacts, PlanFacts, PointFacts
from drd.named import NamedTuple

STORED_WITHIN_S = 5.0
"""How long storing what has arrived of a log usually takes, at most."""


class Exposed(NamedTuple):
    """What a recovery would bring back now: the data of `data_time`, against the RPO. `component`
    is empty for a plan that is judged as a whole. `by_log`: its log decides, and not a backup."""

    component: str
    data_time: datetime
    rpo_s: float
    by_log: bool


class Achievable(NamedTuple):
    """The exposure that the schedule can hold, against the RPO. `component` is empty for a plan
    that is judged as a whole. `log_every_s` is how often its log is stored, if this decides."""

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
    """Return whether every component has a log, which decides the exposure."""
    return bool(plan.components) and all(c.log_at is not None for c in plan.components)


def points_tell(plan: PlanFacts) -> bool:
    """Return whether the times of the restore points show when every RPO was kept: no log has to
    keep a stricter RPO than the points.
    """
    kept_s = plan.points_within_s
    logged = (c for c in plan.components if c.log_at is not None)
    return not has_logs(plan) and all(rpo_of(plan, c) >= kept_s for c in logged)


def oldest_s(rpo_s: float, interval_s: float | None) -> float:
    """Return how old the newest point may be: the RPO. Where logs decide what is lost, it may have
    the age that the `interval_s` of backups allows, and one backup may be late."""
    return rpo_s if interval_s is None else max(rpo_s, 2 * interval_s)


def points_may_be_s(plan: PlanFacts) -> float:
    """Return how old the newest restore point may be: the RPO that points have to keep; where logs
    keep all of it, also the interval of backups."""
    by_logs = bool(plan.components) and all(c.log_every_s is not None for c in plan.components)
    return max(plan.points_within_s, (plan.interval_s or 0.0) if by_logs else 0.0)


def exposed(plan: PlanFacts, point: PointFacts, *, leads_on: bool) -> tuple[Exposed, ...]:
    """Return what a recovery from this point would bring back, by component if one has an RPO of
    its own. `leads_on`: the logs lead on from the point."""
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
    """Return the part with the largest exposure in relation to its RPO; a part with data of the
    future comes first, because its exposure is unknown."""
    worst, most_s = parts[0], age(parts[0].data_time, now)
    for part in parts[1:]:
        exposure_s = age(part.data_time, now)
        if most_s is None:
            break
        # The larger quotient, without a division by an RPO of a damaged row.
        if exposure_s is None or exposure_s * worst.rpo_s > most_s * part.rpo_s:
            worst, most_s = part, exposure_s
    return worst


def achievable(plan: PlanFacts) -> Achievable | None:
    """Return the exposure that the schedule can hold: of the component that comes nearest to its
    own RPO or exceeds it most; None if it is known of none."""
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
    """Return the exposure of one component that the schedule can hold; None if it is unknown."""
    rpo_s = rpo_of(plan, component)
    if component.log_every_s is not None:
        return _of_log(component.component, component.log_every_s, rpo_s)
    by_points_s = _by_points_s(plan)
    return None if by_points_s is None else Achievable(component.component, by_points_s, rpo_s)


def _of_log(component: str, every_s: float, rpo_s: float) -> Achievable:
    return Achievable(component, every_s + STORED_WITHIN_S, rpo_s, every_s)


def _by_points_s(plan: PlanFacts) -> float | None:
    """Return the exposure that backups alone can hold: the interval plus the usual (95th
    percentile) duration; the interval alone until a backup was measured. None without a schedule
    whose interval is known. `auto` makes the interval as long as fits.
    """
    if plan.interval_s is None:
        return None
    usual_s = plan.backup_p95_s or 0.0
    if plan.cron == AUTO:
        # The interval shrinks as backups take longer, until one follows the other.
        return max(plan.interval_s, 2 * usual_s)
    return plan.interval_s + usual_s
