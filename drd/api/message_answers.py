"""The answers to requests about messages of incidents."""

from __future__ import annotations

from functools import partial

from drd.api.incident_asked import desk_of, number_of, plans_in_force, readable
from drd.api.incident_requests import Act
from drd.api.message_acts import COMPOSING, MESSAGE_ACTS, ComposeBody, Outbox, kept, listed
from drd.api.requested import AdmittedRequest, AnswerFunction
from drd.api.values import Document


def _listed(asked: AdmittedRequest) -> Document:
    return listed(asked.app, readable(asked, number_of(asked)).number)


def _kept(asked: AdmittedRequest) -> Document:
    number = readable(asked, number_of(asked)).number
    return kept(asked.app, number, int(asked.names["message"]))


def _outbox(asked: AdmittedRequest, body: Act) -> Outbox:
    app, incident = asked.app, readable(asked, number_of(asked))
    return Outbox(
        app,
        desk_of(asked, body, incident.number),
        partial(plans_in_force, asked),
        asked.caller.people(body.by, app.settings),
    )


def _composed(verb: str) -> AnswerFunction:
    def answer(asked: AdmittedRequest) -> Document:
        body = asked.of(ComposeBody)
        return COMPOSING[verb](_outbox(asked, body), body)

    return answer


def _acted(verb: str) -> AnswerFunction:
    takes, act = MESSAGE_ACTS[verb]

    def answer(asked: AdmittedRequest) -> Document:
        body = asked.of(takes)
        told = act(_outbox(asked, body), int(asked.names["message"]), body)
        asked.wake()  # what was handed over leaves now
        return told

    return answer


MESSAGE_ANSWERS: dict[str, AnswerFunction] = {
    "messages": _listed,
    "message": _kept,
    **{f"message-{verb}": _composed(verb) for verb in COMPOSING},
    **{f"message-{verb}": _acted(verb) for verb in MESSAGE_ACTS},
}
"""The functions that answer, by the name of the endpoint."""
