"""The real thing: the drill's code, against a target that stays.

First a value that says what would happen (printed, confirmed), then its execution. A recovery
whose process died is continued: components that are back stay, the one that was being restored
begins again in its own marked place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd import process
from drd.errors import (
    DrdError,
    NoRestorePoint,
    RepositoryError,
    SecretUnavailable,
    TargetError,
    UsageError,
)
from drd.flows import restore
from drd.flows.choose import choose
from drd.flows.holders import Holders, holders, named
from drd.flows.identity import confirm, tidy
from drd.flows.runner import Runner, closing_run, describe, new_run
from drd.flows.services import Services
from drd.flows.workplace import component_place, remove_run
from drd.model.plan import Plan, Target
from drd.model.run import DrillResult, Evidence, Run, RunKind, RunState, drill_result
from drd.model.snapshot import RestorePoint
from drd.model.units import to_rfc3339
from drd.ports import Destination, Finding


@dataclass(frozen=True, slots=True)
class RecoveryRequest:
    """What the operator stated; no `components` means all that the target names."""

    target: str
    point: str | None = None
    before: datetime | None = None
    lost_at: datetime | None = None
    components: tuple[str, ...] = ()
    overwrite: bool = False
    no_owner: bool = False
    repository: str | None = None

    def detail(self) -> dict[str, Any]:
        """What identifies a recovery that is continued: the same words mean the same recovery."""
        return {
            "target": self.target,
            "asked_point": self.point,
            "before": to_rfc3339(self.before) if self.before else None,
            "lost_at": to_rfc3339(self.lost_at) if self.lost_at else None,
            "components": list(self.components),
            **({"repository": self.repository} if self.repository else {}),
        }


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """What a recovery would do: shown, confirmed, then executed.

    `loss_s` is the expected data loss; `expected_s` the duration that drills measured, None when
    none did. `continues` is the id of a run that died and would go on. `notes` are sentences about
    what will be left out.
    """

    plan: Plan
    request: RecoveryRequest
    point: RestorePoint
    components: tuple[str, ...]
    lost_at: datetime
    loss_s: float
    expected_s: float | None
    continues: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecoveryOutcome:
    evidence: Evidence
    restoration: restore.Restoration


def plan_recovery(services: Services, plan: Plan, request: RecoveryRequest) -> RecoveryPlan:
    """Choose and compute; touches neither target nor repository.

    Raises UsageError for what does not exist, NoRestorePoint, or TargetError for a point that is
    incomplete or from after the stated loss.
    """
    names = _components(plan, request)
    only = named(plan, request.repository)
    lost_at = request.lost_at or services.clock.now()
    continued = _abandoned(services, plan, request)
    if continued is not None:
        point = services.catalogue.point(plan.name, str(continued.detail["point"]))
    else:
        point = _choose(services, plan, request)
    holders(plan, point, only)
    drills = [e for e in services.catalogue.evidence(plan.name) if e.rta_s is not None]
    return RecoveryPlan(
        plan=plan,
        request=request,
        point=point,
        components=names,
        lost_at=lost_at,
        loss_s=(lost_at - point.data_time).total_seconds(),
        expected_s=drills[0].rta_s if drills else None,
        continues=continued.id if continued else None,
        notes=_notes(plan, request, names),
    )


def _choose(services: Services, plan: Plan, request: RecoveryRequest) -> RestorePoint:
    before = request.before or (request.lost_at if request.point is None else None)
    only = named(plan, request.repository)
    point = choose(services, plan, point=request.point, before=before, held_by=only).point
    if request.lost_at is not None and point.data_time > request.lost_at:
        raise TargetError(
            f"restore point {point.id} holds data of {to_rfc3339(point.data_time)}, after the "
            f"stated loss at {to_rfc3339(request.lost_at)}",
            hint=f"leave out --point to take the newest one before the loss, or see "
            f"drd points {plan.name}",
        )
    return point


def _components(plan: Plan, request: RecoveryRequest) -> tuple[str, ...]:
    target = _target(plan, request.target)
    for name in request.components:
        if name not in plan.components:
            raise UsageError(
                f"{plan.name} has no component {name!r}",
                hint=f"its components: {', '.join(plan.components)}",
            )
        if name not in target.components:
            raise UsageError(
                f"target {target.name} does not say where {name} goes",
                hint=f"it names {', '.join(target.components)}.",
            )
    chosen = request.components or tuple(target.components)
    return tuple(n for n in plan.components if n in chosen)


def _target(plan: Plan, name: str) -> Target:
    if name not in plan.targets:
        known = ", ".join(plan.targets) or "none"
        raise UsageError(
            f"{plan.name} has no target {name!r}",
            hint=f"its targets: {known}. Add one under `targets` in {plan.file}.",
        )
    return plan.targets[name]


def _notes(plan: Plan, request: RecoveryRequest, names: Sequence[str]) -> tuple[str, ...]:
    left_out = [n for n in plan.components if n not in names]
    if not left_out:
        return ()
    why = "not asked for" if request.components else f"target {request.target} does not name them"
    return (f"not restored: {', '.join(left_out)} ({why})",)


def _abandoned(services: Services, plan: Plan, request: RecoveryRequest) -> Any:
    """The dead recovery that these words continue: one that has already chosen its point."""
    for run in services.catalogue.abandoned(plan.name):
        same = all(run.detail.get(k) == v for k, v in request.detail().items())
        if run.kind is RunKind.RECOVERY and same and run.detail.get("point"):
            return run
    return None


def recover(services: Services, plan: RecoveryPlan) -> RecoveryOutcome:
    """Execute. Raises TargetError (TargetNotEmpty among them) before anything was changed."""
    detail = {**plan.request.detail(), "point": plan.point.id}
    with ExitStack() as stack:
        runner = _begin(services, plan, stack, detail)
        destinations = _destinations(services, plan, runner, stack)
        only = named(plan.plan, plan.request.repository)
        held = Holders(services, plan.plan, plan.point, only=only)
        runner.step(
            "preflight", "preflight", lambda: _preflight(services, plan, destinations, held)
        )
        work = restore.begin(runner, held, destinations)
        if plan.continues is not None:
            # The preflight, which does this, may have been done before it died.
            for repository in held.repositories:
                tidy(repository)
        restore.carry_out(work)
        work.checks[:0] = restore.restore_failures(work)
        work.checks += restore.passed_over(work)
        return _record(services, plan, work)


def _begin(
    services: Services, plan: RecoveryPlan, stack: ExitStack, detail: Mapping[str, Any]
) -> Runner:
    """The run: the dead one with a new token, or a new one. Its directories go at the end, but a
    killed one's stay for whoever continues it."""
    for run in services.catalogue.abandoned(plan.plan.name):
        if run.kind is not RunKind.RECOVERY:
            continue
        owned = services.catalogue.adopt(run, services.clock.now())
        if owned is None:
            continue
        if run.id == plan.continues:
            runner = stack.enter_context(closing_run(services, owned))
            stack.callback(_remove, services, run.id)
            return runner
        _undo(services, plan.plan, run)
        services.catalogue.finish(
            owned,
            RunState.INTERRUPTED,
            at=services.clock.now(),
            error="the process that did this recovery died; another recovery was begun instead",
        )
    runner = stack.enter_context(
        new_run(services, plan.plan, RunKind.RECOVERY, trigger="manual", detail=detail)
    )
    stack.callback(_remove, services, runner.run.id)
    return runner


