"""The answers to requests about incidents."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC

from drd.api.incident_access import (
    may_act,
    may_read,
    readable_entries,
    require_access,
    require_may_admit,
    without_contents,
)
from drd.api.incident_acts import ACTS, acted_document, opened
from drd.api.incident_documents import incident_document
from drd.api.incident_intake import take_in
from drd.api.incident_reading import shown_document
from drd.api.incident_requests import (
    Act,
    AssignBody,
    IncidentQuery,
    IncidentsQuery,
    IntakeBody,
    MergeBody,
    OpenBody,
    RoleBody,
)
from drd.api.incident_scope import scope_document
from drd.api.obligation_acts import ObligationBody, ObligationsQuery, record, shown
from drd.api.requested import AdmittedRequest, AnswerFunction
from drd.api.rights import Right
from drd.api.values import Document
from drd.config.intake import mapping_of
from drd.config.regimes import regimes_of
from drd.config.zones import local_zone
from drd.errors import ConfigError, UnknownPlan
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.intake import Result
from drd.flows.incidents.writing import Desk
from drd.model.incidents.entries import Author
from drd.model.incidents.incident import Incident
from drd.ports.intake import TooMany

ONLY = "only"
"""In the path of a request: the only incident that is open."""
_TO_ANSWER_S = 1.0
"""Seconds that are kept to send the answer."""
_of_readers = threading.Lock()
"""Of users who may only report, one message of alerts is processed at a time."""


def _listed(asked: AdmittedRequest) -> Document:
    query, app = asked.of(IncidentsQuery), asked.app
    found = app.catalogue.incidents.newest(closed=query.all, limit=query.limit)
    told = [i if may_read(asked.caller, i, app.settings) else without_contents(i) for i in found]
    return {"incidents": [incident_document(i) for i in told]}


def _shown(asked: AdmittedRequest) -> Document:
    local, zone = asked.of(IncidentQuery).local, local_zone(asked.app.settings.timezone)
    incident, app = _readable(asked, _number(asked)), asked.app
    entries = readable_entries(app.catalogue, asked.caller, incident, app.settings)
    return shown_document(app, incident, zone if local else UTC, entries)


def _reached(asked: AdmittedRequest) -> Document:
    """By the plans in force: the daemon reads no other files for a request."""
    incident = _readable(asked, _number(asked))
    plans = {}
    for name in asked.app.catalogue.plans.names():
        with suppress(UnknownPlan, ConfigError):
            plans[name] = asked.app.plans.in_force(name)
    return scope_document(incident, plans)


def _opened(asked: AdmittedRequest) -> Document:
    body = asked.of(OpenBody)
    if body.report is not None:
        _readable(asked, body.report)
    return incident_document(opened(asked.app, _author(asked, body), body))


def _taken_in(asked: AdmittedRequest) -> Document:
    """Of operators alerts open incidents; of others they are suspicions, apart from all others."""
    if asked.caller.may(Right.OPERATE):
        return _taken(asked, of="").document()
    if not _of_readers.acquire(blocking=False):
        raise TooMany("drd reads the alerts of another request", hint="send it again.")
    try:
        result = _taken(asked, of=asked.caller.user)
    finally:
        _of_readers.release()
    if result.left_out and not (result.reported or result.updated):
        raise TooMany(
            f"no alert was taken: {asked.caller.user} has sent too many within a minute, or has "
            "reported too many suspicions that nobody has examined yet",
            hint="send it again in a minute; or ask an operator to examine them: drd incident list",
        )
    return result.document()


def _taken(asked: AdmittedRequest, of: str) -> Result:
    body, app = asked.of(IntakeBody), asked.app
    return take_in(
        app,
        _author(asked, body),
        body.message.encode("utf-8", "surrogatepass"),
        mapping=mapping_of(body.mapping) if body.mapping is not None else None,
        scope=body.plans,
        of=of,
        may_add=lambda one: may_act(app.catalogue, asked.caller, one, app.settings),
        ends_at=asked.ends_at - _TO_ANSWER_S,
    )


def _acted(verb: str) -> AnswerFunction:
    takes, act = ACTS[verb]

    def answer(asked: AdmittedRequest) -> Document:
        body, number = asked.of(takes), _number(asked)
        incident = _readable(asked, number)
        if isinstance(body, AssignBody | RoleBody):
            app = asked.app
            require_may_admit(app.catalogue, asked.caller, incident, app.settings)
        if isinstance(body, MergeBody):
            _readable(asked, body.into)
        said = _author(asked, body, left_out=asked.names["incident"] == ONLY)
        zone = local_zone(asked.app.settings.timezone)
        desk = Desk(asked.app.catalogue, number, said, zone)
        return acted_document(act(asked.app, desk, body), desk)

    return answer


def _number(asked: AdmittedRequest) -> int:
    given = asked.names["incident"]
    return chosen(asked.app.catalogue, None if given == ONLY else int(given))


def _readable(asked: AdmittedRequest, number: int) -> Incident:
    app = asked.app
    return require_access(app.catalogue, asked.caller, number, app.settings)


def _author(asked: AdmittedRequest, body: Act, *, left_out: bool = False) -> Author:
    """Return who acts: the kernel says which user, `by` is what this user says."""
    name = asked.caller.name(body.by, asked.app.settings)
    return Author(name, asked.app.clock.now(), asked.caller.actor(body.by), left_out)


def _obligations(asked: AdmittedRequest) -> Document:
    number = _readable(asked, _number(asked)).number
    return shown(asked.app, number, regimes_of(asked.app.settings), asked.of(ObligationsQuery))


def _obligation(asked: AdmittedRequest) -> Document:
    body, app = asked.of(ObligationBody), asked.app
    number = _readable(asked, _number(asked)).number

    def desk() -> Desk:
        left_out = asked.names["incident"] == ONLY
        said = _author(asked, body, left_out=left_out)
        return Desk(app.catalogue, number, said, local_zone(app.settings.timezone))

    said = record(app, regimes_of(app.settings), body, desk)
    return {"incident": number, "times": said.times, "warnings": said.warnings}


INCIDENT_ANSWERS: dict[str, AnswerFunction] = {
    "incidents": _listed,
    "incident": _shown,
    "incident-reach": _reached,
    "obligations": _obligations,
    "incident-obligation": _obligation,
    "incident-open": _opened,
    "incident-intake": _taken_in,
    **{f"incident-{verb}": _acted(verb) for verb in ACTS},
}
"""The functions that answer, by the name of the endpoint."""
