"""What requests about one incident have in common: which incident, whether the caller may read it,
and who acts in it."""

from __future__ import annotations

from contextlib import suppress

from drd.api.incident_access import readable_entries, require_access
from drd.api.incident_requests import Act
from drd.api.requested import AdmittedRequest
from drd.config.zones import local_zone
from drd.errors import ConfigError, UnknownPlan
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.writing import Desk
from drd.model.incidents.entries import Author
from drd.model.incidents.incident import Incident
from drd.model.plan import Plan

ONLY = "only"
"""In the path of a request: the only incident that is open."""


def number_of(asked: AdmittedRequest) -> int:
    """Return the number of the incident. Raises UsageError."""
    given = asked.names["incident"]
    return chosen(asked.app.catalogue, None if given == ONLY else int(given))


def readable(asked: AdmittedRequest, number: int) -> Incident:
    """Return an incident that the caller may read. Raises Refused, UsageError."""
    app = asked.app
    return require_access(app.catalogue, asked.caller, number, app.settings)


def author_of(asked: AdmittedRequest, body: Act, *, left_out: bool = False) -> Author:
    """Return who acts: the kernel says which user, `by` is what this user says."""
    name = asked.caller.name(body.by, asked.app.settings)
    return Author(name, asked.app.clock.now(), asked.caller.actor(body.by), left_out)


def desk_of(asked: AdmittedRequest, body: Act, number: int) -> Desk:
    """Return where the caller adds entries to an incident."""
    said = author_of(asked, body, left_out=asked.names["incident"] == ONLY)
    app = asked.app
    return Desk(
        app.catalogue,
        number,
        said,
        local_zone(app.settings.timezone),
        reads=lambda one: readable_entries(app.catalogue, asked.caller, one, app.settings),
    )


def plans_in_force(asked: AdmittedRequest) -> dict[str, Plan]:
    """Return the plans in force: the daemon reads no other files for a request."""
    plans = {}
    for name in asked.app.catalogue.plans.names():
        with suppress(UnknownPlan, ConfigError):
            plans[name] = asked.app.plans.in_force(name)
    return plans
