"""Find the reasons why retention has to wait, without a listing."""

from __future__ import annotations

from collections.abc import Set

from drd.errors import DrdError
from drd.flows.log.repository import logged
from drd.flows.repository import contested
from drd.flows.services import Services
from drd.flows.state import clock_trust
from drd.model.location import is_s3
from drd.model.own_objectives import oldest_s
from drd.model.pauses import (
    Damage,
    Pause,
    of_backups,
    of_clock,
    of_damage,
    of_jump,
    of_listing,
)
from drd.model.plan import Plan, RepositorySpec
from drd.model.run import RunKind
from drd.model.text import without_output


def reasons_to_wait(services: Services, plan: Plan) -> list[Pause]:
    """Return all reasons why retention must wait; empty if it may continue, by what drd knows."""
    points = services.catalogue.points.of_plan(plan.name)
    given_up = {(g.point, g.repository) for g in services.catalogue.keeping.given_up(plan.name)}
    pauses = contested.pause(services)
    pauses += of_backups(
        plan.name,
        points,
        last_failed=last_failure(services, plan),
        rpo_s=_age_of_points_s(services, plan),
        now=services.clock.now(),
    )
    pauses += of_damage(plan.name, known_damage(services, plan), {p.id for p in points}, given_up)
    pauses += _vanished(services, plan, given_up)
    return pauses + _of_clocks(services, plan)


def _age_of_points_s(services: Services, plan: Plan) -> float:
    by_logs = len(logged(services, plan)) == len(plan.components)
    return oldest_s(plan.points_within_s, plan.backup.interval_s if by_logs else None)


def last_failure(services: Services, plan: Plan) -> str | None:
    """Return how the plan's last backup failed; None if it did not."""
    for row in services.catalogue.queue.jobs(-1, plan.name):
        if row.kind == RunKind.BACKUP and row.tries:
            return without_output(row.last_error or row.last_state or "the reason is unknown")
    return None


def known_damage(services: Services, plan: Plan) -> list[Damage]:
    """Return the damage in the plan's repositories that nobody has repaired."""
    return [
        Damage(known.repository, known.damage, known.affected)
        for known in services.catalogue.health.of_plan(plan.name)
        if known.damage is not None
    ]


def _vanished(services: Services, plan: Plan, given_up: Set[tuple[str, str]]) -> list[Pause]:
    """Return points that others removed from every repository, whichever run noticed it first. A
    point that was given up in a single repository was still wanted in the others.
    """
    gone = services.catalogue.keeping.vanished(plan.name)
    return of_listing(
        plan.primary.name,
        [
            point
            for point in gone
            if (point, "") not in given_up
            and not {(point, name) for name in plan.repositories} <= given_up
        ],
        nowhere=True,
    )


def _of_clocks(services: Services, plan: Plan) -> list[Pause]:
    """Check the clock. One that jumped is trusted again as soon as a server of a repository agrees
    with it.
    """
    ahead = [(spec, _ahead_s(services, spec)) for spec in plan.repositories.values()]
    pauses = [pause for spec, by_s in ahead for pause in of_clock(spec.name, by_s)]
    jumped_s = clock_trust.jumped_s(services)
    if jumped_s is None:
        return pauses
    far = [by_s for spec, by_s in ahead if is_s3(spec.url)]
    if not pauses and clock_trust.is_confirmed(services, far, far=bool(far)):
        clock_trust.trust_again(services, "a repository server or NTP confirms the clock")
        return pauses
    return pauses + of_jump(plan.name, jumped_s)


def _ahead_s(services: Services, spec: RepositorySpec) -> float | None:
    """Return how far the clock is ahead of the server's; errors of the question are reported
    elsewhere.
    """
    try:
        return services.open_repository(spec).clock_ahead_s()
    except DrdError:
        return None
