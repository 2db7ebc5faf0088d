"""Record that a credential was replaced, or withdraw such a record: for the command line and for
the socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import Field

from drd.api.incident_requests import Act, Name, Number, Word
from drd.api.requests import BoundedText, PlanName
from drd.bootstrap import App
from drd.errors import ConfigError, UnknownPlan, UsageError
from drd.flows.incidents.resecuring import not_rotated, rotated
from drd.flows.incidents.writing import Desk
from drd.model.incidents.incident import Incident
from drd.model.inventory import Credential


class RotatedBody(Act):
    credential: Name = Field(
        "", description="The name of the replaced credential, under `credentials:` in the plan."
    )
    plan: PlanName | None = Field(
        None,
        description="Record this only for this plan (default: all plans in the scope that have a "
        "credential of this name).",
    )
    at: Word | None = Field(None, description="When the credential was replaced (default: now).")
    withdraw: Number | None = Field(
        None,
        description="The number of the entry to withdraw: it says wrongly that a credential was "
        "replaced.",
    )
    reason: BoundedText = Field("", description="Why the entry is withdrawn.")


def _rotated(app: App, desk: Desk, body: RotatedBody) -> Incident:
    if body.withdraw is not None:
        return not_rotated(desk, body.withdraw, body.reason)
    if not body.credential:
        raise UsageError(
            "no credential given",
            hint="name a credential of the plan: drd incident rotated CREDENTIAL",
        )
    at = desk.past(body.at) if body.at is not None else None
    return rotated(desk, body.credential, _credentials(app, desk), plan=body.plan, at=at)


def _credentials(app: App, desk: Desk) -> Mapping[str, tuple[Credential, ...]]:
    """Return the credentials of the plans in the scope, of each plan that drd can read."""
    known = {}
    for name in app.catalogue.incidents.get(desk.number).plans:
        with suppress(UnknownPlan, ConfigError):
            known[name] = app.plans.in_force(name).inventory.credentials
    return known


ROTATION_ACTS: Mapping[str, tuple[type[Act], Callable[[App, Desk, Any], Incident]]] = {
    "rotated": (RotatedBody, _rotated),
}
"""The request and the function of each verb, like `ACTS` of `drd.api.incident_acts`."""
