"""Find the restore points after which a recovery can replay the log."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeAlias

from drd.flows.services import Services
from drd.model.clock import FAR_AHEAD
from drd.model.log import LogRange, reaching
from drd.model.plan import Plan, RepositorySpec
from drd.model.snapshot import RestorePoint
from drd.ports.logs import LogStart

Base: TypeAlias = tuple[RestorePoint, LogStart]
"""A restore point, and the place at which a replay begins after it is restored."""


def start_of(
    services: Services, plan: Plan, point: RestorePoint, component: str
) -> LogStart | None:
    """Return the place in the log at which a replay begins after this point is restored; None if
    the point does not contain the component.
    """
    row = point.component(component)
    if row is None or row.snapshot is None or row.kind != plan.components[component].kind:
        return None
    return services.kinds(row.kind).log_start(row)


def bases(
    services: Services, plan: Plan, component: str, held_by: Collection[str] | None = None
) -> list[Base]:
    """Return the complete points that contain the component, newest first, each with the place at
    which a replay begins; only points that one of the repositories `held_by` has. Points from a
    time at which a clock was wrong come last, although they seem to be newer.
    """
    usable_bases, ahead = [], services.clock.now() + FAR_AHEAD
    for point in services.catalogue.points.of_plan(plan.name):
        if held_by is not None and not any(name in point.repositories for name in held_by):
            continue
        start = start_of(services, plan, point, component) if point.complete else None
        if start is not None:
            usable_bases.append((point, start))
    return sorted(usable_bases, key=lambda base: base[0].data_time > ahead)


def data_time_in(point: RestorePoint, component: str) -> datetime:
    """Return the data time of a component in a point: the copy of a large server ends long after
    the other components of its point are stored."""
    row = point.component(component)
    known = row.data_time if row is not None else None
    return known if known is not None else point.data_time


def continued(beside: RepositorySpec) -> list[str] | None:
    """Return the repositories whose points the log beside this repository continues: a copy has to
    do without the others. None means all repositories of the plan."""
    return [beside.name] if beside.copy_of is not None else None


def spans(
    known: Sequence[LogRange], points: Sequence[Base], component: str
) -> list[tuple[datetime, datetime]]:
    """Return the intervals of time to which the component can be recovered exactly: one for each
    part of the log, from the oldest point in this part to its end."""
    intervals = []
    for part in known:
        times = [data_time_in(p, component) for p, start in points if part.holds(*start)]
        if times and min(times) < part.end.at:
            intervals.append((min(times), part.end.at))
    return intervals


def leading(known: Sequence[LogRange], points: Sequence[Base]) -> LogStart | None:
    """Return where the newest base backup ends; a recovery begins with this backup. A base backup
    that is newer than the stored log does not count yet: the next mark of the log reaches it."""
    ends = (start for _, start in points)
    return next((s for s in ends if not (known and known[-1].is_behind(*s))), None)


def reaches(
    known: Sequence[LogRange],
    points: Sequence[Base],
    complete_at: datetime | None,
    now: datetime,
) -> datetime | None:
    """Return the newest time to which drd can recover the component with its log; None if there is
    no base backup from which the log continues. `complete_at` is the last time at which the
    repository had the whole log. It counts only if the newest part of the log continues the newest
    base backup."""
    start = leading(known, points)
    part = reaching(known, *start) if start is not None else None
    if part is None:
        return None
    if complete_at is not None and part is known[-1]:
        return min(complete_at, now)
    # The clock of the server may be ahead, but data in a snapshot is not newer than the snapshot.
    stored = part.batches[-1].stored_at
    return min(part.end.at, now, *([stored] if stored is not None else []))
