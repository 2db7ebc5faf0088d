"""Messages to one's own people that wait in the outbox, and must not leave any more."""

from __future__ import annotations

from drd.errors import UsageError
from drd.flows.incidents.messages import message_of
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.incident import Incident
from drd.model.incidents.letters import Place
from drd.model.incidents.messages import Act, IncidentMessage, objection
from drd.model.message import INCIDENT
from drd.ports import Catalogue, Clock
from drd.ports.notify import Closed, Waiting


def recall(catalogue: Catalogue, clock: Clock, row: Waiting) -> bool:
    """Close a message that was withdrawn or changed, or whose text was redacted, and record why.
    Returns whether it was closed; messages about other things never are."""
    if row.message.event != INCIDENT:
        return False
    try:
        place = Place.of(row.message)
        incident = catalogue.incidents.get(place.incident)
        message = message_of(catalogue, place.incident, place.message)
    except (KeyError, TypeError, ValueError, UsageError):
        return False  # not written by a person, or by an older drd
    why = _why(message, place, incident)
    if not why:
        return False
    now = clock.now()
    body = {
        "act": str(Act.REFUSED),
        "message": place.message,
        "recipient": place.recipient,
        "name": row.channel,
        "said": why,
    }
    made = draft(kinds.MESSAGE, place.incident, Author("drd", now), body)
    catalogue.incidents.add(place.incident, lambda _: [made], closed=Closed(row, now, why))
    return True


def _why(message: IncidentMessage, place: Place, incident: Incident) -> str:
    if incident.restricted:
        return "the incident is restricted, and others read this channel"
    return objection(message, place.digest)
