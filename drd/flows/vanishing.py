"""Restore points that a repository lacks although drd did not forget them there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from drd.errors import PointGone, RepositoryError
from drd.flows import holdings
from drd.flows.services import Services
from drd.model.run import RunKind
from drd.ports import Repository


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
    known = {p.id: p for p in services.catalogue.points(plan)}
    removed = {
        i: (known[i].repositories[repository], *holdings.component_ids(known[i]))
        for i in ids
        if i in known and repository in known[i].repositories
    }
    services.catalogue.health.missing(plan, repository, removed, (), services.clock.now())
    lost = services.catalogue.health.vanished(plan, repository, ids, services.clock.now())
    if lost:
        names = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
        services.warn(
            f"{len(lost)} restore point{'s are' if len(lost) > 1 else ' is'} no longer in the "
            f"repository although drd did not forget {'them' if len(lost) > 1 else 'it'}: {names}"
        )
    return lost


def forgotten_since(
    services: Services, plan: str, point: str, places: Sequence[Repository], since: datetime
) -> RepositoryError | None:
    """Who forgot the point that none of these repositories has: a retention since then, or somebody
    else, and then it is no point any more. None where one of them has it, or nobody can tell."""
    retention = forgets_beside(services, plan, since)
    with suppress(RepositoryError):
        listed_at = services.clock.now()
        for repository in places:
            listing = holdings.listed(repository, plan)
            here = holdings.by_run(listing).get(point, ())
            if listing.unreadable or holdings.manifest(here) is not None:
                return None
        if retention is not None:
            return RepositoryError(
                f"retention {retention} forgot restore point {point} meanwhile",
                hint=f"the next drill uses another restore point: drd drill {plan}",
                permanent=False,
            )
        for repository in places:
            record_missing(services, plan, repository.name, [point], listed_at)
        names = " and ".join(r.name for r in places)
        return PointGone(
            f"restore point {point} is not in {names} any more, and drd did not forget it",
            hint="find out who removed it; the next drill uses another restore point.",
        )
    return None


def forgets_beside(services: Services, plan: str, since: datetime) -> str | None:
    """The retention run that is under way, or ended after `since`."""
    beside = (
        run.id
        for run in services.catalogue.runs(plan, kind=RunKind.RETENTION, limit=5)
        if run.finished_at is None or run.finished_at >= since
    )
    return next(beside, None)
