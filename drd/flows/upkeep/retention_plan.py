"""Plan a retention run: the model chooses whole points, which here become snapshots to forget in
each repository. restic's own keep rules would split a point.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from drd.errors import DrdError, RepositoryMissing
from drd.flows.repository import adopted, contested, listings
from drd.flows.repository.points import Inventory, Missing, missing_snapshots, take_inventory
from drd.flows.services import Services
from drd.flows.state.restored_points import restored_points
from drd.flows.upkeep.needed_points import needed_points
from drd.flows.upkeep.pauses import reasons_to_wait
from drd.flows.upkeep.retention_share import Chosen, RepositoryShare, share_of
from drd.model.clock import SNAPSHOT_SKEW
from drd.model.holds import held_points
from drd.model.pauses import Pause, of_listing
from drd.model.plan import Plan
from drd.model.retention import (
    KeptPoint,
    RetentionPlan,
    allowance,
    limited,
    plan_retention,
    refusal,
)
from drd.model.run import RunKind
from drd.model.snapshot import RestorePoint, newest_complete
from drd.model.step_results import ChoiceStepResult
from drd.model.text import left_out
from drd.model.units import format_time
from drd.ports import SnapshotInfo

MOST_NAMED = 200
"""The largest number of snapshots in the command of a hint: nobody would copy a longer command."""

_NOT_TRIED = "drills failed to restore each newer point, but no drill failed to restore this one"
_NOT_MIXED = "each newer point has data that an unfinished or undone recovery had restored"
_NO_OTHER = "a recovery would choose this point, because it cannot use any newer point"


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What a retention run would do, in the primary repository and then in the copies. `unreached`
    has repositories that could not be listed. `vanished` points are in no repository; `hollow` ones
    were complete, with the components whose snapshots somebody else removed. While there are
    `pauses`, nothing is forgotten; `due` are the points that no rule keeps, `limit` is how many of
    them one run may forget. `missing` has by repository the points of which others removed
    snapshots, with these snapshots; None if this was not checked.
    """

    chosen: RetentionPlan
    shares: tuple[RepositoryShare, ...] = ()
    vanished: tuple[str, ...] = ()
    hollow: Mapping[str, Collection[str]] = field(default_factory=dict)
    unreached: Mapping[str, DrdError] = field(default_factory=dict)
    pauses: tuple[Pause, ...] = ()
    due: tuple[str, ...] = ()
    limit: int = 0
    missing: Missing | None = None

    @property
    def snapshots(self) -> int:
        return sum(len(share.snapshots) for share in self.shares)

    @property
    def leftovers(self) -> int:
        return sum(len(share.leftovers) for share in self.shares)


def plan_forgetting(
    services: Services, plan: Plan, *, writing: bool = True, force: bool = False
) -> Forgetting:
    """Return what would be forgotten; with `force`, also the points above the limit of one run.
    Without `writing` all repositories are listed, even if retention is paused anyway. Raises what
    prevents the listing of the primary repository.
    """
    adopted.refuse(plan, "forget any")
    pauses = reasons_to_wait(services, plan)
    # What is recorded from here on need not be in the listings, and is not judged by them.
    recorded = {p.id for p in services.catalogue.points.of_plan(plan.name)}
    if pauses and (writing or any(p.code == "clock-differs" for p in pauses)):
        return _paused(services, plan, pauses)
    try:
        primary = take_inventory(services, plan, plan.primary, writing=writing)
    except DrdError as error:
        if pauses:
            return _paused(services, plan, pauses, {plan.primary.name: error})
        raise
    copies, unreached = _list_copies(services, plan, writing=writing)
    used = _in_use(services, plan)
    # After who uses them, so that a drill that has ended meanwhile has proven its point.
    points = [p for p in services.catalogue.points.of_plan(plan.name) if p.id in recorded]
    seen = _KnownPoints(points, [primary, *copies], unreached, used)
    missing = missing_snapshots(services, plan.name, points, seen.inventories)
    pauses += _of_listings(services, seen, missing, pauses)
    return _decided(services, plan, seen, pauses, missing, force=force)


@dataclass(frozen=True, slots=True)
class _KnownPoints:
    """The points that the catalogue knew before the listings were made, and these, the primary
    repository first; `used` are points that somebody is restoring now.
    """

    points: Sequence[RestorePoint]
    inventories: Sequence[Inventory]
    unreached: Mapping[str, DrdError]
    used: Mapping[str, str]

    def hollow(self) -> dict[str, Collection[str]]:
        lost = {
            p.id: _components_without_copy(p, self.inventories, self.unreached)
            for p in self.points
            if p.complete
        }
        there = {p.id for p in self.there()}
        return {point: lacks for point, lacks in lost.items() if lacks and point in there}

    def there(self) -> list[RestorePoint]:
        return [p for p in self.points if _is_somewhere(p, self.inventories, self.unreached)]

    def known(self) -> list[RestorePoint]:
        """Return the known points, without hollow ones: none of these may count for the rules."""
        hollow = self.hollow()
        return [
            replace(p, complete=False, proven_by=None) if p.id in hollow else p
            for p in self.there()
        ]


