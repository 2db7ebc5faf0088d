"""Leave out restore points that somebody else may have made, when drd chooses by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drd.errors import DrdError, NoRestorePoint
from drd.flows.components.repository_choice import Holders
from drd.flows.repository.signatures import Signatures, signatures_of
from drd.flows.services import Services
from drd.model.manifest_signature import Trust
from drd.model.plan import Plan
from drd.model.snapshot import RestorePoint, newest_complete

_MOST_READ = 20
"""The most manifests that are read for one choice."""


def trusted_points(
    services: Services, plan: Plan, points: Sequence[RestorePoint], before: datetime | None
) -> list[RestorePoint]:
    """Return the points, without points whose manifest has a wrong signature or a signature by a
    key that does not belong to drd, or has no signature although drd had signed earlier points.
    Reads the manifest of the newest point (with data from `before`) if this host has not read it
    yet. Raises NoRestorePoint if points were left out, and no complete point is left.
    """
    known = signatures_of(services.catalogue, plan.name)
    if not known.judges:
        return list(points)
    out = {p.id: why for p in points if (why := known.why_not(p, points)) is not None}
    left = [p for p in points if p.id not in out]
    for _ in range(_MOST_READ):
        newest = newest_complete(_asked(left, before), services.clock.now())
        if newest is None or not needs_reading(known, newest):
            break
        read = _read(services, plan, newest)
        if read is None:
            break
        known = read
        if (why := known.why_not(newest, points)) is None:
            break
        out[newest.id] = why
        left.remove(newest)
    _tell(services, plan, points, left, out, before)
    return left


def _asked(points: Sequence[RestorePoint], before: datetime | None) -> list[RestorePoint]:
    return [p for p in points if before is None or p.data_time < before]


def needs_reading(known: Signatures, point: RestorePoint) -> bool:
    """Return whether only the manifest can tell who made a point."""
    return known.trust(point) is Trust.UNCHECKED and point.id not in known.sealed


def _read(services: Services, plan: Plan, point: RestorePoint) -> Signatures | None:
    """Read the manifest of a point; None if that fails, which whoever uses the point reports."""
    try:
        whole = services.catalogue.points.get(plan.name, point.id)
        Holders(services, plan, whole).manifest()
    except DrdError:
        return None
    return signatures_of(services.catalogue, plan.name)


def _tell(  # noqa: PLR0917 - each is needed
    services: Services,
    plan: Plan,
    points: Sequence[RestorePoint],
    left: Sequence[RestorePoint],
    out: dict[str, str],
    before: datetime | None,
) -> None:
    now = services.clock.now()
    wanted = newest_complete(_asked([p for p in points if p.id in out], before), now)
    if wanted is None:
        return
    remains = newest_complete(_asked(left, before), now)
    said = f"restore point {wanted.id}: {out[wanted.id]}"
    if remains is None:
        raise NoRestorePoint(
            f"drd does not choose {said}. Plan {plan.name} does not have another complete "
            "restore point",
            hint="whoever has the repository's password could have forged this point. If "
            f"you know who made this point: --point {wanted.id}",
        )
    if remains.data_time <= wanted.data_time:
        services.warn(
            f"drd leaves out {said}. Whoever has the repository's password could have forged "
            f"this point. To use this point nevertheless: --point {wanted.id}"
        )
