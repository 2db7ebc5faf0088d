"""The file of answers, with which an exercise is played without a terminal."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from drd.config.json_schema import SchemaView
from drd.config.paths import NOT_A_MAPPING
from drd.config.problems import Report, nearest
from drd.config.reading import read_bytes
from drd.config.translation import translate
from drd.config.yaml import read
from drd.errors import ConfigError
from drd.fields import Duration, Settings
from drd.model.exercises.exercise import Exercise

Text = Annotated[str, Field(max_length=4000)]
_WORDS = {True: "yes", False: "no"}


def _word(value: Any) -> Any:
    """Return the word that a person typed, where YAML reads it as a boolean or a number."""
    if isinstance(value, bool):
        return _WORDS[value]
    return str(value) if isinstance(value, int) else value


def _answer(value: Any) -> Any:
    value = _word(value)
    return {"answer": value} if isinstance(value, str) else value


def _judgement(value: Any) -> Any:
    value = _word(value)
    return {"met": value} if isinstance(value, str) else value


class AnswerSettings(Settings):
    """An answer or a decision. A text without keys is the answer."""

    answer: Annotated[Text, BeforeValidator(_word)] = Field(
        description="The answer. For a decision: the chosen option, or its number."
    )
    by: Text = Field("", description="Who gave the answer (default: who runs the exercise).")
    after: Duration | None = Field(
        None, description="How long after the inject people answered, for example `5m`."
    )


class JudgementSettings(Settings):
    """Whether an expectation was met. `yes`, `partly` or `no` without keys is enough."""

    met: Annotated[Literal["yes", "partly", "no"], BeforeValidator(_word)] = Field(
        description="Whether people did what was expected."
    )
    says: Text = Field("", description="What people did, or why they did not.")
    by: Text = Field("", description="Who says this (default: who runs the exercise).")
    after: Duration | None = Field(None, description="How long after the inject people did it.")


class AnswersFile(Settings):
    """What people said in an exercise."""

    answers: dict[str, Annotated[AnswerSettings, BeforeValidator(_answer)]] = Field(
        default_factory=dict, description="The answers and decisions, by the name of the question."
    )
    expect: dict[str, Annotated[JudgementSettings, BeforeValidator(_judgement)]] = Field(
        default_factory=dict, description="Whether each expectation was met, by its name."
    )
    notes: list[Text] = Field(
        default_factory=list, description="Notes, for example who decided what."
    )
    improve: list[Text] = Field(
        default_factory=list, description="What should change after the exercise."
    )


def load_answers(file: Path, exercise: Exercise) -> AnswersFile:
    """Read a file of answers to an exercise. Raises ConfigError with every problem."""
    report = Report(read(read_bytes(file, what="file of answers")[0], str(file), allow_empty=True))
    data = {} if report.data is None else report.data
    if not isinstance(data, dict):
        report.error((), "is not a mapping", NOT_A_MAPPING)
        raise ConfigError(report.errors)
    try:
        answers = AnswersFile.model_validate(data)
    except ValidationError as error:
        translate(error, report, SchemaView(AnswersFile), data=data)
        raise ConfigError(report.errors) from None
    _known(report, "answers", answers.answers, [q.name for q in exercise.questions])
    by_people = [e.name for e in exercise.expectations if not e.run]
    _known(report, "expect", answers.expect, by_people)
    if report.errors:
        raise ConfigError(report.errors)
    return answers


def _known(report: Report, key: str, given: Collection[str], known: list[str]) -> None:
    for name in given:
        if name not in known:
            message = f'the exercise does not have a question "{name}"'
            if key != "answers":
                message = f'the exercise does not have an expectation "{name}" that people judge'
            report.error((key, name), message, nearest(name, known), of_key=True)
