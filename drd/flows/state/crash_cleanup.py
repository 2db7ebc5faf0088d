"""Clean up after a killed drd: find its runs, end their processes, record how they ended.

Called before a run begins. A run whose process is dead is taken over with a new token, which also
ends its children. A backup is finished if its manifest had been stored, else its snapshots are
forgotten: captured hours ago, they would make a point of mixed times. drd records what a dead
retention run removed. Drills and other runs are recorded as interrupted. For a recovery, drd only
notes that its process died: `drd resume` continues it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drd import log
from drd.errors import DrdError
from drd.flows.hooks import run_after_anyway
from drd.flows.repository import listings, signatures
from drd.flows.repository.contested import may_settle
from drd.flows.repository.manifests import read_manifest
from drd.flows.services import Services
from drd.flows.state.copies import sweep_copies
from drd.flows.state.run_removal import remove_run, sweep_orphans
from drd.model.cause import PROCESS_DIED, Cause
from drd.model.holds import held_points
from drd.model.plan import OWN_COMPONENT, Plan
from drd.model.run import Run, RunKind, RunState, StepState
from drd.model.run_details import RunDetail
from drd.model.snapshot import RestorePoint
from drd.model.step_record import CAPTURE
from drd.model.text import counted
from drd.ports import RunLease


@dataclass(frozen=True, slots=True)
class Ending:
    """How to record the end of a run whose process is dead, unless its point is complete."""

    state: RunState = RunState.INTERRUPTED
    cause: Cause = PROCESS_DIED


def settle(services: Services, plan: Plan, causes: Mapping[str, Ending] | None = None) -> None:
    """Bring the dead runs of `plan` and dead drills of any plan to a final state. `causes` has, by
    the id of a run, how it ended, if that is known. If this state may be a copy of a state that
    another drd uses, the runs of that drd are left alone."""
    services.catalogue.custody.check(services.clock.now())  # the first one makes it this place's
    for run in services.catalogue.runs.abandoned():
        mine = run.plan == plan.name
        if not (mine or run.kind is RunKind.DRILL) or run.left_by_its_process:
            continue
        if not may_settle(services, plan, run):
            continue
        if run.kind.is_peoples:
            services.catalogue.runs.leave(run, services.clock.now())
            continue
        owned = services.catalogue.runs.adopt(run, services.clock.now())
        if owned is None:
            continue
        try:
            _settle_one(services, plan, owned, (causes or {}).get(run.id, Ending()))
        finally:
            owned.release()
    for sentence in sweep_orphans(services):
        services.note(sentence)
    sweep_copies(services.work_dir)


def _settle_one(services: Services, plan: Plan, owned: RunLease, ending: Ending) -> None:
    run = owned.run
    for sentence in remove_run(services, run.id):
        services.note(sentence)
    failed = _after_hooks(services, plan, run)
    state, point = ending.state, None
    if run.plan == plan.name:
        try:
            point = _settle_repository(services, plan, owned)
        except DrdError as error:
            # The repository may be unreachable; the next retention removes what was left there.
            log.get(run=run.id).warning("aftermath.postponed", error=error.message)
    if point is not None:
        state = RunState.SUCCEEDED if point.complete else RunState.INCOMPLETE
    code = ending.cause.code if point is None and not failed else ""
    services.catalogue.runs.finish(
        owned,
        state,
        at=services.clock.now(),
        error="; ".join([*([] if point is not None else [ending.cause.text]), *failed]) or None,
        detail=RunDetail(point=point.id if point else None, error_code=code or None),
    )
    services.note(
        f"the process of run {run.id} ({run.kind}) had died; the state of the run is now {state}"
    )


def _after_hooks(services: Services, plan: Plan, run: Run) -> list[str]:
    """Run `after` of every capture that a dead backup had begun: its service may still be in
    maintenance mode. Returns sentences about failures."""
    if run.kind is not RunKind.BACKUP or run.plan != plan.name:
        return []
    failed = []
    for step in services.catalogue.steps.of_run(run.id):
        if step.kind != CAPTURE or step.state is not StepState.RUNNING:
            continue
        component = plan.components.get(step.subject)
        if component is not None and component.after is not None:
            services.note(
                f"drd runs the `after` hook of component {component.name}, because run "
                f"{run.id} died before it could run the hook"
            )
            failed += run_after_anyway(component)
    for sentence in failed:
        log.get(run=run.id, plan=plan.name).error("hook.failed", what=sentence)
        services.warn(sentence)
    return failed


def _settle_repository(services: Services, plan: Plan, owned: RunLease) -> RestorePoint | None:
    """Return the point of a dead backup whose manifest is in the repository; else None, and the
    run's snapshots and locks are removed."""
    for name in _locked_by(plan, owned.run):
        spec = plan.repositories[name]
        if services.catalogue.repositories.id_of(spec.url) is not None:
            repository = services.open_repository(spec)
            repository.preflight()
            repository.remove_stale_locks()
    if owned.run.kind is RunKind.RETENTION:
        _settle_retention(services, plan)
    if owned.run.kind is not RunKind.BACKUP:
        return None
    if services.catalogue.repositories.id_of(plan.primary.url) is None:
        return None
    repository = services.open_repository(plan.primary)
    left = listings.require_readable(
        repository, repository.snapshots(host=plan.name, tags=[f"run:{owned.run.id}"], fresh=True)
    )
    manifest = next((s for s in left if "manifest" in s.tags), None)
    if manifest is None:
        if left and not _is_held(services, owned.run):
            repository.forget([s.id for s in left])
        return None
    own = [s.id for s in left if f"component:{OWN_COMPONENT}" in s.tags]
    if own:
        # drd's own copy follows the end of the run, so what a dead run has of it is not whole.
        repository.forget(own)
    read = read_manifest(services, repository, manifest, plan.name)
    services.catalogue.points.record(read.point, owned=owned)
    signatures.note(services, read)
    return read.point


def _is_held(services: Services, run: Run) -> bool:
    holds = services.catalogue.keeping.holds(run.plan)
    return run.id in held_points(holds, services.clock.now())


def _locked_by(plan: Plan, run: Run) -> list[str]:
    """Return where the processes of a run may have left a lock: a subject names the only
    repository, and a copy also reads from another.
    """
    if run.subject not in plan.repositories:
        return list(plan.repositories) if run.kind is RunKind.RETENTION else [plan.primary.name]
    copy_of = plan.repositories[run.subject].copy_of
    reads = [copy_of] if run.kind is RunKind.COPY and copy_of is not None else []
    return [*reads, run.subject]


def _settle_retention(services: Services, plan: Plan) -> None:
    """Remove points whose manifests a dead retention run removed, or others did."""
    for spec in plan.repositories.values():
        if services.catalogue.repositories.id_of(spec.url) is None:
            continue
        # Before the listing: it may lack what is recorded later.
        known = [
            p for p in services.catalogue.points.of_plan(plan.name) if spec.name in p.repositories
        ]
        repository = services.open_repository(spec)
        listing = listings.require_readable(repository, listings.listed(repository, plan.name))
        held = listings.by_run(listing)
        gone = [p for p in known if listings.manifest(held.get(p.id, ())) is None]
        nowhere = [p.id for p in gone if set(p.repositories) == {spec.name}]
        moved = [p.id for p in gone if p.id not in nowhere]
        services.catalogue.copies.remove(plan.name, spec.name, moved)
        services.catalogue.points.forget(nowhere, services.clock.now())
        if gone:
            services.note(f"{spec.name} no longer contains {counted(len(gone), 'restore point')}")