def _list_copies(
    services: Services, plan: Plan, *, writing: bool
) -> tuple[list[Inventory], dict[str, DrdError]]:
    inventories: list[Inventory] = []
    unreached: dict[str, DrdError] = {}
    for spec in plan.copies:
        try:
            inventories.append(take_inventory(services, plan, spec, writing=writing))
        except RepositoryMissing as error:
            if services.catalogue.repositories.id_of(spec.url) is not None:
                unreached[spec.name] = error  # else nothing was ever copied there
        except DrdError as error:
            unreached[spec.name] = error
    return inventories, unreached


def _of_listings(
    services: Services, seen: _KnownPoints, missing: Missing, before: Sequence[Pause]
) -> list[Pause]:
    """Return the pauses that the listings add to those known `before`."""
    now = services.clock.now()
    pauses = [p for name, of in missing.items() for p in of_listing(name, tuple(of))]
    ids = {p.id for p in seen.points}
    pauses += [p for inventory in seen.inventories for p in _of_future(inventory, ids, now)]
    pauses += [p for p in contested.pause(services) if p not in before]
    refused = refusal(seen.known(), (), now)
    if refused is not None and not any(p.code == "future" for p in pauses):
        # Of sound dates in the repository, as where restic saw another clock than drd.
        ahead = [p.id for p in seen.points if max(p.data_time, p.available_at) > now]
        pauses.append(Pause("future", "warning", "", refused, out_of_the_future(ahead, ())))
    return pauses


def _decided(
    services: Services,
    plan: Plan,
    seen: _KnownPoints,
    pauses: Sequence[Pause],
    missing: Missing,
    *,
    force: bool,
) -> Forgetting:
    now, known = services.clock.now(), seen.known()
    held = held_points(services.catalogue.keeping.holds(plan.name), now)
    chosen = _chosen(services, plan, known, now, held)
    needed = needed_points(services.catalogue, plan.name, known)
    chosen = _spare(chosen, {**_last_of_copies(known, seen.inventories[1:]), **seen.used, **needed})
    due, limit = chosen.forget, _limit(services, plan, len(known))
    if not force:
        state = services.catalogue.keeping.state(plan.name)
        chosen = limited(chosen, limit, state.waiting if state is not None else ())
    if pauses:
        chosen = _waiting(chosen)
    there = {p.id for p in known}
    vanished = tuple(p.id for p in seen.points if p.id not in there)
    keep = frozenset(k.id for k in chosen.keep)
    verdict = Chosen(seen.points, keep, chosen.forget, vanished, frozenset({*held, *needed}))
    shares = [
        share_of(
            services, plan.repositories[inventory.repository.name], inventory, verdict, plan.name
        )
        for inventory in seen.inventories
    ]
    if pauses:
        shares = [RepositoryShare(share.repository, vanished=share.vanished) for share in shares]
    return Forgetting(
        chosen,
        tuple(shares),
        vanished,
        seen.hollow(),
        seen.unreached,
        tuple(pauses),
        due,
        limit,
        missing,
    )


def _paused(
    services: Services,
    plan: Plan,
    pauses: Sequence[Pause],
    unreached: Mapping[str, DrdError] | None = None,
) -> Forgetting:
    """Return the plan without listing the repositories, from the catalogue alone."""
    now = services.clock.now()
    points = services.catalogue.points.of_plan(plan.name)
    held = held_points(services.catalogue.keeping.holds(plan.name), now)
    chosen = _chosen(services, plan, points, now, held)
    chosen = _spare(chosen, needed_points(services.catalogue, plan.name, points))
    return Forgetting(
        _waiting(chosen),
        unreached=unreached or {},
        pauses=tuple(pauses),
        due=chosen.forget,
        limit=_limit(services, plan, len(points)),
    )


def _chosen(
    services: Services,
    plan: Plan,
    known: Sequence[RestorePoint],
    now: datetime,
    held: Collection[str],
) -> RetentionPlan:
    """Return what the rules say; the newest complete point that a recovery would choose stays, too:
    it leaves out those that drills failed to restore, and those with data that a recovery had
    restored in part, or an undo took back."""
    proven = [p.id for p in known if p.proven_by is not None]
    chosen = plan_retention(
        known, plan.retention, now, proven, timezone=plan.backup.timezone, held=held
    )
    tried = set(services.catalogue.evidence.unrestorable(plan.name))
    restored = restored_points(services.catalogue, plan.name, known)
    mixed = {point for point, held in restored.items() if not held.is_state}
    spared = {}
    for out, why in ((tried | mixed, _NO_OTHER), (mixed, _NOT_MIXED), (tried, _NOT_TRIED)):
        left = newest_complete([p for p in known if p.id not in out]) if out else None
        if left is not None:
            spared[left.id] = why
    return _spare(chosen, spared)


