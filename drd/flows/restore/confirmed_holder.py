"""Check that a repository that holds the point of a recovery is the expected one, and has the whole
point."""

from __future__ import annotations

from drd.errors import DrdError, NoRestorePoint, RepositoryDamaged, RepositoryError
from drd.flows.components.repository_choice import Holders
from drd.flows.repository import listings
from drd.flows.repository.identity import confirm
from drd.flows.repository.missing import note_listing
from drd.flows.repository.substituted import genuine
from drd.flows.restore.recovery_plan import RecoveryPlan
from drd.flows.services import Services
from drd.ports import Repository


def confirm_one(services: Services, plan: RecoveryPlan, holders: Holders) -> None:
    """Check that one of the repositories that hold the point is the expected one; rule out those
    before it that are not, or do not answer. Raises the error of the first of them."""

    def examine(repository: Repository) -> None:
        confirm(services, repository, writing=False)
        _require_listed(services, plan, repository)

    try:
        holders.choose(examine)
    except DrdError as error:
        _name_older(services, plan, error)
        raise


def _name_older(services: Services, plan: RecoveryPlan, error: DrdError) -> None:
    """Add to the hint a repository that has older points."""
    others = [
        name
        for name in plan.plan.repositories
        if name not in plan.point.repositories
        and any(name in p.repositories for p in services.catalogue.points.of_plan(plan.plan.name))
    ]
    if others and plan.request.repository is None:
        older = f"--repository {others[0]} uses the newest point there."
        error.hint += f" Or restore an older point: {older}"


def _require_listed(services: Services, plan: RecoveryPlan, repository: Repository) -> None:
    """Check that the repository lists the whole wanted point: the catalogue may be out of date."""
    point, listed_at = plan.point, services.clock.now()
    tags = ["drd", f"run:{point.id}"]
    listing = repository.snapshots(host=plan.plan.name, tags=tags, fresh=True)
    listed = genuine(services, plan.plan.name, repository, listing)
    listed_ids = listings.ids_here(listed)
    if point.repositories.get(repository.name) in listing.unreadable:
        raise RepositoryDamaged(
            f"cannot read the manifest of restore point {point.id} in {repository.name}",
            hint=f"use another point (drd points {plan.plan.name} lists them), or another "
            "repository: --repository NAME",
        )
    note_listing(
        services,
        plan.plan.name,
        repository,
        listing,
        known=[point],
        listed_at=listed_at,
        only=point.id,
    )
    if listings.manifest(listed) is None:
        lacking = "its manifest"
    else:
        wanted = (c for c in point.components if c.component in plan.components)
        lost = [c.component for c in wanted if c.snapshot and c.snapshot not in listed_ids]
        if not lost:
            return
        lacking = f"the snapshot of {', '.join(lost)}"
    raise NoRestorePoint(
        f"repository {repository.name} does not contain restore point {point.id} completely: "
        f"{lacking} is missing",
        hint=f"choose another restore point: drd points {plan.plan.name}.",
    )


def lacks(holders: Holders, plan: RecoveryPlan) -> bool:
    """Return whether the repository that has delivered something lacks a wanted snapshot, or cannot
    say. A copy is checked when it must deliver, since it has its own ids."""
    repository, point = holders.repositories[0], plan.point
    if repository.name in point.copied:
        return False
    wanted = (c for c in point.components if c.component in plan.components)
    try:
        return bool(repository.missing([c.snapshot for c in wanted if c.snapshot is not None]))
    except RepositoryError:
        return True
