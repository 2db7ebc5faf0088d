"""The answers about training over the socket."""

from __future__ import annotations

from collections.abc import Mapping

from drd.api.incident_asked import plans_in_force
from drd.api.requested import AdmittedRequest, AnswerFunction
from drd.api.training_acts import (
    AttestBody,
    TextQuery,
    TrainingQuery,
    attested,
    overview,
    texts,
)
from drd.api.values import Document


def _training(asked: AdmittedRequest) -> Document:
    query = asked.of(TrainingQuery)
    plans = plans_in_force(asked)
    if query.plan is not None:
        plans = {query.plan: asked.app.plans.in_force(query.plan)}
    return overview(asked.app, plans, query.person)


def _texts(asked: AdmittedRequest) -> Document:
    return texts(asked.app, asked.of(TextQuery).text)


def _attest(asked: AdmittedRequest) -> Document:
    body, caller = asked.of(AttestBody), asked.caller
    return attested(asked.app, body.text, body.digest, body.by or "", caller.actor(body.by))


TRAINING_ANSWERS: Mapping[str, AnswerFunction] = {
    "training": _training,
    "training-texts": _texts,
    "training-attest": _attest,
}
