"""The repository proves, the catalogue remembers: bringing the second in line with the first."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from drd.errors import DrdError
from drd.flows.aftermath import read_point
from drd.flows.identity import confirm
from drd.flows.services import Services
from drd.model.plan import Plan, RepositorySpec
from drd.model.snapshot import RestorePoint
from drd.ports import Repository, SnapshotInfo


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the repositories hold against what the catalogue knows, by restore point id.

    `unreadable` maps a manifest's snapshot to what is wrong with it.
    """

    plan: str
    known: tuple[str, ...]
    unknown: tuple[str, ...]
    vanished: tuple[str, ...]
    unreadable: dict[str, str]


def rebuild(services: Services, plan: Plan) -> Comparison:
    """Record every restore point that a manifest proves and the catalogue does not know, with its
    fingerprints. Idempotent: what is known already is not read again, unless it now lies in a
    repository of another name."""
    known = {p.id: p for p in services.catalogue.points(plan.name)}
    added: dict[str, RestorePoint] = {}
    unreadable: dict[str, str] = {}
    listed: set[str] = set()
    for spec in plan.repositories.values():
        repository, manifests = _manifests(services, plan, spec)
        for snapshot, point in _read_new(services, repository, manifests, known, unreadable):
            listed.add(_run_of(snapshot))
            if point is not None:
                added[point.id] = _merged(added.get(point.id) or known.get(point.id), point)
        listed |= {_run_of(s) for s in manifests}
    for point in sorted(added.values(), key=lambda p: p.available_at):
        services.catalogue.record_point(point)
    vanished = tuple(i for i in known if i not in listed)
    return Comparison(
        plan.name,
        tuple(i for i in known if i in listed),
        tuple(sorted(added)),
        vanished,
        unreadable,
    )


def verify(services: Services, plan: Plan) -> Comparison:
    """Like `rebuild`, but only looks: `unknown` are points that a rebuild would add."""
    known = {p.id for p in services.catalogue.points(plan.name)}
    listed: set[str] = set()
    for spec in plan.repositories.values():
        listed |= {_run_of(s) for s in _manifests(services, plan, spec)[1]}
    return Comparison(
        plan.name,
        tuple(sorted(known & listed)),
        tuple(sorted(listed - known)),
        tuple(sorted(known - listed)),
        {},
    )


def _manifests(
    services: Services, plan: Plan, spec: RepositorySpec
) -> tuple[Repository, list[SnapshotInfo]]:
    repository = services.open_repository(spec)
    confirm(services, repository, writing=False)
    found = repository.snapshots(host=plan.name, tags=["drd", "manifest"], fresh=True)
    return repository, found


def _read_new(
    services: Services,
    repository: Repository,
    manifests: Sequence[SnapshotInfo],
    known: dict[str, RestorePoint],
    unreadable: dict[str, str],
) -> list[tuple[SnapshotInfo, RestorePoint | None]]:
    def read(snapshot: SnapshotInfo) -> tuple[SnapshotInfo, RestorePoint | None]:
        try:
            return snapshot, read_point(repository, snapshot)
        except (DrdError, ValueError, KeyError) as error:
            unreadable[snapshot.id] = str(error)
            return snapshot, None

    def is_new(snapshot: SnapshotInfo) -> bool:
        point = known.get(_run_of(snapshot))
        return point is None or point.repositories.get(repository.name) != snapshot.id

    new = [s for s in manifests if is_new(s)]
    with ThreadPoolExecutor(services.parallel, thread_name_prefix="drd-rebuild") as pool:
        return list(pool.map(read, new))


def _merged(first: RestorePoint | None, second: RestorePoint) -> RestorePoint:
    """One point that lies in several repositories; available since the first of them had it."""
    if first is None:
        return second
    return replace(
        second,
        repositories={**first.repositories, **second.repositories},
        available_at=min(first.available_at, second.available_at),
    )


def _run_of(snapshot: SnapshotInfo) -> str:
    return next((t[4:] for t in snapshot.tags if t.startswith("run:")), snapshot.id)
