"""The answers about exercises over the socket."""

from __future__ import annotations

from collections.abc import Mapping

from drd.api.exercise_acts import ACTS, BeginBody, exercise_named, play_document
from drd.api.exercise_result import played_document
from drd.api.requested import AdmittedRequest, AnswerFunction
from drd.api.values import Document
from drd.flows.exercises.playing import Table, begin, find, played_ones
from drd.model.exercises.stored import exercise_to_json


def _listed(asked: AdmittedRequest) -> Document:
    return {"played": [played_document(one) for one in played_ones(asked.app.catalogue)]}


def _played(asked: AdmittedRequest) -> Document:
    return play_document(find(asked.app.catalogue, int(asked.names["exercise"])))


def _text(asked: AdmittedRequest) -> Document:
    return {"text": exercise_to_json(exercise_named(asked.app, asked.names["name"]))}


def _begun(asked: AdmittedRequest) -> Document:
    body, app = asked.of(BeginBody), asked.app
    by, actor = asked.caller.name(body.by, app.settings), asked.caller.actor(body.by)
    exercise = exercise_named(app, body.exercise)
    table = begin(app.catalogue, app.clock, exercise, by=by, actor=actor, speed=body.speed)
    return play_document(table.played)


def _acted(verb: str) -> AnswerFunction:
    takes, act = ACTS[verb]

    def answer(asked: AdmittedRequest) -> Document:
        body, app = asked.of(takes), asked.app
        played = find(app.catalogue, int(asked.names["exercise"]))
        by, actor = asked.caller.name(body.by, app.settings), asked.caller.actor(body.by)
        table = Table(app.catalogue, app.clock, played, by, actor)
        act(app, table, body)
        return play_document(table.played)

    return answer


EXERCISE_ANSWERS: Mapping[str, AnswerFunction] = {
    "exercises": _listed,
    "exercise": _played,
    "exercise-text": _text,
    "exercise-begin": _begun,
    **{f"exercise-{verb}": _acted(verb) for verb in ACTS},
}
