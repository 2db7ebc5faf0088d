"""Check that a repository still lists what drd knows to be there, before a new point builds on it.

restic does not store again what its index has. So if others removed snapshots, drd first checks
what else they removed."""

from __future__ import annotations

from drd.errors import DrdError, RepositoryDamaged
from drd.flows.repository.missing import find_missing
from drd.flows.services import Services
from drd.model.pauses import lists_less
from drd.model.plan import Plan
from drd.ports import Repository


def check_earlier_snapshots(
    services: Services, plan: Plan, repository: Repository, ends: float
) -> RepositoryDamaged | None:
    """Note points of which others removed snapshots, and check the repository if there are any;
    returns the damage that was found.

    Damage is recorded with all points, so that later data there does not count. Costs one request
    if nothing is missing. `ends` is on the monotonic clock."""
    missing = find_missing(services, plan.name, repository)
    if not missing:
        return None
    return _check(services, plan, repository, list(missing), ends)


def warn_of_damage(services: Services, plan: Plan, repository: str) -> bool:
    """Warn about known damage before something is stored; return whether there is any. Nothing is
    refused, because new data in the repository may be complete, and a verification can show this.
    """
    damage = next(
        (
            k.damage
            for k in services.catalogue.health.of_plan(plan.name)
            if k.repository == repository
        ),
        None,
    )
    if damage is None:
        return False
    services.warn(
        f"repository {repository} is damaged: {damage}. Data that drd stores now may depend on "
        "damaged data, so drd does not count this restore point yet. Repair the repository "
        f"(docs/copies.md, Repairing a repository), then: drd verify {plan.name} --repository "
        f"{repository}"
    )
    return True


def _check(
    services: Services, plan: Plan, repository: Repository, missing: list[str], ends: float
) -> RepositoryDamaged | None:
    begun_at = services.clock.now()
    services.warn(
        f"repository {repository.name} {lists_less(missing)}. drd now checks whether other data "
        "is missing, too"
    )
    try:
        repository.check(deadline_s=max(1.0, ends - services.clock.monotonic()))
    except RepositoryDamaged as error:
        services.catalogue.health.record_damage(
            plan.name, repository.name, error.damage, None, begun_at, repair=error.repair
        )
        services.warn(
            f"{error.message}. Perhaps the data that drd stores now cannot be restored. For "
            f"details: drd status {plan.name}"
        )
        return error
    except DrdError as error:
        services.warn(f"drd could not check repository {repository.name}: {error.message}")
    return None
