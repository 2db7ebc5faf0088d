"""What people do with action items of an incident: for the command line and the socket alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field

from drd.api.incident_requests import Act, Name, Number, Word
from drd.api.requests import BoundedText, LongText, Request
from drd.bootstrap import App
from drd.errors import UsageError
from drd.flows.incidents import actions as flow
from drd.flows.incidents.writing import Desk, require_plans
from drd.model.incidents.actions import Proof, VerifiedBy
from drd.model.incidents.incident import Incident
from drd.model.nearest import closest
from drd.model.person_names import as_written
from drd.model.plan import SCENARIOS
from drd.model.run import RunKind
from drd.model.run_details import ReadinessDetail
from drd.model.text import some

_FORMS = "check:PLAN/NAME, control:PLAN/NAME, drill:PLAN, drill:PLAN/SCENARIO, finding:PLAN/CODE"


class ActionBody(Act):
    text: LongText = Field("", description="What is to change.")
    owner: Name = Field("", description="Name of the person who sees to it.")
    due: Word | None = Field(None, description="When it is due: 14d from now, or RFC 3339.")
    verified_by: Annotated[str, Field(max_length=300)] = Field(
        "", description=f"What closes the item when it passes: {_FORMS}."
    )
    done: Number | None = Field(None, description="The entry of an item that is done.")
    reason: BoundedText = Field("", description="Why the item is done.")


class ActionsQuery(Request):
    incident: Number | None = Field(
        None, description="Only the items of this incident, also those that are done."
    )


def _action(app: App, desk: Desk, body: ActionBody) -> Incident:
    if body.done is not None:
        return flow.finish(desk, body.done, body.reason)
    if not body.owner.strip():
        raise UsageError("--owner is missing: who sees to it", hint="add --owner NAME")
    if body.due is None:
        raise UsageError("--due is missing: until when it is done", hint="add --due 14d")
    wanted = _verified_by(app, body.verified_by) if body.verified_by.strip() else None
    owner = as_written(body.owner, app.settings.roles)
    return flow.add(desk, body.text, owner, desk.coming(body.due), wanted)


ACTION_ACTS: Mapping[str, tuple[type[Act], Callable[[App, Desk, Any], Incident]]] = {
    "action": (ActionBody, _action)
}
"""By the verb, as `ACTS` of `drd.api.incident_acts` has them."""


def _verified_by(app: App, text: str) -> VerifiedBy:
    """Return what closes an item by itself. Raises UsageError with what exists, if there is no such
    thing."""
    try:
        wanted = VerifiedBy.read(text)
    except ValueError:
        raise UsageError(
            f"{text!r} names nothing that drd can verify", hint=f"write one of: {_FORMS}"
        ) from None
    require_plans([wanted.plan], {*app.catalogue.plans.names(), *app.plans.names()})
    if wanted.proof is Proof.FINDING:
        _require_finding(app, wanted)
        return wanted
    plan = app.plans.in_force(wanted.plan)
    there: Mapping[Proof, Iterable[str]] = {
        Proof.CHECK: (check.name for check in plan.checks),
        Proof.CONTROL: (control.name for control in plan.controls),
        Proof.DRILL: dict.fromkeys((*plan.drill.scenarios, *SCENARIOS)),
    }
    known = list(there[wanted.proof])
    if wanted.name and wanted.name not in known:
        raise _missing(wanted, known, f"{wanted.proof}s" if known else "")
    return wanted


def _require_finding(app: App, wanted: VerifiedBy) -> None:
    """A finding that is not there now would close the item at once."""
    runs = app.catalogue.runs.newest(wanted.plan, kind=RunKind.READINESS, limit=10)
    details = (run.detail for run in runs if run.finished_at is not None)
    found = (d for d in details if isinstance(d, ReadinessDetail) and d.findings is not None)
    last = next(found, None)
    if last is None:
        raise UsageError(
            f"the readiness of plan {wanted.plan} was never checked, so drd knows no finding of it",
            hint=f"check it first: drd readiness {wanted.plan}",
        )
    codes = flow.standing_codes(last)
    if wanted.name not in codes:
        raise _missing(wanted, codes, "findings of the last readiness check")


def _missing(wanted: VerifiedBy, known: list[str], what: str) -> UsageError:
    near = closest(wanted.name, known)
    hint = f"{what}: {some(known, 20)}." if known else f"it has no {wanted.proof}."
    return UsageError(
        f'plan {wanted.plan} has no {wanted.proof} "{wanted.name}"',
        hint=f"did you mean {wanted.proof}:{wanted.plan}/{near}? {hint}" if near else hint,
    )
