"""Check the live service by a control of its plan, and record what it shows.

It reads, and changes nothing. A control that does not hold is a failed run, so that it raises the
alert of every job that fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from drd.errors import UsageError
from drd.flows.durable_steps import new_run
from drd.flows.incidents.actions import settle
from drd.flows.restore.difference import LIVE, compare
from drd.flows.services import Services
from drd.model.controls import (
    FAILED,
    BucketEncryption,
    Changes,
    ControlResult,
    ControlSpec,
    ControlUnknown,
)
from drd.model.plan import Plan, S3Access, SecretRef
from drd.model.run import RunKind, RunState
from drd.model.run_details import ControlDetail
from drd.model.snapshot import newest_complete
from drd.model.text import either, escaped
from drd.ports.control import ControlContext
from drd.registry import CONTROLS


def control(
    services: Services,
    plan: Plan,
    name: str,
    resolve: Callable[[SecretRef], str],
    *,
    trigger: str = "manual",
    accept: bool = False,
) -> ControlResult:
    """Check one control. If the control does not hold, its run has failed. With `accept`, the next
    checks compare the component with the newest restore point. Raises ControlUnknown if drd could
    not find out whether the control holds, and the errors of reading the source.
    """
    spec = require_control(plan, name)
    with new_run(services, plan, RunKind.CONTROL, trigger=trigger, subject=name) as runner:
        outcome = _carried_out(services, plan, spec, resolve, accept=accept)
        detail = ControlDetail(
            observed=outcome.observed,
            expected=outcome.expected,
            reference=outcome.reference or None,
        )
        error = None
        if not outcome.holds:
            error = f"{outcome.observed}; expected: {outcome.expected}"
            detail = replace(detail, error_code=FAILED, remedy=outcome.remedy, permanent=True)
        services.catalogue.runs.finish(
            runner.owned,
            RunState.SUCCEEDED if outcome.holds else RunState.FAILED,
            at=services.clock.now(),
            error=error,
            detail=detail,
        )
        settle(services.catalogue, services.clock.now(), plan.name)
        return outcome


class State(StrEnum):
    """The state of a control when drd last checked it."""

    HOLDS = "holds"
    FAILED = "does not hold"
    UNKNOWN = "unknown"
    NEVER = "never checked"


@dataclass(frozen=True, slots=True)
class Standing:
    """The last result of a control, in words, with its time and run."""

    spec: ControlSpec
    state: State
    text: str = ""
    remedy: str = ""
    at: datetime | None = None
    run: str = ""


def standings(services: Services, plan: Plan) -> dict[str, Standing]:
    """Return the last result of each control of a plan, by name."""
    jobs = services.catalogue.queue.jobs(plan=plan.name)
    last = {job.subject: job.last_run for job in jobs if job.kind == RunKind.CONTROL}
    return {
        spec.name: _standing(services, plan, spec, last.get(spec.name)) for spec in plan.controls
    }


def _standing(services: Services, plan: Plan, spec: ControlSpec, last: str | None) -> Standing:
    run = services.catalogue.runs.get(last) if last is not None else None
    if run is None or run.finished_at is None:
        command = f"drd plan controls {plan.name} --check {spec.name}"
        return Standing(spec, State.NEVER, "", command)
    detail = run.detail if isinstance(run.detail, ControlDetail) else ControlDetail()
    if run.state is RunState.SUCCEEDED:
        return Standing(spec, State.HOLDS, detail.observed or "", "", run.finished_at, run.id)
    state = State.FAILED if detail.error_code == FAILED else State.UNKNOWN
    return Standing(spec, state, run.error or "", detail.remedy or "", run.finished_at, run.id)


def require_control(plan: Plan, name: str) -> ControlSpec:
    """Return the control of this name. Raises UsageError."""
    named_control = next((one for one in plan.controls if one.name == name), None)
    if named_control is None:
        known = either(one.name for one in plan.controls) or "none"
        raise UsageError(
            f'plan {plan.name} has no control "{name}"',
            hint=f"choose one of the plan's controls: {known}.",
        )
    return named_control


def _carried_out(
    services: Services,
    plan: Plan,
    spec: ControlSpec,
    resolve: Callable[[SecretRef], str],
    *,
    accept: bool,
) -> ControlResult:
    def changes(component: str) -> Changes:
        reference = "" if accept else _reference(services, plan, spec)
        return _changes(services, plan, component, reference)

    def encryption(repository: str, url: str, access: S3Access) -> BucketEncryption:
        if repository:
            kept = plan.repositories[repository]
            url, access = kept.url, kept.s3
        return services.bucket_encryption(url, access)

    context = ControlContext(plan.name, resolve, changes, encryption)
    return CONTROLS[spec.kind].control.run(spec, context)


def _reference(services: Services, plan: Plan, spec: ControlSpec) -> str:
    """Return the restore point that the last check compared with; none before the first check.
    Raises ControlUnknown if the point is gone: nobody has accepted what another one contains."""
    reference = services.catalogue.runs.control_reference(plan.name, spec.name)
    kept = {point.id for point in services.catalogue.points.of_plan(plan.name)}
    if reference and reference not in kept:
        raise ControlUnknown(
            f"control {spec.name} cannot compare: its restore point {escaped(reference)} no longer "
            "exists",
            hint="find out whether the newest restore point has the right configuration: "
            f"drd points {plan.name}. If it has the right configuration, compare with "
            f"that point from now on: drd plan controls {plan.name} --accept {spec.name}",
        )
    return reference


def _changes(services: Services, plan: Plan, component: str, reference: str) -> Changes:
    newest = newest_complete(services.catalogue.points.of_plan(plan.name), services.clock.now())
    if newest is None:
        raise ControlUnknown(
            f"plan {plan.name} has no complete restore point to compare with",
            hint=f"make a restore point: drd backup {plan.name}",
        )
    point = reference or newest.id
    changes = compare(services, plan, component, point, LIVE).found
    if changes.equal is None and changes.unknown:
        name, why = changes.unknown[0]
        raise ControlUnknown(
            f"cannot compare {escaped(name)}: {why}",
            hint=f"to see the whole error: drd diff {plan.name} --component {component} "
            f"--point {point}",
        )
    words = tuple(f"{word} {escaped(name)}" for word, name, _ in changes.changes())
    return Changes(words, point, newest.id)
