"""What people do in an exercise, for the command line and the socket alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from drd.api.exercise_result import played_document
from drd.api.requests import NAME, PersonName, Request
from drd.api.values import Document
from drd.bootstrap import App
from drd.config.exercises import exercises_of
from drd.config.playbooks import playbooks_of
from drd.errors import UsageError
from drd.flows.exercises.playing import LONGEST, Table
from drd.flows.playbooks.rehearsals import rehearsals
from drd.model.exercises.carried import played_to_json
from drd.model.exercises.exercise import Exercise, Expectation
from drd.model.exercises.played import MET, MISSED, PARTLY, Played
from drd.model.rehearsals import Rehearsal, first

FASTEST = 100_000
Seconds = Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)]
ItemName = Annotated[str, Field(pattern=NAME)]
Words = Annotated[str, Field(max_length=LONGEST)]
_ELAPSED = "Seconds on the clock of the exercise (default: unknown)."
_SPEAKER = "The name of the person at the table who said it (default: the person who types)."


class Typed(Request):
    """What every act contains."""

    by: PersonName | None = Field(
        None,
        description="Name of the person who types, if drd.yaml maps no person to your user. drd "
        "records the name but does not verify it.",
    )


class BeginBody(Typed):
    exercise: ItemName = Field(description="Name of the exercise.")
    speed: Annotated[float, Field(ge=0, le=FASTEST, allow_inf_nan=False)] | None = Field(
        None,
        description="How many times faster than in reality the clock runs; 0: no clock (default: "
        "the times are given with the answers).",
    )


class TellBody(Typed):
    inject: ItemName = Field(description="Name of the inject that people got.")
    elapsed_s: Seconds | None = Field(None, description=_ELAPSED)


class Spoken(Typed):
    text: Words = Field("", description="What was said.")
    elapsed_s: Seconds | None = Field(None, description=_ELAPSED)
    speaker: PersonName | None = Field(None, description=_SPEAKER)


class QuestionBody(Spoken):
    question: ItemName = Field(
        description="Name of the question or decision. Without `text`, people left it out."
    )


class JudgeBody(Spoken):
    expectation: ItemName = Field(description="Name of the expectation.")
    verdict: Literal["met", "partly", "missed"] = Field(description="Whether it was met.")


class NoteBody(Spoken):
    improves: bool = Field(False, description="True: the note says what should change.")


def exercise_named(app: App, name: str) -> Exercise:
    """Return an exercise of drd's or of drd.yaml. Raises UsageError, ConfigError."""
    return exercises_of(app.settings).get(name)


def play_document(played: Played) -> Document:
    """Return the result so far, and all that a terminal needs to go on."""
    return {**played_document(played), "play": played_to_json(played)}


def _tell(_: App, table: Table, body: TellBody) -> None:
    if body.inject not in {one.name for one in table.played.untold}:
        raise UsageError(
            f"exercise {table.played.number} has no inject {body.inject!r} that people did not get",
            hint=_see(table),
        )
    table.tell(body.inject, body.elapsed_s)


def _answer(_: App, table: Table, body: QuestionBody) -> None:
    played = table.played
    asked = {
        q.name: q for i in played.exercise.injects if i.name in played.told for q in i.questions
    }
    if body.question not in asked:
        raise UsageError(
            f"exercise {played.number} has not asked a question {body.question!r}",
            hint=_see(table),
        )
    question = asked[body.question]
    table.answer(question, body.text.strip(), body.elapsed_s, body.speaker or "")


def _judge(_: App, table: Table, body: JudgeBody) -> None:
    known = [e for e in table.played.to_judge if e.name == body.expectation and not e.run]
    if not known:
        raise UsageError(
            f"exercise {table.played.number} has no expectation {body.expectation!r} that people "
            "can judge now",
            hint=f"a run of a playbook is judged by drd. {_see(table)}",
        )
    table.judge(
        body.expectation,
        body.verdict,
        text=body.text,
        elapsed_s=body.elapsed_s,
        by=body.speaker or "",
    )


def _note(_: App, table: Table, body: NoteBody) -> None:
    table.note(body.text, body.elapsed_s, by=body.speaker or "", improves=body.improves)


def judge_runs(app: App, table: Table) -> None:
    """Judge each expectation with a playbook: was this playbook run since the exercise began?"""
    for expected in table.played.to_judge:
        if expected.run:
            found = _run_of(app, expected, table.played.begun_at)
            elapsed_s, verdict = None, MISSED
            if found is not None and found.counts:
                elapsed_s, verdict = _elapsed(table.played, expected, found.ended), MET
            text, run = _run_words(expected, found), found.run if found is not None else ""
            table.judge(expected.name, verdict, text=text, elapsed_s=elapsed_s, run=run, by="drd")


def _run_of(app: App, expected: Expectation, begun: datetime) -> Rehearsal | None:
    playbook = playbooks_of(app.settings).known.get(expected.run)
    if playbook is None:
        return None
    return first(rehearsals(app.catalogue, playbook, begun))


def _elapsed(played: Played, expected: Expectation, ended: datetime) -> float | None:
    """Return when a run ended. A run is real at every speed of the clock, so its seconds after the
    news are real ones. None if the exercise has no clock."""
    inject = played.inject_of(expected.name).name
    told, told_at = played.told[inject], played.told_at[inject]
    if told is None or not played.speed:
        return None
    return told + max((ended - told_at).total_seconds(), 0.0)


def _run_words(expected: Expectation, found: Rehearsal | None) -> str:
    if found is None:
        return f"nobody ran playbook {expected.run} to its end during the exercise"
    if found.counts:
        return f"run {found.run} executed every step of playbook {expected.run}"
    return f"run {found.run} of playbook {expected.run} does not count, because {found.lacks}"


def _see(table: Table) -> str:
    return f"see what was played: drd exercise report {table.played.number}"


assert (MET, PARTLY, MISSED) == ("met", "partly", "missed")

ACTS: Mapping[str, tuple[type[Typed], Callable[[App, Table, Any], None]]] = {
    "tell": (TellBody, _tell),
    "answer": (QuestionBody, _answer),
    "judge": (JudgeBody, _judge),
    "runs": (Typed, lambda app, table, _: judge_runs(app, table)),
    "note": (NoteBody, _note),
    "end": (Typed, lambda _, table, __: table.end()),
}
"""What can be done in an exercise, by its verb: what a request contains, and the function."""
