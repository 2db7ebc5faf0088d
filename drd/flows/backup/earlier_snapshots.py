"""Whether a repository still lists what drd knows to be there, before a new point builds on it.

restic stores nothing again that its index has. So where others removed snapshots, what else they
removed is looked at first.
"""

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
    """Note points of which others removed snapshots, and check the repository while there are any;
    returns what is wrong with it then.

    Damage is recorded with all points, so that nothing that is stored after it counts. Costs one
    request where nothing is missing. `ends` is on the monotonic clock.
    """
    missing = find_missing(services, plan.name, repository)
    if not missing:
        return None
    return _check(services, plan, repository, list(missing), ends)


def warn_of_damage(services: Services, plan: Plan, repository: str) -> bool:
    """Say what is known to be damaged where something is about to be stored; whether there is such
    a thing. Nothing is refused: what is stored there may be whole, and a reading can tell."""
    damage = next(
        (k.damage for k in services.catalogue.health.of(plan.name) if k.repository == repository),
        None,
    )
    if damage is None:
        return False
    services.warn(
        f"{repository} is damaged: {damage}; what is stored there now may build "
        f"on that, so it does not count before drd verify {plan.name} --repository {repository} "
        "has read it back: mend the repository first (docs/copies.md, Mending a repository)"
    )
    return True


def _check(
    services: Services, plan: Plan, repository: Repository, missing: list[str], ends: float
) -> RepositoryDamaged | None:
    begun_at = services.clock.now()
    services.warn(f"{repository.name} {lists_less(missing)}: checking what else is gone")
    try:
        repository.check(deadline_s=max(1.0, ends - services.clock.monotonic()))
    except RepositoryDamaged as error:
        services.catalogue.health.damaged(
            plan.name, repository.name, error.damage, None, begun_at, repair=error.repair
        )
        services.warn(
            f"{error.message}: what is stored now may not come back; drd status says more"
        )
        return error
    except DrdError as error:
        services.warn(f"{repository.name} could not be checked: {error.message}")
    return None
