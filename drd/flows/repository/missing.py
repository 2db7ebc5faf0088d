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
from drd.model.adopted import copy_name, rolled_forward, with_copy
from drd.model.run import RunKind
from drd.model.snapshot import RestorePoint
from drd.model.text import counted, noun, some
from drd.model.units import format_sizes
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
    """Compare a fresh listing, requested at `listed_at`, with the points that the catalogue knew
    before, and note what others removed; returns that by point.

    The listing has everything that drd stored there for the plan; with `only` it may cover that
    point alone. Notes and returns nothing while a retention runs. An unreadable snapshot is not
    missing; in a copy, where snapshots have other ids, nobody can tell which one it is, so copied
    points are not judged there. The newest state of another tool's copy moves on with its log, so
    an earlier one is not missing either."""
    if retention_beside(services, plan, listed_at) is not None:
        return {}
    still = {
        p.id for p in services.catalogue.points.of_plan(plan)
    }  # a retention may have run in between
    bad = frozenset(listing.unreadable)
    known = [p for p in known if p.id in still and not (bad and repository.name in p.copied)]
    newest = max((s.time for s in listing), default=None)
    known = [p for p in known if not (newest and rolled_forward(p) and p.data_time <= newest)]
    there = genuine_by_run(services, plan, repository, listing)
    inventory = Inventory(repository, listing, listing, there, bad)
    lacking = missing_snapshots(services, plan, known, [inventory], only=only)
    missing = lacking.get(repository.name, {})
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
    """Note what others removed in the repository, by point. Costs one request if nothing is
    missing."""
    listed_at = services.clock.now()
    known = [
        p for p in services.catalogue.points.of_plan(plan) if repository.name in p.repositories
    ]
    states = services.catalogue.health.of_plan(plan)
    noted = next((k for k in states if k.repository == repository.name), None)
    if noted is None or noted.url != repository.url:
        return {}  # the plan has another one now: the records are about that
    if not noted.missing and not repository.missing(_ids(known, repository.name)):
        return {}
    listing = listings.listed(repository, plan)
    return note_listing(services, plan, repository, listing, known=known, listed_at=listed_at)


def _ids(points: Sequence[RestorePoint], repository: str) -> list[str]:
    """Return the ids that the snapshots of the points have in the repository. For a copied point
    that is only its manifest: copies of components have ids of their own.
    """
    ids = [p.repositories[repository] for p in points]
    stored = (p for p in points if repository not in p.copied)
    return ids + [i for p in stored for i in listings.component_ids(p)]


def record_missing(
    services: Services, plan: str, repository: str, ids: Sequence[str], listed_at: datetime
) -> list[str]:
    """Note that a listing, requested at `listed_at`, lacks these points; return the points that no
    repository holds any more. Notes nothing while a retention runs or has run since: it forgets
    snapshots before the catalogue records this."""
    if not ids or retention_beside(services, plan, listed_at) is not None:
        return []
    known = {p.id: p for p in services.catalogue.points.of_plan(plan)}
    removed = {
        i: (known[i].repositories[repository], *listings.component_ids(known[i]))
        for i in ids
        if i in known and repository in known[i].repositories
    }
    services.catalogue.health.record_missing(plan, repository, removed, (), services.clock.now())
    lost = services.catalogue.health.record_vanished(plan, repository, ids, services.clock.now())
    _warn_of(services, plan, known, lost)
    return lost


def _warn_of(
    services: Services, plan: str, known: Mapping[str, RestorePoint], lost: Sequence[str]
) -> None:
    """Say which points no repository holds any more. A copy that another tool changed under its old
    name was not removed."""
    there = {copy_name(p): p for p in known.values() if p.id not in lost}
    changed = [i for i in lost if copy_name(known[i]) in there]
    for point in changed:
        states = (known[point], there[copy_name(known[point])])
        before, now = format_sizes(*(sum(c.bytes or 0 for c in p.components) for p in states))
        services.warn(
            f"restore point {with_copy(known[point])} is no longer in any repository of plan "
            f"{plan}: its copy is still there, but was changed ({before} before, {now} now). Find "
            f"out who changed it. If this was intended: drd points forget {point} --reason TEXT"
        )
    removed = [i for i in lost if i not in changed]
    if removed:
        names, them = (
            some([with_copy(known[i]) for i in removed], 5),
            noun(len(removed), "it", "them"),
        )
        services.warn(
            f"{counted(len(removed), 'restore point is', 'restore points are')} no longer in any "
            f"repository of plan {plan}: {names}. drd did not forget {them}: find out who removed "
            f"{them}. If this was intended: drd points forget {' '.join(removed[:5])} --reason TEXT"
        )


def forgotten_since(
    services: Services, plan: str, point: str, places: Sequence[Repository], since: datetime
) -> RepositoryError | None:
    """Return who forgot a point that is in none of these repositories: a retention since then, or
    someone else; in the latter case it is no longer a point. None if a repository still has it, or
    if drd cannot find out."""
    retention = retention_beside(services, plan, since)
    known = [p for p in services.catalogue.points.of_plan(plan) if p.id == point]
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
                f"retention (run {retention}) has forgotten restore point {point} meanwhile",
                hint=f"the next drill uses another restore point: drd drill {plan}",
                permanent=False,
            )
        for repository in places:
            record_missing(services, plan, repository.name, [point], listed_at)
        names = " and ".join(r.name for r in places)
        return PointGone(
            f"restore point {point} is no longer in {names}, and drd did not forget it",
            hint="find out who removed this restore point. The next drill uses another "
            "restore point.",
        )
    return None


def retention_beside(services: Services, plan: str, since: datetime) -> str | None:
    """Return the retention run that is under way, or ended after `since`."""
    beside = (
        run.id
        for run in services.catalogue.runs.newest(plan, kind=RunKind.RETENTION, limit=5)
        if run.finished_at is None or run.finished_at >= since
    )
    return next(beside, None)
