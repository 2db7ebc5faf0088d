"""Find the copy of a component on which its next backup can build, for kinds whose backups store
only what has changed.

The new snapshot contains everything that a restore needs: what it takes over from the earlier one
is stored in it as well. So no snapshot depends on another one, and retention, prune, copies and
holds treat it like any other."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from drd.errors import ManifestRefused, RepositoryError
from drd.flows.repository.manifests import require_sound
from drd.flows.services import Services
from drd.model.plan import Component, Plan
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.ports import Earlier, Entry, NoEarlier, Repository


@dataclass(frozen=True, slots=True)
class StoredEarlier:
    """Implements `Earlier`."""

    point: str
    repository: str
    snapshot: ComponentSnapshot
    stored_in: Repository
    unrestorable: Collection[str] = ()

    def entries(self, directory: str, take: Callable[[Entry], None]) -> None:
        self.stored_in.entries(str(self.snapshot.snapshot), directory, take)

    def save_file(self, path: str, into: Path, *, most: int) -> None:
        self.stored_in.save_file(str(self.snapshot.snapshot), path, into, most=most)


def earlier_copy(
    services: Services, plan: Plan, component: Component, repository: Repository
) -> Earlier | NoEarlier:
    """Return the newest copy of a component in the repository; or why a backup cannot build on it.
    Only copies count that this host has stored itself, or that its kit lists: what drd takes over
    gets drd's own signature."""
    known = services.catalogue.points.of_plan(plan.name)
    earlier_point = next(
        (p for p in known if repository.name in p.repositories and _of(p, component)), None
    )
    if earlier_point is None:
        return NoEarlier("it is the first copy in this repository")
    copy = _of(earlier_point, component)
    assert copy is not None
    if earlier_point.id not in services.catalogue.origins.seals(plan.name):
        return NoEarlier(f"restore point {earlier_point.id} was not made on this host")
    try:
        require_sound(services.kinds, earlier_point, plan)
    except ManifestRefused as error:
        return NoEarlier(error.message)
    damaged = _damage(services, plan, repository.name)
    if damaged:
        return NoEarlier(damaged)
    try:
        gone = repository.missing([str(copy.snapshot)])
    except RepositoryError as error:
        return NoEarlier(f"the repository does not answer: {error.message}")
    if gone:
        why = f"the snapshot of restore point {earlier_point.id} is not in the repository"
        return NoEarlier(why)
    tried = services.catalogue.evidence.unrestorable(plan.name)
    return StoredEarlier(earlier_point.id, repository.name, copy, repository, frozenset(tried))


def _of(point: RestorePoint, component: Component) -> ComponentSnapshot | None:
    return next(
        (
            one
            for one in point.components
            if one.component == component.name
            and one.kind == component.kind
            and one.state == "captured"
            and one.snapshot is not None
        ),
        None,
    )


def _damage(services: Services, plan: Plan, repository: str) -> str:
    for known in services.catalogue.health.of_plan(plan.name):
        if known.repository == repository and known.damage is not None:
            return f"the repository is damaged: {known.damage}"
    return ""
