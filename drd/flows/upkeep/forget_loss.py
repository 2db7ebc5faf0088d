"""What would be lost when a person gives restore points up: drd says it before it asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drd.flows.restore.known_problems import givers
from drd.flows.services import Services
from drd.flows.upkeep.forget_points import GiveUpRequest
from drd.model.plan import Plan
from drd.model.snapshot import RestorePoint
from drd.model.units import format_duration, format_size, format_time


def loss_lines(services: Services, plan: Plan, what: GiveUpRequest) -> list[str]:
    """Return a line for each point that would be lost (time, size, places, and its purpose), then
    what could still be restored without these points. This is by what drd knows; no repository is
    asked.
    """
    known = services.catalogue.points.of_plan(plan.name)
    before = _restorable(services, plan, known)
    after = {
        point: left
        for point, places in before.items()
        if (left := _places_left(what, point, places))
    }
    by_id = {p.id: p for p in known}
    newest = _newest(by_id, before)
    proven = [p for p in before if by_id[p].proven_by is not None]
    lines = [
        _line(by_id.get(point), point, what.repository, _marks(point, newest, proven))
        for point in what.points
    ]
    lines.append(_left(plan, newest, _newest(by_id, after)))
    if proven and not set(proven) & after.keys():
        lines.append("after that, the plan does not have a restore point that a drill has proven")
    return lines


def _restorable(
    services: Services, plan: Plan, known: Sequence[RestorePoint]
) -> dict[str, list[str]]:
    """Return the complete points that can be restored, each with the repositories that can."""
    now, tried = services.clock.now(), services.catalogue.evidence.unrestorable(plan.name)
    counted = (p for p in known if p.complete and p.id not in tried and p.data_time <= now)
    return {p.id: places for p in counted if (places := givers(services, plan, p))}


def _places_left(what: GiveUpRequest, point: str, places: Sequence[str]) -> list[str]:
    if point not in what.points:
        return list(places)
    return [name for name in places if what.repository and name != what.repository]


def _newest(known: Mapping[str, RestorePoint], able: Mapping[str, object]) -> RestorePoint | None:
    return max((known[p] for p in able), key=lambda p: p.data_time, default=None)


def _marks(point: str, newest: RestorePoint | None, proven: Sequence[str]) -> list[str]:
    marks = []
    if newest is not None and point == newest.id:
        marks.append("the newest point that can be restored")
    if list(proven) == [point]:
        marks.append("the only point that a drill has proven")
    return marks


def _line(known: RestorePoint | None, point: str, repository: str, marks: Sequence[str]) -> str:
    if known is None:
        return f"restore point {point}: drd no longer lists this point"
    where = repository or " and ".join(sorted(known.repositories)) or "no repository"
    facts = [
        f"data of {format_time(known.data_time, seconds=True)}",
        format_size(known.size_bytes),
        "complete" if known.complete else "incomplete",
        f"in {where}",
        *marks,
    ]
    return f"restore point {point}: {', '.join(facts)}"


def _left(plan: Plan, before: RestorePoint | None, after: RestorePoint | None) -> str:
    if after is None:
        return (
            "after that, the plan does not have a restore point that can be restored: "
            "everything would be lost"
        )
    of = f"{after.id}, with data of {format_time(after.data_time, seconds=True)}"
    if before is not None and before.id == after.id:
        return f"the newest restore point that can be restored stays: {of}"
    rpo = format_duration(plan.points_within_s)
    return (
        f"after that, the newest restore point that can be restored is {of}: newer data "
        f"would be lost (RPO {rpo})"
    )
