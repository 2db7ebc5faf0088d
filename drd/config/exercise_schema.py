"""The schema of exercises: one table-top exercise in one YAML file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from drd.fields import Contradiction, Duration, Name, Settings
from drd.model.malformed import Malformed
from drd.model.units import parse_duration

_LONG, _TEXT = 2000, 300
_LONGEST_S = 14 * 86400.0

ShortText = Annotated[str, Field(min_length=1, max_length=_TEXT)]
LongText = Annotated[str, Field(min_length=1, max_length=_LONG)]


def _moment(value: Any) -> float:
    if not isinstance(value, str):
        raise Malformed(
            f"{value!r} is not a time",
            "write a time after the begin of the exercise, for example 0m or 45m",
        )
    seconds = parse_duration(value)
    if not 0 <= seconds <= _LONGEST_S:
        raise Malformed(f"{value!r} is out of range", "write at most 14d")
    return seconds


Moment = Annotated[
    float,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "examples": ["0m", "15m", "1h30m"]}),
]


class QuestionSettings(Settings):
    """A question that people answer in their own words."""

    name: Name = Field(description="Name of the question, unique in the exercise.")
    ask: LongText = Field(description="The question.")
    role: ShortText | None = Field(None, description="The role that answers (default: anybody).")
    within: Duration | None = Field(
        None, description="The time after the inject in which people should answer."
    )
    words: list[ShortText] = Field(
        default_factory=list,
        max_length=20,
        description="The answer is right if it contains at least one of these words. Capital and "
        "small letters make no difference. Without `words`, every answer is right.",
    )
    explain: LongText | None = Field(
        None, description="What people should learn from the question. Only the result shows it."
    )


class DecisionSettings(Settings):
    """A decision: people choose one of the options."""

    name: Name = Field(description="Name of the decision, unique in the exercise.")
    ask: LongText = Field(description="What is to be decided.")
    options: list[ShortText] = Field(
        min_length=2, max_length=9, description="The options, of which people choose one."
    )
    right: list[ShortText] = Field(
        default_factory=list,
        description="The options that the exercise considers right. Without `right`, every option "
        "is right.",
    )
    role: ShortText | None = Field(None, description="The role that decides (default: anybody).")
    within: Duration | None = Field(
        None, description="The time after the inject in which people should decide."
    )
    explain: LongText | None = Field(
        None, description="What people should learn from the decision. Only the result shows it."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        if len(set(self.options)) != len(self.options):
            hint = "remove the second one."
            yield Contradiction(("options",), "the same option is written twice", hint)
        for at, option in enumerate(self.right):
            if option not in self.options:
                hint = "copy the text of one of `options` exactly."
                yield Contradiction(("right", at), f'"{option}" is not one of the options', hint)


class ExpectationSettings(Settings):
    """What people should do after the inject. They see it at the end of the exercise, and then say
    whether they did it."""

    name: Name = Field(description="Name of the expectation, unique in the exercise.")
    what: LongText = Field(
        description="What people should do, and how one can see that they did it."
    )
    within: Duration | None = Field(
        None,
        description="The time after the inject in which people should do it. For `run`, in real "
        "time: until the run has ended.",
    )
    run: Name | None = Field(
        None,
        description="The playbook that people should run against a stand-in. drd itself checks "
        "this: during the exercise, a run of the playbook must have executed every step.",
    )


class ConcernsSettings(Settings):
    """What an inject is about."""

    playbooks: list[Name] = Field(default_factory=list, description="Names of playbooks.")
    plans: list[Name] = Field(default_factory=list, description="Names of plans.")
    regimes: list[ShortText] = Field(
        default_factory=list, description="Duties to report: their ids in `drd obligations list`."
    )


class InjectSettings(Settings):
    """One piece of news, with its questions, decisions and expectations."""

    name: Name = Field(description="Name of the inject.")
    at: Moment = Field(
        description="When people get the inject, counted from the start of the exercise: `15m`."
    )
    tell: LongText = Field(description="The news that people are told.")
    role: ShortText | None = Field(
        None, description="The role that gets the inject (default: everybody)."
    )
    concerns: ConcernsSettings = Field(
        ConcernsSettings(),
        description="The playbooks, plans and duties to report that the inject is about.",
    )
    questions: list[QuestionSettings] = Field(
        default_factory=list, max_length=20, description="Questions, whose answers drd records."
    )
    decisions: list[DecisionSettings] = Field(
        default_factory=list, max_length=20, description="Decisions, which drd records."
    )
    expect: list[ExpectationSettings] = Field(
        default_factory=list, max_length=20, description="What people should do after the inject."
    )


class ExerciseFile(Settings):
    """A table-top exercise."""

    exercise: Name = Field(description="Name of the exercise, for `drd exercise run`.")
    title: ShortText = Field(description="Title of the exercise, in a few words.")
    about: LongText = Field(
        description="What people practise with the exercise, and what they need for it."
    )
    playbooks: list[Name] = Field(
        default_factory=list, max_length=20, description="The playbooks that the exercise is about."
    )
    roles: list[ShortText] = Field(
        default_factory=list, max_length=20, description="The roles that should take part."
    )
    sources: list[ShortText] = Field(
        default_factory=list,
        max_length=20,
        description="Public reports of the incidents that the exercise is made from.",
    )
    injects: list[InjectSettings] = Field(
        min_length=1, max_length=100, description="What people are told, in the order of `at`."
    )
