"""Forgetting restore points: the model chooses, restic forgets by id, drd looks again afterwards.

restic's own keep rules would split a point. Removing the data that nothing refers to any more
(prune) is a run of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from drd.errors import RepositoryError, UsageError
from drd.flows import aftermath
from drd.flows.identity import confirm
from drd.flows.runner import Runner, new_run
from drd.flows.services import Services
from drd.model.plan import OWN_COMPONENT, Plan
from drd.model.retention import Kept, RetentionPlan, plan_retention
from drd.model.run import RunKind, RunState
from drd.model.units import to_rfc3339
from drd.ports import Repository, SnapshotInfo

CLOCK_SKEW = timedelta(minutes=2)
"""How far ahead a snapshot's time may be before the clock, or the snapshot, is not believed."""
FOREIGN_LEFTOVER = timedelta(days=1)
"""Snapshots without manifest of a run that this catalogue does not know: another host's, maybe
of a backup that is running there."""
KEEP_OWN = 48
"""How many copies of drd's own catalogue stay."""


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What a retention run would do. `leftovers` are snapshots of runs that never got a manifest,
    `own` superseded copies of drd's catalogue. Ids in the order of forgetting: manifests first,
    since a point exists if and only if its manifest does."""

    chosen: RetentionPlan
    manifests: tuple[str, ...]
    others: tuple[str, ...]
    leftovers: tuple[str, ...]
    own: tuple[str, ...]
    vanished: tuple[str, ...]

    @property
    def snapshots(self) -> tuple[str, ...]:
        return self.manifests + self.others + self.leftovers + self.own


@dataclass(frozen=True, slots=True)
class RetentionOutcome:
    run: str
    plan: str
    forgetting: Forgetting
    forgotten: tuple[str, ...]


def plan_forgetting(services: Services, plan: Plan, repository: Repository) -> Forgetting:
    """What would be forgotten, from a fresh listing. Raises RepositoryError when a snapshot lies
    in the future: then neither the clock nor the listing can be trusted."""
    now = services.clock.now()
    listed = repository.snapshots(host=plan.name, tags=["drd"], fresh=True)
    _refuse_future(listed, now)
    by_run = _by_run(listed)
    points = services.catalogue.points(plan.name)
    known = [p for p in points if _sealed(by_run.get(p.id, ()))]
    vanished = [p for p in points if p not in known]
    proven = [p.id for p in known if p.proven_by is not None]
    chosen = plan_retention(known, plan.retention, now, proven)
    if chosen.refused is not None:
        raise RepositoryError(f"nothing was forgotten: {chosen.refused}", hint="check the clock.")
    chosen = _spare(chosen, _in_use(services, plan))
    manifests: list[str] = []
    others: list[str] = []
    for point in chosen.forget:
        for snapshot in by_run.get(point, []):
            (manifests if "manifest" in snapshot.tags else others).append(snapshot.id)
    return Forgetting(
        chosen,
        tuple(manifests),
        tuple(others),
        tuple(_leftovers(services, by_run, now)),
        tuple(_own(listed)),
        tuple(p.id for p in vanished),
    )


def _in_use(services: Services, plan: Plan) -> dict[str, str]:
    """Points that a drill or recovery is restoring just now, with what does."""
    used = {}
    for run in services.catalogue.runs(plan.name):
        if run.kind in (RunKind.DRILL, RunKind.RECOVERY) and not run.state.final:
            steps = (s.result.get("point") for s in services.catalogue.steps(run.id))
            for point in (run.detail.get("point"), *steps):
                if point is not None:
                    used[str(point)] = f"{run.kind} {run.id} is restoring it"
    return used


def _spare(chosen: RetentionPlan, used: Mapping[str, str]) -> RetentionPlan:
    spared = tuple(Kept(i, (used[i],)) for i in chosen.forget if i in used)
    forget = tuple(i for i in chosen.forget if i not in used)
    return chosen._replace(keep=chosen.keep + spared, forget=forget)


def _refuse_future(listed: Sequence[SnapshotInfo], now: datetime) -> None:
    for snapshot in listed:
        if snapshot.time > now + CLOCK_SKEW:
            raise RepositoryError(
                f"nothing was forgotten: snapshot {snapshot.id[:8]} is dated "
                f"{to_rfc3339(snapshot.time)}, in the future",
                hint="check this host's clock. If it is right, the snapshot was made with a wrong "
                "or forged date: forget it by hand with restic.",
            )


def _by_run(listed: Sequence[SnapshotInfo]) -> dict[str, list[SnapshotInfo]]:
    """Snapshots of restore points by the run that made them; drd's own copies are not among them."""
    found: dict[str, list[SnapshotInfo]] = {}
    for snapshot in listed:
        run = next((t[4:] for t in snapshot.tags if t.startswith("run:")), None)
        if run is not None and f"component:{OWN_COMPONENT}" not in snapshot.tags:
            found.setdefault(run, []).append(snapshot)
    return found