def _undo(services: Services, plan: Plan, dead: Run) -> None:
    """Remove what a dead recovery had not given its final name, here and where it was to be."""
    target = plan.targets.get(str(dead.detail.get("target")))
    for name, settings in target.components.items() if target is not None else ():
        if name in plan.components:
            component = plan.components[name]
            place = component_place(services, dead.id, component)
            _close(
                services.kinds(component.kind).target(component, settings, place, no_owner=False)
            )
    remove_run(services, dead.id)


def _remove(services: Services, run: str) -> None:
    with process.shielded():
        remove_run(services, run)


def _destinations(
    services: Services, plan: RecoveryPlan, runner: Runner, stack: ExitStack
) -> dict[str, Destination]:
    target = _target(plan.plan, plan.request.target)
    made: dict[str, Destination] = {}
    for name in plan.components:
        component = plan.plan.components[name]
        place = component_place(services, runner.run.id, component)
        made[name] = services.kinds(component.kind).target(
            component, target.components[name], place, no_owner=plan.request.no_owner
        )
        stack.callback(_close, made[name])
    return made


def _close(destination: Destination) -> None:
    with process.shielded():
        destination.close()


def _preflight(
    services: Services,
    plan: RecoveryPlan,
    destinations: Mapping[str, Destination],
    held: Holders,
) -> Mapping[str, Any]:
    """Every place is looked at before any is touched."""
    findings: list[Finding] = []
    for name, destination in destinations.items():
        snapshot = plan.point.component(name)
        if snapshot is None or snapshot.snapshot is None:
            raise NoRestorePoint(
                f"restore point {plan.point.id} does not hold {name}",
                hint=f"take another point (drd points {plan.plan.name}) or --component the others.",
            )
        findings += destination.preflight(snapshot, overwrite=plan.request.overwrite)
    bad = [f for f in findings if not f.ok]
    if bad:
        rest = "".join(f"\n  {f.detail}" for f in bad[1:])
        raise TargetError(bad[0].detail + rest, hint=bad[0].hint)
    for finding in findings:
        if finding.warning:
            services.warn(f"{finding.name}: {finding.detail}")
    _confirm_one(services, plan, held)
    return {"findings": [f.name for f in findings]}


