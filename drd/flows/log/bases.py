"""The restore points from which a log leads on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drd.flows.services import Services
from drd.model.log import LogRange
from drd.model.plan import Plan
from drd.model.snapshot import RestorePoint
from drd.ports.logs import LogStart


def start_of(
    services: Services, plan: Plan, point: RestorePoint, component: str
) -> LogStart | None:
    """Return from where the log leads on from a point; None if the point lacks the component."""
    row = point.component(component)
    if row is None or row.snapshot is None or row.kind != plan.components[component].kind:
        return None
    return services.kinds(row.kind).log_start(row)


def bases(services: Services, plan: Plan, component: str) -> list[tuple[RestorePoint, LogStart]]:
    """Return the complete points with the component, newest first."""
    found = []
    for point in services.catalogue.points.of_plan(plan.name):
        start = start_of(services, plan, point, component) if point.complete else None
        if start is not None:
            found.append((point, start))
    return found


def spans(
    known: Sequence[LogRange], points: Sequence[tuple[RestorePoint, LogStart]]
) -> list[tuple[datetime, datetime]]:
    """Return the times to which the component can be recovered exactly: from the oldest point on
    each part of the log to the end of that part."""
    found = []
    for part in known:
        times = [p.data_time for p, start in points if part.holds(*start)]
        if times and min(times) < part.end.at:
            found.append((min(times), part.end.at))
    return found
