"""Restore points that a repository lacks, wholly or in part, although drd did not forget them
there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from drd.errors import PointGone, RepositoryError
from drd.flows.repository import listings
from drd.flows.repository.points import Inventory, missing_snapshots
from drd.flows.repository.substituted import genuine_by_run
from drd.flows.services import Services
from drd.model.run import RunKind
from drd.model.snapshot import RestorePoint
from drd.ports import Listing, Repository


def note_listing(
    services: Services,
    plan: str,
    repository: Repository,
    listing: Listing,
    *,
    known: Sequence[RestorePoint],
    listed_at: datetime,
    only: str | None = None,
) -> Mapping[str, tuple[str, ...]]:
    """Compare a fresh listing, which was asked for at `listed_at`, with the points that the
    catalogue knew before, and note what others removed; returns that by point.

    The listing has all that drd stored there for the plan; with `only` it may be of that point
    alone. Nothing is noted, and nothing returned, beside a retention. A snapshot that is there and
    cannot be read is not missing; in a copy, where snapshots have ids of their own, nobody can tell
    which one it is, so nothing is said of copied points there.
    """
    if forgets_beside(services, plan, listed_at) is not None:
        return {}
    still = {p.id for p in services.catalogue.points(plan)}  # a retention may have been in between
    bad = frozenset(listing.unreadable)
    known = [p for p in known if p.id in still and not (bad and repository.name in p.copied)]
    there = genuine_by_run(services, plan, repository, listing)
    inventory = Inventory(repository, listing, listing, there, bad)
    found = missing_snapshots(services, plan, known, [inventory], only=only)
    missing = found.get(repository.name, {})
    gone = [
        p.id
        for p in known
        if p.id in missing
        and repository.name in p.repositories
        and p.repositories[repository.name] not in bad
        and not inventory.holds(p.id)
    ]
    record_missing(services, plan, repository.name, gone, listed_at)
    return missing


def find_missing(
    services: Services, plan: str, repository: Repository
) -> Mapping[str, tuple[str, ...]]:
    """What others removed there, by point, noted. Costs one request where nothing is missing."""
    listed_at = services.clock.now()
    known = [p for p in services.catalogue.points(plan) if repository.name in p.repositories]
    found = services.catalogue.health.of(plan)
    noted = next((k for k in found if k.repository == repository.name), None)
    if noted is None or noted.url != repository.url:
        return {}  # the plan was given another one meanwhile: what is known is about that
    if not noted.missing and not repository.missing(_ids(known, repository.name)):
        return {}
    listing = listings.listed(repository, plan)
    return note_listing(services, plan, repository, listing, known=known, listed_at=listed_at)


def _ids(points: Sequence[RestorePoint], repository: str) -> list[str]:
    """What their snapshots are called there, as far as that is known: a copy has ids of its own."""
    found = [p.repositories[repository] for p in points]
    stored = (p for p in points if repository not in p.copied)
    return found + [i for p in stored for i in listings.component_ids(p)]


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
        i: (known[i].repositories[repository], *listings.component_ids(known[i]))
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
    known = [p for p in services.catalogue.points(plan) if p.id == point]
    with suppress(RepositoryError):
        listed_at = services.clock.now()
        for repository in places:
            listing = listings.listed(repository, plan)
            here = genuine_by_run(services, plan, repository, listing).get(point, ())
            note_listing(
                services, plan, repository, listing, known=known, listed_at=listed_at, only=point
            )
            if listing.unreadable or listings.manifest(here) is not None:
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
