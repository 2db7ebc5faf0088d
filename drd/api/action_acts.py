"""What people do with action items of an incident: for the command line and the socket alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field

from drd.api.incident_people import named_person
from drd.api.incident_requests import Act, Name, Number, Word
from drd.api.requests import BoundedText, LongText, Request
from drd.bootstrap import App
from drd.config.plan_file import load_plan
from drd.config.playbooks import playbooks_of
from drd.errors import ConfigError, UnknownPlan, UsageError
from drd.flows.incidents import actions as flow
from drd.flows.incidents.writing import Desk, require_plans
from drd.flows.status.refused_plans import loads_it
from drd.model.incidents.actions import Proof, VerifiedBy
from drd.model.incidents.incident import Incident
from drd.model.nearest import closest
from drd.model.plan import DRILL_SCENARIOS, Plan
from drd.model.readiness import not_in_force
from drd.model.run import RunKind
from drd.model.run_details import ReadinessDetail
from drd.model.text import some

_FORMS = (
    "check:PLAN/NAME, control:PLAN/NAME, drill:PLAN, drill:PLAN/SCENARIO, finding:PLAN/CODE, "
    "playbook:NAME"
)


class ActionBody(Act):
    text: LongText = Field("", description="The text of the item: what is to change.")
    owner: Name = Field("", description="The name of the person who is responsible for the item.")
    due: Word | None = Field(
        None, description="When the item is due: 14d (from now), or a time in RFC 3339."
    )
    verified_by: Annotated[str, Field(max_length=300)] = Field(
        "",
        description="What has to pass before drd closes the item. Use one of these forms: "
        f"{_FORMS}.",
    )
    done: Number | None = Field(
        None, description="The number of the item that is done: the entry that added the item."
    )
    reason: BoundedText = Field("", description="Why the item is done.")


class ActionsQuery(Request):
    incident: Number | None = Field(
        None,
        description="Show only the items of this incident, including the items that are done.",
    )


def _action(app: App, desk: Desk, body: ActionBody) -> Incident:
    if body.done is not None:
        return flow.finish(desk, body.done, body.reason)
    if not body.owner.strip():
        raise UsageError(
            "--owner is missing, the person who is responsible for the item",
            hint="add --owner NAME",
        )
    if body.due is None:
        raise UsageError(
            "--due is missing, the time at which the item is due", hint="add --due 14d"
        )
    wanted = _verified_by(app, body.verified_by) if body.verified_by.strip() else None
    owner = named_person(app, desk, body.owner)
    return flow.add(desk, body.text, owner, desk.coming(body.due), wanted)


ACTION_ACTS: Mapping[str, tuple[type[Act], Callable[[App, Desk, Any], Incident]]] = {
    "action": (ActionBody, _action)
}
"""The request and the function of each verb, like `ACTS` of `drd.api.incident_acts`."""


def _verified_by(app: App, text: str) -> VerifiedBy:
    """Return the proof that closes an item. Raises UsageError, with the names that exist, if the
    plan does not have this check, control, drill or finding, or there is no such playbook."""
    try:
        wanted = VerifiedBy.read(text)
    except ValueError:
        raise UsageError(
            f"{text!r} does not name something that drd can verify",
            hint=f"use one of these forms: {_FORMS}",
        ) from None
    if wanted.proof is Proof.PLAYBOOK:
        playbooks_of(app.settings).get(wanted.plan)
        return wanted
    require_plans([wanted.plan], {*app.catalogue.plans.names(), *app.plans.names()})
    if wanted.proof is Proof.FINDING:
        _require_finding(app, wanted)
        return wanted
    known = _proofs(app.plans.in_force(wanted.plan), wanted.proof)
    if wanted.name and wanted.name not in known:
        raise _unloaded(app, wanted) or _missing(wanted, known, f"{wanted.proof}s" if known else "")
    return wanted


def _proofs(plan: Plan, proof: Proof) -> list[str]:
    """Return the names that a plan has for this kind of proof."""
    there: Mapping[Proof, Iterable[str]] = {
        Proof.CHECK: (check.name for check in plan.checks),
        Proof.CONTROL: (control.name for control in plan.controls),
        Proof.DRILL: dict.fromkeys((*plan.drill.scenarios, *DRILL_SCENARIOS)),
    }
    return list(there[proof])


def _unloaded(app: App, wanted: VerifiedBy) -> UsageError | None:
    """Return the error for a proof that the file of the plan has, but not the plan in force; None
    if the file does not have it either, or cannot be read."""
    try:
        plan = load_plan(app.plans.file_of(wanted.plan), app.settings.known_roles).plan
    except (UnknownPlan, ConfigError):
        return None
    if wanted.name not in _proofs(plan, wanted.proof):
        return None
    loads = not_in_force(plan, loads_it(app.catalogue.queue, wanted.plan)).remedy
    return UsageError(
        f'plan {wanted.plan} that is in force does not have the {wanted.proof} "{wanted.name}". '
        f"The file {plan.file} has it, but drd has not loaded the present text of this file",
        hint=f"load the file: {loads}. Then repeat this command.",
    )


def _require_finding(app: App, wanted: VerifiedBy) -> None:
    """Raise UsageError if the last readiness check did not have this finding: drd would close the
    item at once."""
    runs = app.catalogue.runs.newest(wanted.plan, kind=RunKind.READINESS, limit=10)
    details = (run.detail for run in runs if run.finished_at is not None)
    readiness_details = (
        d for d in details if isinstance(d, ReadinessDetail) and d.findings is not None
    )
    last = next(readiness_details, None)
    if last is None:
        raise UsageError(
            f"drd has not checked the readiness of plan {wanted.plan} yet, so it does not know "
            "the findings of this plan",
            hint=f"check the plan first: drd readiness {wanted.plan}",
        )
    codes = flow.standing_codes(last)
    if wanted.name not in codes:
        raise _missing(wanted, codes, "findings of the last readiness check")


def _missing(wanted: VerifiedBy, known: list[str], what: str) -> UsageError:
    near = closest(wanted.name, known)
    hint = (
        f"{what}: {some(known, 20)}." if known else f"this plan does not have any {wanted.proof}."
    )
    return UsageError(
        f'plan {wanted.plan} does not have the {wanted.proof} "{wanted.name}"',
        hint=f"did you mean {wanted.proof}:{wanted.plan}/{near}? {hint}" if near else hint,
    )
