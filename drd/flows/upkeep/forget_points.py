"""Give up restore points by name: damaged points, points that others removed, points with a wrong
time.

The person and the reason are recorded, and the remaining parts of the point are removed, so that
retention can continue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from drd.errors import DrdError, RepositoryError, UsageError
from drd.flows.durable_steps import Runner, new_run
from drd.flows.repository import adopted, contested, listings
from drd.flows.repository.identity import confirm
from drd.flows.restore.known_problems import givers
from drd.flows.services import Services
from drd.flows.state import crash_cleanup
from drd.flows.upkeep.pauses import known_damage
from drd.model.actor import Actor
from drd.model.holds import GivenUp, held_points
from drd.model.plan import Plan, RepositorySpec
from drd.model.retention_state import RetentionState
from drd.model.run import RunKind, RunState
from drd.model.run_details import RetentionDetail
from drd.model.snapshot import RestorePoint
from drd.model.step_results import ForgetStepResult


@dataclass(frozen=True, slots=True)
class GiveUpRequest:
    """What a person gives up: whole points, or their copies in one `repository`. `force`: also
    points without a known problem.
    """

    points: tuple[str, ...]
    reason: str
    by: Actor | None = None
    repository: str = ""
    force: bool = False


def give_up(services: Services, plan: Plan, what: GiveUpRequest) -> tuple[str, ...]:
    """Give up the points, and return the points that were recorded. Raises UsageError for a point
    on hold, and, without `force`, for a point without a known problem; RepositoryError if a server
    does not remove a snapshot.
    """
    specs = require_givable(services, plan, what)
    crash_cleanup.settle(services, plan)
    detail = RetentionDetail(given_up=what.points, reason=what.reason, by=what.by)
    subject = what.points[0][:40]
    with new_run(
        services, plan, RunKind.RETENTION, trigger="manual", detail=detail, subject=subject
    ) as runner:
        now = services.clock.now()
        _note_leaving(services, plan, what.points, runner.run.id)
        services.catalogue.keeping.give_up(
            [
                GivenUp(point, plan.name, what.reason, now, what.by, what.repository)
                for point in what.points
            ]
        )
        for spec in specs:
            services.catalogue.health.record_missing(plan.name, spec.name, {}, what.points, now)
        troubles = _forget_all(services, plan, specs, what, runner)
        if troubles:
            raise next(iter(troubles.values()))
        services.catalogue.runs.finish(runner.owned, RunState.SUCCEEDED, at=services.clock.now())
    return what.points


def require_givable(services: Services, plan: Plan, what: GiveUpRequest) -> list[RepositorySpec]:
    """Return the repositories that would give the points up. Raises as `give_up` does, before
    anything is changed.
    """
    _require_gone(services, plan, what)
    specs = _repositories(plan, what.repository)
    _require_ours(services, plan)
    _require_reasons(services, plan, what)
    return specs


def _repositories(plan: Plan, name: str) -> list[RepositorySpec]:
    if not name:
        return list(plan.repositories.values())
    if name not in plan.repositories:
        known = ", ".join(plan.repositories)
        raise UsageError(
            f"plan {plan.name} has no repository {name!r}",
            hint=f"choose one of the plan's repositories: {known}",
        )
    return [plan.repositories[name]]


def _require_ours(services: Services, plan: Plan) -> None:
    why = contested.contested(services)
    if why is not None:
        raise UsageError(
            f"drd did not forget any restore point of plan {plan.name}: {why}", hint=contested.HINT
        )


def _require_gone(services: Services, plan: Plan, what: GiveUpRequest) -> None:
    """Raise NotSupported for a copy that another tool has made and still lists."""
    missing = {p for known in services.catalogue.health.of_plan(plan.name) for p in known.missing}
    there = {p.id for p in services.catalogue.points.of_plan(plan.name)} - missing
    if there & set(what.points):
        adopted.refuse(plan, "forget any")


def _require_reasons(services: Services, plan: Plan, what: GiveUpRequest) -> None:
    now = services.clock.now()
    _require_free(what.points, held_points(services.catalogue.keeping.holds(plan.name), now))
    if what.force:
        return
    kept = {p.id: p for p in services.catalogue.points.of_plan(plan.name)}
    state = services.catalogue.keeping.state(plan.name)
    damaged = {p for d in known_damage(services, plan) for p in d.affected or kept}
    damaged |= {p for known in services.catalogue.health.of_plan(plan.name) for p in known.missing}
    tried = services.catalogue.evidence.unrestorable(plan.name)
    for point in (p for p in what.points if p not in tried):
        if not _is_doubtful(point, kept.get(point), damaged, state, now):
            raise UsageError(
                f"drd does not forget restore point {point}, because drd has not found "
                "damage in this point",
                hint=f"to search for damage: `drd verify {plan.name}`. To forget the point anyway, "
                "add --force.",
            )
        _require_lost(services, plan, what, kept.get(point), now)


def _require_lost(
    services: Services, plan: Plan, what: GiveUpRequest, known: RestorePoint | None, now: datetime
) -> None:
    """Raise UsageError for a point that a repository can still restore completely, unless only
    another repository is to give it up.
    """
    if known is None or not known.complete or max(known.data_time, known.available_at) > now:
        return
    whole = givers(services, plan, known)
    if whole and what.repository in ("", *whole):
        others = [name for name in known.repositories if name not in whole]
        only = f"--repository {others[0]} forgets only the damaged part; " if others else ""
        raise UsageError(
            f"drd does not forget restore point {known.id}, because it is complete in "
            f"{' and '.join(whole)}",
            hint=f"{only}to forget the point anyway, add --force.",
        )


def _require_free(points: Sequence[str], held: Mapping[str, str]) -> None:
    for point in points:
        if point in held:
            raise UsageError(
                f"drd does not forget restore point {point}, because it is held: {held[point]}",
                hint=f"if nobody needs the hold any more, release the point: drd release {point}",
            )


def _is_doubtful(
    point: str,
    known: RestorePoint | None,
    damaged: set[str],
    state: RetentionState | None,
    now: datetime,
) -> bool:
    """Return whether the point is damaged, gone, incomplete, or of the future. Points that are not
    kept any more do not count.
    """
    if known is None or not known.complete or point in damaged:
        return True
    if max(known.data_time, known.available_at) > now:
        return True
    return state is not None and any(point in of for of in state.missing.values())


def _forget_all(
    services: Services,
    plan: Plan,
    specs: Sequence[RepositorySpec],
    what: GiveUpRequest,
    runner: Runner,
) -> Mapping[str, DrdError]:
    """Forget the points in each repository. Retention catches up with repositories that cannot be
    reached now, as soon as the catalogue has forgotten the point.
    """
    troubles: dict[str, DrdError] = {}
    for spec in specs:
        if services.catalogue.repositories.id_of(spec.url) is None:
            continue
        try:
            _forget_in(services, plan, spec, what.points, runner)
        except DrdError as error:
            if spec.copy_of is None or what.repository:
                troubles[spec.name] = error
            else:
                services.warn(f"cannot forget the points in {spec.name} now: {error.message}")
        else:
            services.catalogue.copies.remove(plan.name, spec.name, what.points)
    if not troubles:
        now = services.clock.now()
        nowhere = [
            p.id
            for p in services.catalogue.points.of_plan(plan.name)
            if p.id in what.points and (not what.repository or not p.repositories)
        ]
        services.catalogue.points.forget(nowhere, now)
    return troubles


def _forget_in(
    services: Services,
    plan: Plan,
    spec: RepositorySpec,
    points: Sequence[str],
    runner: Runner,
) -> None:
    repository = services.open_repository(spec)
    confirm(services, repository)
    listing = listings.require_readable(repository, listings.listed(repository, plan.name))
    held = listings.by_run(listing)
    snapshots = [s for point in points for s in held.get(point, ())]
    # The manifest first: a point exists as long as that does.
    ids = [s.id for s in sorted(snapshots, key=lambda s: "manifest" not in s.tags)]
    if not ids:
        return

    def effect() -> ForgetStepResult:
        repository.forget(ids)
        return ForgetStepResult(snapshots=len(ids))

    runner.step(f"forget in {spec.name}", "forget", effect, subject=spec.name)
    still = {s.id for s in listings.listed(repository, plan.name)}
    left = [i for i in ids if i in still]
    if left:
        raise RepositoryError(
            f"{spec.name} still lists {len(left)} of {len(ids)} snapshots that drd has just "
            "forgotten",
            hint="the repository may be append-only or locked against deletion: use a key that "
            "may delete.",
        )


def _note_leaving(services: Services, plan: Plan, points: Sequence[str], run: str) -> None:
    """Record that drd removes the points from here on, and that they can no longer be held. Raises
    UsageError for a point that somebody holds by now.
    """
    keeping = services.catalogue.keeping
    now = services.clock.now()
    state = keeping.state(plan.name) or RetentionState(plan.name, now, run)
    leaving = tuple(dict.fromkeys((*state.leaving, *points)))
    _require_free(points, keeping.record_leaving(replace(state, at=now, leaving=leaving)))
