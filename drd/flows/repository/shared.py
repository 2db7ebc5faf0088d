"""Find plans of other hosts that store in the same repository."""

from __future__ import annotations

from drd.flows.services import Services
from drd.model.plan import NAME
from drd.ports import Repository


def plans_of_others(services: Services, repository: Repository) -> list[str]:
    """Return the names of plans that have restore points in the repository, if this host knows none
    of these points. If a plan of another host has the same name as a plan here, it cannot be
    recognised. Raises RepositoryError."""
    ours = set(services.catalogue.plans.names())
    manifests: dict[str, set[str]] = {}
    for snapshot in repository.snapshots(tags=["drd", "manifest"], fresh=True):
        if NAME.fullmatch(snapshot.host):
            manifests.setdefault(snapshot.host, set()).add(snapshot.id)

    def manifests_of(plan: str) -> set[str]:
        points = services.catalogue.points.of_plan(plan, elsewhere=True) if plan in ours else []
        return {one for point in points for one in point.repositories.values()}

    return sorted(plan for plan, ids in manifests.items() if not ids & manifests_of(plan))
