"""Compare the free space of a repository with the size of the next backup, and find restore points
that are dated in the future.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drd.flows.services import Services
from drd.flows.upkeep.retention_plan import out_of_the_future
from drd.model.clock import AGE_TOLERANCE_S
from drd.model.finding import Finding
from drd.model.plan import Plan
from drd.model.snapshot import RestorePoint, newest_complete
from drd.model.text import counted, noun, some
from drd.model.units import format_size, format_time
from drd.ports import Repository
from drd.registry import holes

LOOKED_AT = 10
"""By this many of the newest backups, drd estimates the size of the next one."""

BACKUPS = 10
"""With room for fewer backups than this, the room is little."""

LEAST_BYTES = 16 << 20
"""Bytes that a backup may need even if nothing has changed: restic writes packs of this size."""


def room(services: Services, plan: Plan, repository: Repository) -> list[Finding]:
    """Return findings about the free space at a repository, and whether the next backups fit. Empty
    if the place does not report its free space, and if another tool makes the copies.
    """
    free = None if plan.made_by else repository.free_bytes()
    if free is None:
        return []
    now = services.clock.now()
    complete = [p for p in services.catalogue.points.of_plan(plan.name) if p.complete]
    here = [p for p in complete if repository.name in p.repositories]
    here.sort(key=lambda p: p.available_at, reverse=True)
    if here:
        enough, text = _against_last(here, free)
    else:
        enough, text = _against_all(newest_complete(complete, now), free)
    name = repository.name
    if enough:
        return [Finding("repository-room", "ok", name, text)]
    remedy = (
        "free space on the disk of the repository, or enlarge the disk. To make the "
        "repository smaller: `retention` in the plan forgets old restore points, then `drd "
        f"prune {plan.name} --repository {name}` removes their data"
    )
    return [Finding("repository-room", "warning", name, text, remedy)]


def _against_last(here: Sequence[RestorePoint], free: int) -> tuple[bool, str]:
    """Compare with what the last backups added, newest first. The first one stores everything, so
    it counts only while it is alone.
    """
    is_free = f"{format_size(free)} free"
    if len(here) == 1:
        added = _added(here[0])
        text = f"{is_free}; the only backup so far added {format_size(added)}"
        return free >= max(added, LEAST_BYTES), text
    last = here[: min(LOOKED_AT, len(here) - 1)]
    most = max(_added(p) for p in last)
    fit = free // max(most, LEAST_BYTES)
    of = "the last backup" if len(last) == 1 else f"the largest of the last {len(last)} backups"
    text = f"{is_free}; {of} added {format_size(most)}"
    if fit >= BACKUPS:
        return True, text
    if not fit:
        return False, f"{text}: perhaps there is not enough space for the next backup"
    return False, f"{text}: there is space for about {counted(fit, 'more backup')}"


def _against_all(newest: RestorePoint | None, free: int) -> tuple[bool, str]:
    """Compare with the whole of the newest point, if none is stored there yet."""
    if newest is None:
        return True, f"{format_size(free)} free; there is no restore point yet to compare with"
    size = newest.size_bytes - sum(map(holes, newest.components))
    text = (
        f"{format_size(free)} free; no restore point is stored there yet, and the newest has "
        f"{format_size(size)} before compression"
    )
    return free >= size, text


def _added(point: RestorePoint) -> int:
    return sum(component.added_bytes for component in point.components)


def ahead(services: Services, plan: Plan) -> list[Finding]:
    """Return that restore points are dated in the future: a clock was wrong then, or is now. Such
    a copy of another tool has a finding of its own.
    """
    now = services.clock.now()
    points = services.catalogue.points.of_plan(plan.name)
    late = [p for p in points if _is_ahead(p, now) and not plan.made_by]
    if not late:
        return []
    named = some([f"{p.id} ({format_time(p.data_time, seconds=True)})" for p in late], 5)
    text = (
        f"{counted(len(late), 'restore point is', 'restore points are')} dated in the future: "
        f"{named}. A clock was wrong when drd made {noun(len(late), 'it', 'them')}, or is wrong "
        f"now, so drd does not know how old {noun(len(late), 'its', 'their')} data is"
    )
    return [Finding("future", "warning", "", text, out_of_the_future([p.id for p in late], ()))]


def _is_ahead(point: RestorePoint, now: datetime) -> bool:
    return (max(point.data_time, point.available_at) - now).total_seconds() > AGE_TOLERANCE_S
