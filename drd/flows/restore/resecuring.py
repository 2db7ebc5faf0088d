"""What has to be secured again before people use a service that was attacked: an approval in the
runbook of the recovery, for the credentials that nobody has replaced since the first sign, and for
those of which the recovery brings back the value of before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from drd.errors import DrdError
from drd.flows.components.repository_choice import Holders
from drd.flows.repository import adopted
from drd.flows.repository.signatures import signatures_of
from drd.flows.restore.clean_points import CleanPoints, clean_points, require_clean
from drd.flows.restore.recovery_request import RecoveryRequest
from drd.flows.restore.trusted_points import needs_reading
from drd.flows.services import Services
from drd.flows.state.returned_credentials import component_with
from drd.model.incidents.first_sign import FirstSign, first_sign
from drd.model.incidents.investigation import investigation
from drd.model.incidents.rotations import Rotation, known_to_attacker, rotations, since
from drd.model.inventory import Credential
from drd.model.plan import Plan
from drd.model.records import Entry
from drd.model.run import StepState
from drd.model.runbook import (
    LOOKING,
    PEOPLE,
    Ask,
    Circumstances,
    Step,
    plain_runbook,
    unmet,
)
from drd.model.snapshot import RestorePoint
from drd.model.step_record import StepRecord
from drd.model.text import counted
from drd.model.units import format_time

STEP = "re-secure"
"""The name of the approval; a number follows if the plan has a step of that name."""
_MOST_READ = 20
_TRAFFIC = "traffic"
_TALKS = (*LOOKING, *PEOPLE, "notify", "wait")
"""Kinds of steps that cannot let others reach the service."""


@dataclass(frozen=True, slots=True)
class _Returning:
    """A credential that was rotated, and of which a component of the point has the value of
    before."""

    credential: Credential
    rotation: Rotation
    component: str


@dataclass(frozen=True, slots=True)
class Clean:
    """The choice for a recovery after an incident, with its reason."""

    point: str
    sign: FirstSign
    why: str

    def words(self) -> str:
        """Return why drd chose the point, and what would change the choice."""
        return (
            f"{self.why}. First sign: {self.sign.words()}. If this time is corrected, another "
            "restore point can be the clean one"
        )


def clean_of(services: Services, plan: Plan, number: int, request: RecoveryRequest) -> Clean:
    """Return the clean point of a plan. If this host has not checked the signature of a point yet,
    this reads its manifest, as drd does whenever it chooses a point itself. Raises NoRestorePoint,
    with the reason."""
    adopted.refresh(services, plan)
    sign, _ = _read(services, number)
    read: set[str] = set()
    while True:
        clean = _found(services, plan, sign, request)
        point = require_clean(clean, number).point
        known = signatures_of(services.catalogue, plan.name)
        is_checked = not known.judges or not needs_reading(known, point)
        if is_checked or point.id in read or len(read) >= _MOST_READ:
            return Clean(point.id, sign, clean.why)
        read.add(point.id)
        try:
            whole = services.catalogue.points.get(plan.name, point.id)
            Holders(services, plan, whole).manifest()
        except DrdError:  # the preflight reports it
            return Clean(point.id, sign, clean.why)


def _found(
    services: Services, plan: Plan, sign: FirstSign, request: RecoveryRequest
) -> CleanPoints:
    now = services.clock.now()
    return clean_points(services.catalogue, plan.name, sign.at, now, held_by=request.only(plan))


def _read(services: Services, number: int) -> tuple[FirstSign, list[Entry]]:
    """Return the first sign of an incident, and its entries."""
    incident = services.catalogue.incidents.get(number)
    entries = services.catalogue.incidents.entries(incident)
    sign = first_sign(incident, investigation(entries))
    return sign or FirstSign(services.clock.now(), "opened"), entries


# --- the approval -----------------------------------------------------------------------------


def with_approval(
    services: Services,
    plan: Plan,
    request: RecoveryRequest,
    names: Sequence[str],
    *,
    point: RestorePoint,
    around: Circumstances,
    run: str | None,
) -> Plan:
    """Return the plan with the approval before the step that lets others reach the service, or at
    the end. If no credential is left to rotate, return the plan unchanged, unless `run` has already
    asked for the approval."""
    number = request.clean_for
    beside = request.part is not None and request.part.into is not None
    if number is None or beside:
        return plan
    sign, entries = _read(services, number)
    told, records = rotations(entries), services.catalogue.steps.of_run(run) if run else []
    left = known_to_attacker(plan.inventory.credentials, plan.name, told, sign.at)
    at = _restored_at(records)
    back = [
        _Returning(one, last, component)
        for one in plan.inventory.credentials
        if (last := since(told, plan.name, one.name, sign.at)) is not None
        and (component := component_with(one, point, names)) is not None
        and (at is None or last.at < at)
    ]
    asked = any(r.name.startswith(STEP) for r in records)
    if not left and not back and not asked:
        return plan
    steps = plan.runbook or plain_runbook(names, (check.name for check in plan.checks))
    ask = Ask(_text(left, back, number, sign.at))
    taken = {step.name for step in steps}
    name = next(n for n in (STEP, *(f"{STEP}-{i}" for i in range(2, 99))) if n not in taken)
    # A recovery of some components leaves out approvals that are about none of them.
    approval = Step(name, "approve", settings=ask, component=next(iter(around.only), None))
    return replace(plan, runbook=inserted(steps, approval, around))


def _restored_at(records: Iterable[StepRecord]) -> datetime | None:
    """Return when a run had restored the data; None if it has not done so yet."""
    restores = [r for r in records if r.kind == "restore"]
    if not all(r.state is StepState.SUCCEEDED for r in restores):
        return None
    return max((r.finished_at for r in restores if r.finished_at is not None), default=None)


def _text(
    left: Sequence[Credential], back: Sequence[_Returning], number: int, sign: datetime
) -> str:
    if not left and not back:
        return (
            "all credentials of the plan were rotated since the first sign; approve this step to "
            "continue"
        )
    text = ""
    if left:
        them = ", ".join(f"{one.name} ({_with(one)})" for one in left)
        know = f"{counted(len(left), 'credential')} may be known to the attacker since"
        text = f"{know} {format_time(sign)}: {them}. "
    if back:
        them = ", ".join(
            f"{one.credential.name} (rotated {format_time(one.rotation.at)}, but component "
            f"{one.component} restores the file of before; {_with(one.credential)})"
            for one in back
        )
        text += f"The recovery brings back the former value of {counted(len(back), 'credential')}: "
        text += f"{them}. "
    text += (
        "Rotate these credentials before the service is used, "
        f"and record each rotation: drd incident rotated {number} NAME; then approve this step"
    )
    return text.replace("${", "$${")


def _with(one: Credential) -> str:
    return f"rotate with {one.rotate_with}" if one.rotate_with else "no playbook"


def inserted(steps: Sequence[Step], approval: Step, around: Circumstances) -> tuple[Step, ...]:
    """Return the steps with the approval before the step that lets others reach the service. This
    is the first step after a restore that is called `traffic`; else the first step after the last
    restore that acts and that a drill leaves out, because it would reach the real world. Without
    such a step, the approval is the last step."""
    serving = _serving(steps, around)
    if serving is None:
        return (*steps, approval)
    group = steps[serving].group
    at = serving
    while at and group is not None and steps[at - 1].group == group:
        at -= 1
    waiting = [
        replace(step, needs=(*step.needs, approval.name)) if step.needs is not None else step
        for step in steps[at:]
    ]
    return (*steps[:at], approval, *waiting)


def _serving(steps: Sequence[Step], around: Circumstances) -> int | None:
    restores = [at for at, step in enumerate(steps) if step.kind == "restore"] or [-1]
    acting = {
        at: step
        for at, step in enumerate(steps)
        if at > restores[0] and step.kind not in _TALKS and _may_run(step, around)
    }
    named = (at for at, step in acting.items() if _TRAFFIC in step.name.split("-"))
    real = (at for at, step in acting.items() if at > restores[-1] and step.rehearse != "run")
    return next(named, next(real, None))


def _may_run(step: Step, around: Circumstances) -> bool:
    conditional = step.when is not None and step.when.step is not None
    return conditional or unmet(step, {}, around) is None