def _confirm_one(services: Services, plan: RecoveryPlan, held: Holders) -> None:
    """One of the repositories that hold the point is the one that it was; those before it that are
    not, or cannot be asked, are ruled out. Raises what the first of them says."""
    errors: list[DrdError] = []
    for repository in held.repositories:
        try:
            confirm(services, repository, writing=False)
        except (RepositoryError, SecretUnavailable) as error:
            held.rule_out(repository.name, error)
            errors.append(error)
        else:
            return
    others = [
        name
        for name in plan.plan.repositories
        if name not in plan.point.repositories
        and any(name in p.repositories for p in services.catalogue.points(plan.plan.name))
    ]
    if others and plan.request.repository is None:
        errors[0].hint += f" An older point may do: --repository {others[0]} takes its newest."
    raise errors[0]


def _record(services: Services, plan: RecoveryPlan, work: restore.Restoration) -> RecoveryOutcome:
    runner, now = work.runner, services.clock.now()
    back = not work.errors
    result = drill_result(work.checks)
    started = runner.run.started_at or now
    lost_at = plan.request.lost_at or started
    evidence = Evidence(
        id=f"{plan.point.id[:4]}-{runner.run.id}",
        run=runner.run.id,
        plan=plan.plan.name,
        point=plan.point.id,
        scenario="recovery",
        result=result,
        plan_digest=plan.plan.digest,
        started_at=started,
        finished_at=now,
        rpa_s=(lost_at - plan.point.data_time).total_seconds() if back else None,
        rta_s=round((now - lost_at).total_seconds(), 3) if back else None,
        judged=True,
        phases=work.measured.phases() if back else {},
        checks=tuple(work.checks),
        target=plan.request.target,
        lost_at=lost_at,
        restored_bytes=sum(c.bytes for c in plan.point.components if c.component in work.restored),
    )
    services.catalogue.record_evidence(runner.owned, evidence)
    errors = "; ".join(f"{n}: {describe(e)}" for n, e in work.errors.items())
    failed = result is DrillResult.FAILED
    services.catalogue.finish(
        runner.owned,
        RunState.FAILED if failed else RunState.SUCCEEDED,
        at=now,
        error=errors or None,
        detail={"result": str(result)},
    )
    return RecoveryOutcome(evidence, work)
