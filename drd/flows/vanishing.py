"""Restore points that a repository lacks although drd did not forget them there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drd.flows.services import Services
from drd.model.run import RunKind


def record_missing(
    services: Services, plan: str, repository: str, ids: Sequence[str], listed_at: datetime
) -> list[str]:
    """Note that a listing, which was asked for at `listed_at`, lacks these points; returns those
    that no repository holds any more.

    Nothing is noted while a retention runs or has run since: it forgets snapshots before the
    catalogue hears of it.
    """
    if not ids or forgets_beside(services, plan, listed_at) is not None:
        return []
    lost = services.catalogue.health.vanished(plan, repository, ids, services.clock.now())
    if lost:
        names = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
        services.warn(
            f"{len(lost)} restore point{'s are' if len(lost) > 1 else ' is'} no longer in the "
            f"repository although drd did not forget {'them' if len(lost) > 1 else 'it'}: {names}"
        )
    return lost


def forgets_beside(services: Services, plan: str, since: datetime) -> str | None:
    """The retention run that is under way, or ended after `since`."""
    beside = (
        run.id
        for run in services.catalogue.runs(plan, kind=RunKind.RETENTION, limit=5)
        if run.finished_at is None or run.finished_at >= since
    )
    return next(beside, None)
