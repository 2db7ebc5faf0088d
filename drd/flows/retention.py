"""Forgetting restore points: restic forgets by id, drd looks again afterwards.

A point goes from the repository with the backups first, then from the copies. Removing the data
that nothing refers to any more (prune) is a run of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from drd.errors import DrdError, RepositoryError
from drd.flows import aftermath, holdings
from drd.flows.forgetting import Forgetting, Share, plan_forgetting
from drd.flows.runner import Runner, new_run
from drd.flows.services import Services
from drd.model.plan import Plan
from drd.model.run import RunKind, RunState
from drd.model.snapshot import ComponentSnapshot


@dataclass(frozen=True, slots=True)
class RetentionOutcome:
    """`forgotten` are the points that are gone from where backups go, and from the catalogue."""

    run: str
    plan: str
    forgetting: Forgetting
    forgotten: tuple[str, ...]


def retention(services: Services, plan: Plan, *, trigger: str = "manual") -> RetentionOutcome:
    """Forget what the plan's policy does not keep.

    Raises RepositoryError when a repository still lists a snapshot afterwards (an append-only
    server refuses and exits with 0); the points that are really gone are recorded before. A copy
    that cannot be reached is caught up with by the next run; it is raised after all the rest.
    """
    aftermath.settle(services, plan)
    with new_run(services, plan, RunKind.RETENTION, trigger=trigger, detail={}) as runner:
        sizes = {p.id: p.size_bytes for p in services.catalogue.points(plan.name)}
        forgetting = plan_forgetting(services, plan)
        _count_as_incomplete(services, plan, forgetting.hollow)
        first, *copies = forgetting.shares
        gone = _forget(services, plan, runner, first, forgetting)
        troubles: dict[str, DrdError] = dict(forgetting.unreached)
        for share in copies:
            try:
                _forget_copies(services, plan, runner, share)
            except RepositoryError as error:
                troubles[share.name] = error
        if troubles:
            raise _late(troubles)
        services.catalogue.finish(
            runner.owned,
            RunState.SUCCEEDED,
            at=services.clock.now(),
            detail={
                "forgotten": list(gone),
                "snapshots": forgetting.snapshots,
                "bytes": sum(sizes.get(point, 0) for point in gone),
            },
        )
        return RetentionOutcome(runner.run.id, plan.name, forgetting, gone)


def _count_as_incomplete(
    services: Services, plan: Plan, hollow: Mapping[str, Collection[str]]
) -> None:
    """For good: also for the RPO, and for whoever asks for the newest point."""
    for point, lost in hollow.items():
        whole = services.catalogue.point(plan.name, point)
        components = tuple(
            ComponentSnapshot(c.component, c.kind, "failed", error="somebody forgot its snapshot")
            if c.component in lost
            else c
            for c in whole.components
        )
        services.catalogue.record_point(replace(whole, complete=False, components=components))
        services.warn(
            f"restore point {point} is incomplete now: somebody else forgot its snapshot of "
            f"{', '.join(lost)}"
        )


def _forget(
    services: Services, plan: Plan, runner: Runner, share: Share, forgetting: Forgetting
) -> tuple[str, ...]:
    """Where backups go. What is gone there is forgotten, and what is in no repository at all."""
    still = _let_go(plan, runner, share, "forget")
    meant = (*forgetting.chosen.forget, *forgetting.vanished)
    gone = tuple(i for i in meant if i not in still.points)
    services.catalogue.forget_points(gone, services.clock.now())
    moved = [i for i in share.vanished if i not in gone]
    services.catalogue.remove_from(plan.name, share.name, moved)
    missed = [*forgetting.vanished, *moved]
    if missed:
        services.warn(
            f"{len(missed)} restore points are no longer in the repository although drd did not "
            f"forget them: {', '.join(missed[:5])}"
        )
    still.complain(share)
    return gone


def _forget_copies(services: Services, plan: Plan, runner: Runner, share: Share) -> None:
    still = _let_go(plan, runner, share, f"forget in {share.name}")
    services.catalogue.remove_from(plan.name, share.name, share.vanished)
    still.complain(share)


@dataclass(frozen=True, slots=True)
class _Still:
    """What a repository lists after the forgetting: of what was to go, and the points there."""

    snapshots: tuple[str, ...]
    points: frozenset[str]

    def complain(self, share: Share) -> None:
        if self.snapshots:
            raise RepositoryError(
                f"the repository still lists {len(self.snapshots)} of {len(share.snapshots)} "
                "snapshots that were to be forgotten",
                hint="it may be append-only or locked against deletion: forget with a key that may "
                "delete.",
            )


def _let_go(plan: Plan, runner: Runner, share: Share, step: str) -> _Still:
    def effect() -> Mapping[str, Any]:
        if share.manifests:
            share.repository.forget(share.manifests)
        rest = share.others + share.leftovers + share.own
        if rest:
            share.repository.forget(rest)
        return {"snapshots": len(share.snapshots)}

    if share.snapshots:
        runner.step(step, "forget", effect)
    listing = holdings.listed(share.repository, plan.name)
    ids = {s.id for s in listing}
    by_run = holdings.by_run(listing)
    return _Still(
        tuple(i for i in share.snapshots if i in ids),
        frozenset(run for run, found in by_run.items() if holdings.manifest(found) is not None),
    )


def _late(troubles: Mapping[str, DrdError]) -> RepositoryError:
    name, error = next(iter(troubles.items()))
    more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
    late = RepositoryError(
        f"nothing is forgotten in the copy {name} for now{more}: {error.message}",
        hint=error.hint or "the next retention catches up.",
    )
    late.permanent = error.permanent
    return late
