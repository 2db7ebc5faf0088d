"""Check the live service by a control of its plan, and record what it shows.

It reads, and changes nothing. A control that does not hold is a failed run, so that it raises the
alert of every job that fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from drd.errors import UsageError
from drd.flows.durable_steps import new_run
from drd.flows.restore.difference import LIVE, compare
from drd.flows.services import Services
from drd.model.controls import ControlFailed, ControlResult, ControlSpec, ControlUnknown
from drd.model.difference import Difference
from drd.model.plan import Plan, SecretRef
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
) -> ControlResult:
    """Check one control. Raises ControlFailed if it does not hold, ControlUnknown if it could not
    find out, and what prevents the reading of the source.
    """
    spec = require_control(plan, name)
    with new_run(services, plan, RunKind.CONTROL, trigger=trigger, subject=name) as runner:
        found = _carried_out(services, plan, spec, resolve)
        if not found.holds:
            raise ControlFailed(f"{found.observed}; expected: {found.expected}", hint=found.remedy)
        services.catalogue.runs.finish(
            runner.owned,
            RunState.SUCCEEDED,
            at=services.clock.now(),
            detail=ControlDetail(observed=found.observed, expected=found.expected),
        )
        return found


class State(StrEnum):
    """How a control was when drd checked it last."""

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
    state = State.FAILED if detail.error_code == ControlFailed.code else State.UNKNOWN
    return Standing(spec, state, run.error or "", detail.remedy or "", run.finished_at, run.id)


def require_control(plan: Plan, name: str) -> ControlSpec:
    """Return the control of this name. Raises UsageError."""
    found = next((one for one in plan.controls if one.name == name), None)
    if found is None:
        known = either(one.name for one in plan.controls) or "none"
        raise UsageError(
            f'plan {plan.name} has no control "{name}"', hint=f"its controls: {known}."
        )
    return found


def _carried_out(
    services: Services, plan: Plan, spec: ControlSpec, resolve: Callable[[SecretRef], str]
) -> ControlResult:
    def changes(component: str) -> tuple[list[str], str]:
        return _changes(services, plan, component)

    context = ControlContext(plan.name, resolve, changes)
    return CONTROLS[spec.kind].control.run(spec, context)


def _changes(services: Services, plan: Plan, component: str) -> tuple[list[str], str]:
    newest = newest_complete(services.catalogue.points.of_plan(plan.name), services.clock.now())
    if newest is None:
        raise ControlUnknown(
            f"plan {plan.name} has no complete restore point to compare with",
            hint=f"make one: drd backup {plan.name}",
        )
    compared = compare(services, plan, component, newest.id, LIVE)
    found = compared.found
    if found.equal is None and found.unknown:
        name, why = found.unknown[0]
        raise ControlUnknown(
            f"cannot compare {escaped(name)}: {why}",
            hint=f"to see more: drd diff {plan.name} --component {component} --point {newest.id}",
        )
    return list(_words(found)), compared.a.name


def _words(found: Difference) -> Iterator[str]:
    for prop in found.properties:
        yield f"changed {prop.name}"
    for table in found.tables:
        yield f"{_CHANGED.get(table.change, table.change)} {escaped(table.table)}"
    for relation in found.relations:
        yield f"{relation.change} {escaped(relation.name)}"
    for file in found.files:
        yield f"{file.change} {escaped(file.path)}"


_CHANGED = {"rows": "changed", "contents": "changed"}
