"""Bring the catalogue in line with the repositories: they are the proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from drd.errors import DrdError, RepositoryMissing
from drd.flows.repository import listings, renamed, signatures
from drd.flows.repository.identity import confirm
from drd.flows.repository.manifests import is_ahead, read_manifest, read_point
from drd.flows.repository.missing import note_listing, record_missing
from drd.flows.repository.substituted import genuine, genuine_by_run
from drd.flows.services import Services
from drd.model.adopted import with_copy
from drd.model.plan import Plan, RepositorySpec
from drd.model.snapshot import RestorePoint
from drd.ports import Listing, Repository, SnapshotInfo


@dataclass(frozen=True, slots=True)
class RebuildDifferences:
    """Differences between the repositories and the catalogue, by restore point id.

    `unreadable` maps a manifest's snapshot to its error, `unreached` the name of a repository to
    the reason why it could not be read; then the catalogue counts for it. `torn` has the points
    whose manifest a repository lists without all its snapshots, with the names of these
    repositories. If this plan has no point, `left` has the number of points of each plan that has
    no file on this host."""

    plan: str
    known: tuple[str, ...]
    unknown: tuple[str, ...]
    vanished: tuple[str, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    unreached: Mapping[str, DrdError] = field(default_factory=dict)
    torn: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    made_by: str = ""
    left: Mapping[str, int] = field(default_factory=dict)


def rebuild(services: Services, plan: Plan) -> RebuildDifferences:
    """Record every restore point that a manifest proves and the catalogue does not know, with its
    fingerprints and its places. Idempotent: known points are not read again.

    One readable repository is enough; otherwise raises the error of the first."""
    seen = _read_repositories(services, plan)
    unreadable: dict[str, str] = {}
    with ThreadPoolExecutor(services.parallel, thread_name_prefix="drd-rebuild") as pool:
        read = pool.map(lambda i: _read(services, plan, seen.places[i], unreadable), seen.unknown)
        added = [point for point in read if point is not None]
    for point in sorted(added, key=lambda p: p.available_at):
        services.catalogue.points.record(point)
    _correct_places(services, seen, unreadable)
    torn = _note_missing(services, seen)
    left = _left(services, plan, seen)
    return replace(seen.compared([p.id for p in added], unreadable), torn=torn, left=left)


def verify(services: Services, plan: Plan) -> RebuildDifferences:
    """Like `rebuild`, but adds nothing: `unknown` are points that a rebuild would add. Missing
    points are no longer points from now on."""
    seen = _read_repositories(services, plan)
    torn = _note_missing(services, seen)
    return replace(seen.compared(seen.unknown), torn=torn, left=_left(services, plan, seen))


def _left(services: Services, plan: Plan, seen: _RepositoryContents) -> Mapping[str, int]:
    if seen.known or seen.places:
        return {}
    left: dict[str, int] = {}
    for repository, _ in seen.listings:
        with suppress(DrdError):  # it could be listed a moment ago
            manifests = repository.snapshots(tags=["drd", "manifest"])
            left |= renamed.of_others(services.catalogue, plan, manifests, has_own=False)
    return left


ManifestPlace = tuple[Repository, SnapshotInfo]
"""A repository, and a manifest in it."""


@dataclass(frozen=True, slots=True)
class _RepositoryContents:
    """The content of all repositories: for each point the manifests, in the order of the plan's
    repositories; and the points that the catalogue knows."""

    plan: str
    known: Mapping[str, RestorePoint]
    places: Mapping[str, Sequence[ManifestPlace]]
    unknown: Sequence[str]
    unreached: Mapping[str, DrdError]
    unreadable: Mapping[str, Mapping[str, str]]
    listings: Sequence[tuple[Repository, Listing]]
    listed_at: datetime

    def is_somewhere(self, point: RestorePoint) -> bool:
        return point.id in self.places or any(
            name in self.unreached or self.cannot_tell(name, manifest)
            for name, manifest in point.repositories.items()
        )

    def cannot_tell(self, repository: str, manifest: str) -> bool:
        """Return whether the manifest is there, but cannot be read."""
        return manifest in self.unreadable.get(repository, ())

    def compared(
        self, unknown: Sequence[str], unreadable: Mapping[str, str] | None = None
    ) -> RebuildDifferences:
        return RebuildDifferences(
            self.plan,
            tuple(p.id for p in self.known.values() if self.is_somewhere(p)),
            tuple(sorted(unknown)),
            tuple(p.id for p in self.known.values() if not self.is_somewhere(p)),
            {i: why for reasons in self.unreadable.values() for i, why in reasons.items()}
            | dict(unreadable or {}),
            self.unreached,
        )


def _read_repositories(services: Services, plan: Plan) -> _RepositoryContents:
    places: dict[str, list[ManifestPlace]] = {}
    proven: set[str] = set()
    read: list[tuple[Repository, Listing]] = []
    unreached: dict[str, DrdError] = {}
    unreadable: dict[str, Mapping[str, str]] = {}
    # Backups and retention go on meanwhile: the listings may lack what they record or forget.
    listed_at = services.clock.now()
    recorded = {p.id for p in services.catalogue.points.of_plan(plan.name)}
    for spec in plan.repositories.values():
        repository = services.open_repository(spec)
        try:
            listing = _listing(services, plan, repository)
        except DrdError as error:
            if not _was_never_made(services, spec, error):
                unreached[spec.name] = error
            continue
        read.append((repository, listing))
        unreadable[spec.name] = listing.unreadable
        there = genuine(services, plan.name, repository, listing)
        for manifest in (s for s in there if "manifest" in s.tags):
            run = listings.run_of(manifest) or manifest.id
            places.setdefault(run, []).append((repository, manifest))
            if spec.copy_of is None:
                proven.add(run)
    if not read:
        raise next(iter(unreached.values()))
    now = {p.id: p for p in services.catalogue.points.of_plan(plan.name)}
    known = {i: p for i, p in now.items() if i in recorded or i in places}
    strangers = [run for run in places if run not in now and run not in recorded]
    # A copy that retention could not reach may still hold what it forgot.
    late = services.catalogue.points.forgotten(plan.name, strangers) - proven
    unknown = [run for run in strangers if run not in late]
    return _RepositoryContents(
        plan.name, known, places, unknown, unreached, unreadable, read, listed_at
    )


def _listing(services: Services, plan: Plan, repository: Repository) -> Listing:
    confirm(services, repository, writing=False)
    return listings.readable(repository, listings.listed(repository, plan.name), services.warn)


def _was_never_made(services: Services, spec: RepositorySpec, error: DrdError) -> bool:
    """Return whether it is a copy whose first copy run is still to come."""
    return (
        spec.copy_of is not None
        and isinstance(error, RepositoryMissing)
        and services.catalogue.repositories.id_of(spec.url) is None
    )


def _read(
    services: Services, plan: Plan, places: Sequence[ManifestPlace], unreadable: dict[str, str]
) -> RestorePoint | None:
    """Return the point by the first readable manifest; the others are the same."""
    now = services.clock.now()
    for repository, manifest in places:
        try:
            read = read_manifest(services, repository, manifest, plan.name, now=now)
        except DrdError as error:
            unreadable[manifest.id] = str(error)
            continue
        if plan.made_by and is_ahead(read.point, now):
            named = with_copy(read.point)
            unreadable[manifest.id] = f"restore point {named} is dated in the future"
            return None
        signatures.note(services, read)
        return _placed(services, read.point, _one_each(read.point, places))
    return None


def _one_each(point: RestorePoint, places: Sequence[ManifestPlace]) -> list[ManifestPlace]:
    """Return a manifest for each repository: the known one, else the oldest. Anyone who has the key
    can store a second one with the same mark; the contents show which one is the point's
    (`drd.flows.repository.manifests.require_same`)."""
    by_repository: dict[str, ManifestPlace] = {}
    for repository, manifest in places:
        if (
            repository.name not in by_repository
            or point.repositories.get(repository.name) == manifest.id
        ):
            by_repository[repository.name] = (repository, manifest)
    return list(by_repository.values())


def _correct_places(
    services: Services, seen: _RepositoryContents, unreadable: dict[str, str]
) -> None:
    """Record where the known points lie, and which are gone."""
    for point in filter(seen.is_somewhere, seen.known.values()):
        places = _one_each(point, seen.places.get(point.id, ()))
        news = [
            (r, m)
            for r, m in places
            if point.repositories.get(r.name) != m.id and _is_its(services, point, r, m, unreadable)
        ]
        if news:
            whole = services.catalogue.points.get(point.plan, point.id)  # with its fingerprints
            services.catalogue.points.record(_placed(services, whole, news))


def _is_its(
    services: Services,
    point: RestorePoint,
    repository: Repository,
    manifest: SnapshotInfo,
    unreadable: dict[str, str],
) -> bool:
    """Return whether a manifest with the mark of a point belongs to this point. A copied manifest
    is checked when it is read. This function checks a manifest that somebody stored instead of the
    known one."""
    if manifest.original is not None:
        return True
    try:
        read_point(services, repository, manifest, point.plan)
    except DrdError as error:
        unreadable[manifest.id] = str(error)
        return False
    return True


def _note_missing(services: Services, seen: _RepositoryContents) -> dict[str, tuple[str, ...]]:
    """Note what the listings lack; returns the points that exist but are not whole, with their
    repositories."""
    now = services.catalogue.points.of_plan(seen.plan)
    known = [p for p in now if p.id in seen.known or p.id in seen.places]
    torn: dict[str, tuple[str, ...]] = {}
    for repository, listing in seen.listings:
        if listing.unreadable:
            record_missing(
                services,
                seen.plan,
                repository.name,
                _points_without_manifest(known, seen, repository.name),
                seen.listed_at,
            )
        missing = note_listing(
            services, seen.plan, repository, listing, known=known, listed_at=seen.listed_at
        )
        there = genuine_by_run(services, seen.plan, repository, listing)
        for point in missing:
            if listings.manifest(there.get(point, ())) is not None:
                torn[point] = (*torn.get(point, ()), repository.name)
    return torn


def _points_without_manifest(
    known: Sequence[RestorePoint], seen: _RepositoryContents, repository: str
) -> list[str]:
    """Return, for a repository with unreadable snapshots, the points that have no manifest there at
    all.
    """
    here = {p for p, places in seen.places.items() if any(r.name == repository for r, _ in places)}
    return [
        p.id
        for p in known
        if repository in p.repositories
        and p.id not in here
        and not seen.cannot_tell(repository, p.repositories[repository])
    ]


def _placed(
    services: Services, point: RestorePoint, places: Sequence[ManifestPlace]
) -> RestorePoint:
    """Return the point, with these places added."""
    repositories, copied = dict(point.repositories), dict(point.copied)
    for repository, manifest in places:
        repositories[repository.name] = manifest.id
        if manifest.original is None:
            copied.pop(repository.name, None)
        else:
            copied.setdefault(repository.name, services.clock.now())
    return replace(point, repositories=repositories, copied=copied)
