"""Forget restore points: restic forgets by id, drd verifies it with a new listing.

A point is removed from the repository with the backups first, then from the copies. Prune, a run of
its own, removes data that nothing refers to any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from drd.errors import DrdError, RepositoryError, SnapshotsUnreadable
from drd.flows.durable_steps import Runner, new_run
from drd.flows.repository import adopted, listings
from drd.flows.repository.points import Missing
from drd.flows.services import Services
from drd.flows.state import clock_trust, crash_cleanup
from drd.flows.upkeep.needed_points import needed_points
from drd.flows.upkeep.retention_plan import Forgetting, plan_forgetting
from drd.flows.upkeep.retention_share import RepositoryShare
from drd.model.actor import Actor
from drd.model.holds import held_points
from drd.model.pauses import Pause, of_unreadable, words
from drd.model.plan import Plan
from drd.model.retention_state import RetentionState
from drd.model.run import RunKind, RunState
from drd.model.run_details import RetentionDetail
from drd.model.snapshot import ComponentSnapshot
from drd.model.step_results import ForgetStepResult
from drd.model.text import and_more


@dataclass(frozen=True, slots=True)
class RetentionOutcome:
    """The result. `forgotten` are the points that are gone from the primary repository, and from
    the catalogue.
    """

    run: str
    plan: str
    state: RunState
    forgetting: Forgetting
    forgotten: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RetentionRequest:
    """What a person requested, with the reasons: `force` forgets also the points above the limit of
    one run, `clock_is_right` trusts the present clock.
    """

    force: str | None = None
    clock_is_right: str | None = None
    by: Actor | None = None
    trigger: str = "manual"

    def detail(self) -> RetentionDetail:
        asked = self.force is not None or self.clock_is_right is not None
        return RetentionDetail(
            force=self.force, clock_is_right=self.clock_is_right, by=self.by if asked else None
        )


def retention(services: Services, plan: Plan, request: RetentionRequest) -> RetentionOutcome:
    """Forget what the plan's policy does not keep, or pause: then nothing is forgotten, and the
    outcome says why.

    Raises RepositoryError if a repository still lists a snapshot afterwards (an append-only server
    refuses and exits with 0); points that are really gone are recorded before. The next run catches
    up with a copy that cannot be reached; the error is raised after all the rest.
    """
    adopted.refuse(plan, "forget any")
    crash_cleanup.settle(services, plan)
    with new_run(
        services, plan, RunKind.RETENTION, trigger=request.trigger, detail=request.detail()
    ) as runner:
        if request.clock_is_right is not None:
            clock_trust.trust_again(services, request.clock_is_right)
        return _RetentionRun(services, plan, runner).execute(force=request.force is not None)


class _RetentionRun:
    """The phases of one retention run, in order."""

    def __init__(self, services: Services, plan: Plan, runner: Runner) -> None:
        self.services = services
        self.plan = plan
        self.runner = runner
        self.checked_at = services.clock.now()
        self.before = services.catalogue.keeping.state(plan.name)

    def execute(self, *, force: bool) -> RetentionOutcome:
        sizes = {p.id: p.size_bytes for p in self.services.catalogue.points.of_plan(self.plan.name)}
        try:
            forgetting = plan_forgetting(self.services, self.plan, force=force)
        except SnapshotsUnreadable as error:
            # The run fails; that nothing goes until somebody removes them is for the status.
            self._record(pauses=[of_unreadable(error.message, error.hint)])
            raise
        _count_as_incomplete(self.services, self.plan, forgetting.hollow)
        if forgetting.pauses:
            return self._pause(forgetting)
        gone = self._forget_all(forgetting)
        waiting = forgetting.chosen.over
        self._record(succeeded=True, waiting=waiting, missing={}, leaving=())
        self.services.catalogue.runs.finish(
            self.runner.owned,
            RunState.SUCCEEDED,
            at=self.services.clock.now(),
            detail=RetentionDetail(
                forgotten=gone,
                snapshots=forgetting.snapshots,
                bytes=sum(sizes.get(point, 0) for point in gone),
                limit=forgetting.limit,
                waiting=waiting,
            ),
        )
        run = self.runner.run.id
        return RetentionOutcome(run, self.plan.name, RunState.SUCCEEDED, forgetting, gone)

    def _pause(self, forgetting: Forgetting) -> RetentionOutcome:
        for share in forgetting.shares:
            self.services.catalogue.health.record_vanished(
                self.plan.name, share.name, share.vanished, self.services.clock.now()
            )
        self._record(pauses=forgetting.pauses, missing=forgetting.missing)
        self.services.catalogue.runs.finish(
            self.runner.owned,
            RunState.PAUSED,
            at=self.services.clock.now(),
            error=words(forgetting.pauses),
            detail=RetentionDetail(pauses=tuple(forgetting.pauses)),
        )
        run = self.runner.run.id
        return RetentionOutcome(run, self.plan.name, RunState.PAUSED, forgetting)

    def _forget_all(self, forgetting: Forgetting) -> tuple[str, ...]:
        first, *copies = forgetting.shares
        # If this run dies, what it had forgotten until then was by drd's own hand.
        # Nobody can hold these from here on; holds since the decision are met by `_let_go`.
        self._record(leaving=forgetting.chosen.forget)
        gone = _forget(self.services, self.plan, self.runner, first, forgetting)
        troubles: dict[str, DrdError] = dict(forgetting.unreached)
        for share in copies:
            try:
                _forget_copies(self.services, self.plan, self.runner, share)
            except RepositoryError as error:
                troubles[share.name] = error
        if troubles:
            raise _timeout_error(troubles)
        return gone

    def _record(
        self,
        *,
        succeeded: bool = False,
        pauses: Sequence[Pause] = (),
        waiting: Sequence[str] | None = None,
        missing: Missing | None = None,
        leaving: Sequence[str] | None = None,
    ) -> None:
        """Record the state of retention; omitted fields stay as the last run left them."""
        before = self.before or RetentionState(self.plan.name, self.checked_at, "")
        self.before = RetentionState(
            plan=self.plan.name,
            at=self.checked_at,
            run=self.runner.run.id,
            paused_since=(before.paused_since or self.checked_at) if pauses else None,
            pauses=tuple(pauses),
            succeeded_at=self.checked_at if succeeded else before.succeeded_at,
            waiting=tuple(before.waiting if waiting is None else waiting),
            missing=before.missing if missing is None else missing,
            leaving=tuple(before.leaving if leaving is None else leaving),
        )
        self.services.catalogue.keeping.record_leaving(self.before)


def _count_as_incomplete(
    services: Services, plan: Plan, hollow: Mapping[str, Collection[str]]
) -> None:
    """Record the points as incomplete for good: for the RPO too, and for commands that want the
    newest point.
    """
    for point, lost in hollow.items():
        whole = services.catalogue.points.get(plan.name, point)
        components = tuple(
            ComponentSnapshot(
                c.component, c.kind, "failed", error="somebody removed its snapshot without drd"
            )
            if c.component in lost
            else c
            for c in whole.components
        )
        services.catalogue.points.record(replace(whole, complete=False, components=components))
        services.warn(
            f"restore point {point} of {plan.name} is incomplete now, because somebody removed "
            f"its snapshot of {', '.join(lost)} without drd: find out who. To see which restore "
            f"points are complete: drd points {plan.name}"
        )


def _forget(
    services: Services, plan: Plan, runner: Runner, share: RepositoryShare, forgetting: Forgetting
) -> tuple[str, ...]:
    """Forget in the primary repository. What is gone there is forgotten in the catalogue, and what
    is in no repository at all: an earlier run began with it, or somebody gave it up.
    """
    still = _without_held_points(services, plan, runner, share, "forget")
    meant = (*forgetting.chosen.forget, *forgetting.vanished)
    gone = tuple(i for i in meant if i not in still.points)
    services.catalogue.points.forget(gone, services.clock.now())
    services.catalogue.copies.remove(plan.name, share.name, share.vanished)
    still.complain(share)
    return gone


def _forget_copies(services: Services, plan: Plan, runner: Runner, share: RepositoryShare) -> None:
    still = _without_held_points(services, plan, runner, share, f"forget in {share.name}")
    services.catalogue.copies.remove(plan.name, share.name, share.vanished)
    still.complain(share)


@dataclass(frozen=True, slots=True)
class _Still:
    """What a repository still lists after the forgetting: snapshots that were to be removed, and
    the points there.
    """

    snapshots: tuple[str, ...]
    points: frozenset[str]

    def complain(self, share: RepositoryShare) -> None:
        if self.snapshots:
            raise RepositoryError(
                f"the repository still lists {len(self.snapshots)} of {len(share.snapshots)} "
                "snapshots that drd has just forgotten",
                hint="the repository may be append-only or locked against deletion: use a key "
                "that may delete.",
            )


def _without_held_points(
    services: Services, plan: Plan, runner: Runner, share: RepositoryShare, step: str
) -> _Still:
    """Return the points to forget, without those that somebody has held since the decision, or
    that an incident needs which was opened since."""
    tried: list[str] = []

    def forget(snapshots: Sequence[str]) -> None:
        held = held_points(services.catalogue.keeping.holds(plan.name), services.clock.now())
        known = services.catalogue.points.of_plan(plan.name)
        kept = held.keys() | needed_points(services.catalogue, plan.name, known).keys()
        free = [s for s in snapshots if share.points.get(s) not in kept]
        if free:
            share.repository.forget(free)
        tried.extend(free)

    def effect() -> ForgetStepResult:
        forget(share.manifests)
        forget(share.others + share.leftovers + share.own)
        return ForgetStepResult(snapshots=len(tried))

    if share.snapshots:
        runner.step(step, "forget", effect, subject=share.name)
    listing = listings.listed(share.repository, plan.name)
    ids = {s.id for s in listing}
    by_run = listings.by_run(listing)
    return _Still(
        tuple(i for i in tried if i in ids),
        frozenset(run for run, of_run in by_run.items() if listings.manifest(of_run) is not None),
    )


def _timeout_error(troubles: Mapping[str, DrdError]) -> RepositoryError:
    name, error = next(iter(troubles.items()))
    more = and_more(len(troubles) - 1)
    late = RepositoryError(
        f"retention could not forget restore points in copy {name}{more}: {error.message}",
        hint=error.hint or "the next retention forgets these restore points there, too.",
    )
    late.permanent = error.permanent
    return late
