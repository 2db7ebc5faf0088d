"""Find the snapshots of a plan that a repository lists, and those that it no longer lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from drd.errors import CatalogueError
from drd.flows.repository import contested, listings
from drd.flows.repository.identity import confirm
from drd.flows.repository.substituted import genuine_by_run
from drd.flows.services import Services
from drd.model.plan import Plan, RepositorySpec
from drd.model.snapshot import RestorePoint
from drd.ports import Repository, SnapshotInfo

Missing = Mapping[str, Mapping[str, tuple[str, ...]]]
"""By repository: points of which others removed snapshots, with these snapshots."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """One repository as a fresh listing shows it. `everything` includes what others store there,
    `listing` has only snapshots of the plan, and `by_run` only genuine ones of these (see
    `drd.flows.repository.substituted`). `unreadable` are the ids of snapshots that are there but
    cannot be read."""

    repository: Repository
    everything: Sequence[SnapshotInfo]
    listing: Sequence[SnapshotInfo]
    by_run: Mapping[str, Sequence[SnapshotInfo]]
    unreadable: Collection[str] = frozenset()

    def holds(self, point: str) -> bool:
        return listings.manifest(self.by_run.get(point, ())) is not None


def take_inventory(
    services: Services, plan: Plan, spec: RepositorySpec, *, writing: bool
) -> Inventory:
    """Return a fresh listing. If it shows that another drd works with a newer copy of this state,
    this state is marked as contested. Raises the error if the repository cannot be listed."""
    repository = services.open_repository(spec)
    confirm(services, repository, writing=writing)
    everything = listings.require_readable(repository, repository.snapshots(fresh=True))
    listing = listings.of_plan(everything, plan.name)
    contested.judge_listing(services, plan, listing)
    there = genuine_by_run(services, plan.name, repository, listing)
    return Inventory(repository, everything, listing, there)


def missing_snapshots(
    services: Services,
    plan: str,
    points: Sequence[RestorePoint],
    inventories: Sequence[Inventory],
    *,
    only: str | None = None,
) -> Missing:
    """Return the snapshots that were known to be in these repositories but are not listed there,
    except snapshots that drd itself was about to forget, and snapshots of points that a person gave
    up by name. A missing snapshot stays missing until it is listed again.

    `points` are the points that the catalogue knew before the listings were made. With `only`, the
    listings cover only this point, and prove nothing about others."""
    keeping = services.catalogue.keeping
    state = keeping.state(plan)
    leaving = state.leaving if state is not None else ()
    given_up = {(g.point, g.repository) for g in keeping.given_up(plan)}
    noted = {k.repository: k.missing for k in services.catalogue.health.of_plan(plan)}
    missing: dict[str, dict[str, tuple[str, ...]]] = {}
    for inventory in inventories:
        name = inventory.repository.name
        expected = {} if state is None else dict(state.missing.get(name, {}))
        expected |= noted.get(name, {})
        expected |= {p.id: _snapshots(p, name) for p in points if name in p.repositories}
        gone = {
            point: _lacking(inventory, point, ids)
            for point, ids in expected.items()
            if only in (None, point)
            and point not in leaving
            and (point, "") not in given_up
            and (point, name) not in given_up
        }
        lacking = {point: ids for point, ids in gone.items() if ids}
        if lacking:
            missing[name] = lacking
        with suppress(CatalogueError):  # a reader may have no right to write
            back = None if only is None else (only,)
            services.catalogue.health.record_missing(
                plan, name, lacking, back, services.clock.now()
            )
    return missing


def _snapshots(point: RestorePoint, repository: str) -> tuple[str, ...]:
    """Return the manifest by its id there, the components by their first ids."""
    return (point.repositories[repository], *listings.component_ids(point))


def _lacking(inventory: Inventory, point: str, ids: Sequence[str]) -> tuple[str, ...]:
    listed = inventory.by_run.get(point, ())
    here = {*listings.ids_here(listed), *(s.id for s in listed)}
    return tuple(i for i in ids if i not in here and i not in inventory.unreadable)