def _sealed(snapshots: Sequence[SnapshotInfo]) -> bool:
    return any("manifest" in s.tags for s in snapshots)


def _leftovers(
    services: Services, by_run: Mapping[str, list[SnapshotInfo]], now: datetime
) -> list[str]:
    """Snapshots of runs without a manifest that cannot get one any more."""
    left = []
    for run, snapshots in by_run.items():
        if _sealed(snapshots):
            continue
        try:
            over = services.catalogue.run(run).state.final
        except UsageError:
            over = all(now - s.time > FOREIGN_LEFTOVER for s in snapshots)
        if over:
            left += [s.id for s in snapshots]
    return left


def _own(listed: Sequence[SnapshotInfo]) -> list[str]:
    own = [s for s in listed if f"component:{OWN_COMPONENT}" in s.tags]
    return [s.id for s in sorted(own, key=lambda s: s.time)[:-KEEP_OWN]]


def retention(services: Services, plan: Plan, *, trigger: str = "manual") -> RetentionOutcome:
    """Forget what the plan's policy does not keep.

    Raises RepositoryError when the repository still lists a snapshot afterwards (an append-only
    server refuses and exits with 0); the points that are really gone are recorded before.
    """
    aftermath.settle(services, plan)
    with new_run(services, plan, RunKind.RETENTION, trigger=trigger, detail={}) as runner:
        repository = services.open_repository(plan.primary)
        confirm(services, repository)
        forgetting = plan_forgetting(services, plan, repository)
        forgotten = _forget(services, plan, repository, forgetting, runner)
        services.catalogue.finish(
            runner.owned,
            RunState.SUCCEEDED,
            at=services.clock.now(),
            detail={"forgotten": list(forgotten), "snapshots": len(forgetting.snapshots)},
        )
        return RetentionOutcome(runner.run.id, plan.name, forgetting, forgotten)


def _forget(
    services: Services,
    plan: Plan,
    repository: Repository,
    forgetting: Forgetting,
    runner: Runner,
) -> tuple[str, ...]:
    def effect() -> Mapping[str, Any]:
        if forgetting.manifests:
            repository.forget(forgetting.manifests)
        rest = forgetting.others + forgetting.leftovers + forgetting.own
        if rest:
            repository.forget(rest)
        return {"snapshots": len(forgetting.snapshots)}

    if forgetting.snapshots:
        runner.step("forget", "forget", effect)
    listed = repository.snapshots(host=plan.name, tags=["drd"], fresh=True)
    still = {s.id for s in listed}
    kept = [i for i in forgetting.snapshots if i in still]
    by_run = _by_run(listed)
    meant = (*forgetting.chosen.forget, *forgetting.vanished)
    gone = tuple(i for i in meant if not _sealed(by_run.get(i, ())))
    services.catalogue.forget_points(gone, services.clock.now())
    if forgetting.vanished:
        services.warn(
            f"{len(forgetting.vanished)} restore points are no longer in the repository although "
            f"drd did not forget them: {', '.join(forgetting.vanished[:5])}"
        )
    if kept:
        raise RepositoryError(
            f"the repository still lists {len(kept)} of {len(forgetting.snapshots)} snapshots "
            "that were to be forgotten",
            hint="it may be append-only or locked against deletion: forget with a key that may "
            "delete.",
        )
    return gone


def prune(services: Services, plan: Plan, *, trigger: str = "manual") -> str:
    """Remove data that no snapshot refers to; restic's summary. A run of its own."""
    aftermath.settle(services, plan)
    with new_run(services, plan, RunKind.PRUNE, trigger=trigger, detail={}) as runner:
        repository = services.open_repository(plan.primary)
        confirm(services, repository)
        result = runner.step(
            "prune",
            "prune",
            lambda: {
                "summary": repository.prune(
                    max_repack_bytes=plan.retention.max_repack_bytes,
                    deadline_s=plan.backup.timeout_s * 4,
                )
            },
        )
        services.catalogue.finish(
            runner.owned, RunState.SUCCEEDED, at=services.clock.now(), detail=dict(result)
        )
        return str(result["summary"])
