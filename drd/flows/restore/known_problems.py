"""Known problems of a plan's repositories: before a recovery, and for `drd doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from drd.errors import RepositoryDamaged
from drd.flows.restore.recovery_plan import RecoveryPlan
from drd.flows.services import Services
from drd.model.finding import Finding
from drd.model.finding_codes import KNOWN_STATE, REPOSITORY
from drd.model.plan import Plan
from drd.model.repair import others_repair, repair_ways
from drd.model.snapshot import RestorePoint
from drd.model.text import called, some
from drd.model.units import format_time
from drd.model.verdicts import lost_words
from drd.ports.health import KnownRepository


def require_whole(services: Services, plan: RecoveryPlan) -> None:
    """Raise RepositoryDamaged if, by what drd knows, no repository can provide the whole point. If
    another repository can, if components or parts were asked for by name, or if a recovery is
    resumed, only a warning is given.

    A repository that is gone, emptied or replaced is checked separately: it may be back."""
    known = _by_name(services, plan.plan)
    harmed = [known[n] for n in plan.repositories if n in known and _costs(known[n], plan.point.id)]
    whole = [n for n in plan.repositories if _can_give(known.get(n), plan.point.id)]
    if not harmed:
        return
    facts = [_fact(plan.point.id, one) for one in harmed]
    by_name = plan.partial or bool(plan.request.components)
    if whole or by_name or plan.continues is not None:
        for fact in facts:
            more = f". To see what to do: drd doctor {plan.plan.name}"
            if whole:
                more = f"; drd reads the missing parts from repository {whole[0]}"
            services.warn(f"{fact}{more}")
        return
    raise RepositoryDamaged("; ".join(facts), hint="\n".join(_remedies(services, plan, known)))


def givers(services: Services, plan: Plan, point: RestorePoint) -> list[str]:
    """Return the repositories that hold the point and have no known problem that affects it."""
    return _givers(plan, point, _by_name(services, plan))


def others_for(
    services: Services, plan: Plan, repository: str, points: Sequence[RestorePoint]
) -> list[str]:
    """Return the other repositories of the plan that can provide all of these points, by what drd
    knows; empty if there are no points."""
    places = _by_name(services, plan)
    return [
        name
        for name in plan.repositories
        if points and name != repository and all(name in _givers(plan, p, places) for p in points)
    ]


def with_findings(services: Services, plan: Plan, found: Sequence[Finding]) -> list[Finding]:
    """Return the findings, and a failed finding for each repository that is known to be lost or
    damaged; a repository that was just found to be lost gets the remedy."""
    told = list(found)
    for known in services.catalogue.health.of_plan(plan.name):
        if known.lost is not None:
            detail, hint = _other_repository(services, plan, known)
            here = [
                n
                for n, f in enumerate(told)
                if f.code == REPOSITORY and f.subject == known.repository and f.failed
            ]
            for n in here:
                told[n] = replace(told[n], remedy="\n".join(h for h in (told[n].remedy, hint) if h))
            if not here:
                told.append(Finding(KNOWN_STATE, "error", known.repository, detail, hint))
        if known.damage is not None:
            detail, hint = _damaged(services, plan, known)
            told.append(Finding(KNOWN_STATE, "error", known.repository, detail, hint))
    return told


def _other_repository(services: Services, plan: Plan, known: KnownRepository) -> tuple[str, str]:
    """Say what another repository can provide until then: its newest point, as far as drd knows."""
    places = _by_name(services, plan)
    complete = (p for p in services.catalogue.points.of_plan(plan.name) if p.complete)
    able = next((giving for p in complete if (giving := _givers(plan, p, places))), None)
    meanwhile = ""
    if able is not None:
        target = next(iter(plan.targets), "TARGET")
        words = f"drd recover {plan.name} --target {target} --repository {able[0]}"
        meanwhile = f"; until then, restore from repository {able[0]}: {words}"
    return (
        f"{known.url} {lost_words(known.lost or '')}, so drd cannot read from this repository",
        f"when the repository is back: {_verify(plan, known)}{meanwhile}",
    )


def _damaged(services: Services, plan: Plan, known: KnownRepository) -> tuple[str, str]:
    points = [
        p for p in services.catalogue.points.of_plan(plan.name) if p.id in (known.affected or ())
    ]
    others = others_for(services, plan, known.repository, points)
    text = f"the repository is damaged: {known.damage}. {_cost(known)}"
    if plan.made_by:
        verifier = plan.primary.adopted.verifier if plan.primary.adopted is not None else ""
        mends = None if verifier or plan.made_by != "restic" else known.repair
        lines = others_repair(plan.name, known.repository, mends, "", known.affected)
        return text, "\n".join(lines)
    is_copy = any(copy.name == known.repository for copy in plan.copies)
    return (
        text,
        "\n".join(
            repair_ways(
                plan.name,
                known.repository,
                known.repair,
                known.affected,
                others,
                is_copy=is_copy,
            )
        ),
    )


def _verify(plan: Plan, known: KnownRepository) -> str:
    return f"drd verify {plan.name} --repository {known.repository}"


def _cost(known: KnownRepository) -> str:
    if known.affected is None:
        return "drd does not know which restore points cannot be restored from this repository"
    if not known.affected:
        return "The restore points do not need the damaged data"
    return f"Damaged restore points: {some(known.affected, 5)}"


def _by_name(services: Services, plan: Plan) -> Mapping[str, KnownRepository]:
    return {known.repository: known for known in services.catalogue.health.of_plan(plan.name)}


def _costs(known: KnownRepository, point: str) -> bool:
    """Return whether the point needs damaged data there; True if nobody knows."""
    return known.damage is not None and (known.affected is None or point in known.affected)


def _can_give(known: KnownRepository | None, point: str) -> bool:
    if known is None:
        return True
    return known.lost is None and point not in known.missing and not _costs(known, point)


def _fact(point: str, known: KnownRepository) -> str:
    may = "cannot" if known.affected is not None else "perhaps cannot"
    return (
        f"restore point {point} {may} be restored completely from {known.repository}: "
        f"{known.damage}"
    )


def _remedies(
    services: Services, plan: RecoveryPlan, known: Mapping[str, KnownRepository]
) -> Iterator[str]:
    """The remedies, a line each: recover from another repository that holds the point, else use
    another point; restore single components; verify a repaired repository."""
    name, point = plan.plan.name, plan.point
    here = _givers(plan.plan, point, known)
    if here:
        yield (
            f"repository {here[0]} has a good copy. To use this copy, add --repository {here[0]}."
        )
    else:
        older = services.catalogue.points.of_plan(name)
        other_point = next(
            ((p, g) for p in older if p.complete and (g := _givers(plan.plan, p, known))), None
        )
        if other_point is not None:
            at = format_time(other_point[0].data_time, seconds=True)
            yield (
                f"restore point {other_point[0].id} (data of {at}) is complete in "
                f"repository {other_point[1][0]}. To use that point, add --point "
                f"{other_point[0].id}."
            )
        else:
            yield "drd does not know another restore point that is complete."
    yield "to restore only the components that can still be read: --component NAME, once for each."
    harmed = next(n for n in plan.repositories if n in known and known[n].damage is not None)
    mended = f"repair repository {harmed} with {called(plan.plan.made_by)}"
    if not plan.plan.made_by:
        mended = f"to repair repository {harmed}, see docs/copies.md, Repairing a repository"
    yield (f"{mended}; then: drd verify {name} --repository {harmed}")


def _givers(plan: Plan, point: RestorePoint, known: Mapping[str, KnownRepository]) -> list[str]:
    return [
        n
        for n in plan.repositories
        if n in point.repositories and _can_give(known.get(n), point.id)
    ]