def _waiting(chosen: RetentionPlan) -> RetentionPlan:
    stay = tuple(KeptPoint(point, ("retention is paused",)) for point in chosen.forget)
    return chosen._replace(keep=chosen.keep + stay, forget=())


def _limit(services: Services, plan: Plan, there: int) -> int:
    keeping = services.catalogue.keeping
    state = keeping.state(plan.name)
    since = state.succeeded_at if state is not None else None
    since = since or keeping.last_success(plan.name)
    return allowance(keeping.completed_since(plan.name, since), there)


def _of_future(inventory: Inventory, known: Collection[str], now: datetime) -> list[Pause]:
    """Return snapshots from the future, whoever made them: either that clock was wrong or ours is,
    and we cannot tell which.
    """
    listed = inventory.everything
    ahead = sorted((s for s in listed if s.time > now + SNAPSHOT_SKEW), key=lambda s: s.time)
    if not ahead:
        return []
    first = ahead[0]
    where, when = inventory.repository.name, format_time(first.time, seconds=True)
    text = f"snapshot {first.id[:8]} in {where} is dated {when}, in the future"
    if len(ahead) > 1:
        text = (
            f"snapshot {first.id[:8]}{left_out(len(ahead) - 1)} in {where} are dated in the "
            f"future: {when} or later"
        )
    ours = {run for s in ahead if (run := listings.run_of(s)) is not None and run in known}
    marks = {run for s in ahead if (run := listings.run_of(s)) is not None} - ours
    rest = [
        s
        for s in listed
        if listings.run_of(s) in marks or (s in ahead and listings.run_of(s) not in ours)
    ]
    return [Pause("future", "warning", where, text, out_of_the_future(sorted(ours), rest))]


def out_of_the_future(points: Sequence[str], snapshots: Sequence[SnapshotInfo]) -> str:
    """Return the commands that remove points, and snapshots unknown to drd, from the future:
    completely, since a rest would pause retention as well.
    """
    ways = []
    if points:
        ways.append(f"`drd points forget {' '.join(points[:MOST_NAMED])} --reason TEXT`")
    if snapshots:
        ids = [s.id[:8] for s in snapshots]
        rest = ", and again for the rest" if len(ids) > MOST_NAMED else ""
        ways.append(
            "with that repository's password and keys (docs/copies.md, Repairing a repository) "
            f"`restic forget {' '.join(ids[:MOST_NAMED])}`{rest}"
        )
    return (
        "check this host's clock. If the clock is right, these snapshots were made while a "
        "clock was wrong, or somebody forged them. Then `drd backup`, and "
        f"{'; '.join(ways)}. Then run `drd retention PLAN`. If it is still paused because the "
        "clock was set, confirm the clock: add `--clock-is-right --reason TEXT`."
    )


def _is_somewhere(
    point: RestorePoint, inventories: Iterable[Inventory], unreached: Collection[str]
) -> bool:
    """Return whether a point is in a repository; for repositories that cannot be listed now the
    catalogue decides.
    """
    return any(inventory.holds(point.id) for inventory in inventories) or any(
        name in unreached for name in point.repositories
    )


def _components_without_copy(
    point: RestorePoint, inventories: Iterable[Inventory], unreached: Collection[str]
) -> tuple[str, ...]:
    """Return the components that no repository has any more."""
    if any(name in unreached for name in point.repositories):
        return ()
    here = {
        i
        for inventory in inventories
        for i in listings.ids_here(inventory.by_run.get(point.id, ()))
    }
    return tuple(c.component for c in point.components if c.snapshot and c.snapshot not in here)


# --- what stays all the same ----------------------------------------------------------------


def _in_use(services: Services, plan: Plan) -> dict[str, str]:
    """Return points that a drill or recovery is restoring now, each with that run."""
    used = {}
    for run in services.catalogue.queue.open_runs():
        if run.plan == plan.name and run.kind in (RunKind.DRILL, RunKind.RECOVERY):
            results = (s.result for s in services.catalogue.steps.of_run(run.id))
            chosen = (r.point for r in results if isinstance(r, ChoiceStepResult))
            for point in (run.detail.point, *chosen):
                if point is not None:
                    used[point] = f"{run.kind} {run.id} is restoring this point"
    return used


def _last_of_copies(known: Sequence[RestorePoint], copies: Iterable[Inventory]) -> dict[str, str]:
    """Return the newest point of each copy: a copy that is far behind must not lose all that it
    has.
    """
    last_points = {}
    for inventory in copies:
        newest = newest_complete([p for p in known if inventory.holds(p.id)])
        if newest is not None:
            last_points[newest.id] = f"newest in {inventory.repository.name}"
    return last_points


def _spare(chosen: RetentionPlan, why: Mapping[str, str]) -> RetentionPlan:
    spared = tuple(KeptPoint(i, (why[i],)) for i in chosen.forget if i in why)
    forget = tuple(i for i in chosen.forget if i not in why)
    return chosen._replace(keep=chosen.keep + spared, forget=forget)
