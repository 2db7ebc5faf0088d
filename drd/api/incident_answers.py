"""The answers to requests about incidents."""

from __future__ import annotations

import threading
from datetime import UTC
from functools import partial

from drd.api.action_acts import ActionsQuery
from drd.api.action_documents import listed
from drd.api.clean_points import CleanPointsQuery, clean_points_document
from drd.api.incident_access import (
    may_read,
    readable_entries,
    require_may_admit,
    without_contents,
)
from drd.api.incident_acts import ACTS, acted_document, opened
from drd.api.incident_asked import author_of, desk_of, number_of, plans_in_force, readable
from drd.api.incident_documents import incident_document
from drd.api.incident_intake import take_in
from drd.api.incident_page import collected, page
from drd.api.incident_postmortem import postmortem_document, reviewed
from drd.api.incident_reading import shown_document
from drd.api.incident_requests import (
    AssignBody,
    IncidentQuery,
    IncidentsQuery,
    IntakeBody,
    MergeBody,
    OpenBody,
    RoleBody,
)
from drd.api.incident_scope import scope_document
from drd.api.message_answers import MESSAGE_ANSWERS
from drd.api.obligation_acts import ObligationBody, ObligationsQuery, record, shown
from drd.api.requested import AdmittedRequest, AnswerFunction
from drd.api.rights import Right
from drd.api.values import Document
from drd.config.intake import mapping_of
from drd.config.regimes import regimes_of
from drd.config.zones import local_zone
from drd.flows.incidents.actions import with_items
from drd.flows.incidents.bounces import Returned
from drd.flows.incidents.intake import Result
from drd.ports.intake import TooMany

_TO_ANSWER_S = 1.0
"""Seconds that are kept to send the answer."""
_of_readers = threading.Lock()
"""Locked while a message of alerts from a user who may only report is processed: one at a time."""


def _listed(asked: AdmittedRequest) -> Document:
    query, app = asked.of(IncidentsQuery), asked.app
    newest = app.catalogue.incidents.newest(closed=query.all, limit=query.limit)
    told = [i if may_read(asked.caller, i, app.settings) else without_contents(i) for i in newest]
    return {"incidents": [incident_document(i) for i in told]}


def _shown(asked: AdmittedRequest) -> Document:
    local, zone = asked.of(IncidentQuery).local, local_zone(asked.app.settings.timezone)
    incident, app = readable(asked, number_of(asked)), asked.app
    entries = readable_entries(app.catalogue, asked.caller, incident, app.settings)
    return shown_document(app, incident, zone if local else UTC, entries)


def _reached(asked: AdmittedRequest) -> Document:
    app, incident = asked.app, readable(asked, number_of(asked))
    entries = readable_entries(app.catalogue, asked.caller, incident, app.settings)
    return scope_document(app.catalogue, incident, plans_in_force(asked), entries)


def _clean_points(asked: AdmittedRequest) -> Document:
    app, incident, query = asked.app, readable(asked, number_of(asked)), asked.of(CleanPointsQuery)
    entries = readable_entries(app.catalogue, asked.caller, incident, app.settings)
    return clean_points_document(app, incident, entries, plan=query.plan, everything=query.all)


def _page(asked: AdmittedRequest) -> Document:
    app, incident = asked.app, readable(asked, number_of(asked))
    entries = readable_entries(app.catalogue, asked.caller, incident, app.settings)
    made = page(collected(app, incident, entries, plans_in_force(asked)))
    return {"incident": incident.number, "html": made.decode()}


def _postmortem(asked: AdmittedRequest) -> Document:
    app, incident = asked.app, readable(asked, number_of(asked))
    entries = readable_entries(app.catalogue, asked.caller, incident, app.settings)
    return postmortem_document(reviewed(app, incident, entries, plans_in_force(asked)))


def _actions(asked: AdmittedRequest) -> Document:
    app, number = asked.app, asked.of(ActionsQuery).incident
    if number is not None:
        return listed([readable(asked, number)], every=True)
    incidents = with_items(app.catalogue)
    return listed([i for i in incidents if may_read(asked.caller, i, app.settings)], every=False)


def _opened(asked: AdmittedRequest) -> Document:
    body = asked.of(OpenBody)
    if body.report is not None:
        readable(asked, body.report)
    return incident_document(opened(asked.app, author_of(asked, body), body))


def _taken_in(asked: AdmittedRequest) -> Document:
    """Of operators alerts open incidents; of others they are suspicions, apart from all others."""
    if asked.caller.may(Right.OPERATE):
        return _taken(asked, of="").document()
    if not _of_readers.acquire(blocking=False):
        raise TooMany(
            "drd is still reading the alerts of another request",
            hint="send the alerts again in a few seconds.",
        )
    try:
        result = _taken(asked, of=asked.caller.user)
    finally:
        _of_readers.release()
    assert isinstance(result, Result), "of a user who may only report, there is nothing else"
    if result.left_out and not (result.reported or result.updated):
        raise TooMany(
            f"drd accepted no alert of this message: {asked.caller.user} has sent too many alerts "
            "within a minute, or has reported too many suspicions that nobody has examined yet",
            hint="send the alerts again in a minute. If that does not help, ask an "
            "operator to examine these reports: drd incident list",
        )
    return result.document()


def _taken(asked: AdmittedRequest, of: str) -> Result | Returned:
    body, app = asked.of(IntakeBody), asked.app
    return take_in(
        app,
        author_of(asked, body),
        body.message.encode("utf-8", "surrogatepass"),
        mapping=mapping_of(body.mapping) if body.mapping is not None else None,
        scope=body.plans,
        of=of,
        may_add=lambda one: may_read(asked.caller, one, app.settings),
        ends_at=asked.ends_at - _TO_ANSWER_S,
    )


def _acted(verb: str) -> AnswerFunction:
    takes, act = ACTS[verb]

    def answer(asked: AdmittedRequest) -> Document:
        body, number = asked.of(takes), number_of(asked)
        incident = readable(asked, number)
        if isinstance(body, AssignBody | RoleBody):
            app = asked.app
            require_may_admit(app.catalogue, asked.caller, incident, app.settings)
        if isinstance(body, MergeBody):
            readable(asked, body.into)
        desk = desk_of(asked, body, number)
        return acted_document(act(asked.app, desk, body), desk)

    return answer


def _obligations(asked: AdmittedRequest) -> Document:
    app, incident = asked.app, readable(asked, number_of(asked))
    entries = readable_entries(app.catalogue, asked.caller, incident, app.settings)
    query, regimes = asked.of(ObligationsQuery), regimes_of(app.settings)
    return shown(app, incident.number, regimes, query, entries)


def _obligation(asked: AdmittedRequest) -> Document:
    body, app = asked.of(ObligationBody), asked.app
    number = readable(asked, number_of(asked)).number
    desk = partial(desk_of, asked, body, number)
    said = record(app, regimes_of(app.settings), body, desk)
    return {"incident": number, "times": said.times, "warnings": said.warnings}


INCIDENT_ANSWERS: dict[str, AnswerFunction] = {
    "incidents": _listed,
    "incident": _shown,
    "incident-reach": _reached,
    "incident-clean-points": _clean_points,
    "incident-page": _page,
    "incident-postmortem": _postmortem,
    "actions": _actions,
    "obligations": _obligations,
    "incident-obligation": _obligation,
    "incident-open": _opened,
    "incident-intake": _taken_in,
    **{f"incident-{verb}": _acted(verb) for verb in ACTS},
    **MESSAGE_ANSWERS,
}
"""The functions that answer, by the name of the endpoint."""
