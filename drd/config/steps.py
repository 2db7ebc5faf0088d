"""The schema of runbooks: one model for each kind of step, with the keys that all of them have."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    WithJsonSchema,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from drd.actions.settings import Rehearsed, StepSettings, Text, short
from drd.config.registry_fields import union
from drd.fields import Duration, Name, Settings
from drd.model.malformed import Malformed
from drd.ports.action import ActionKind
from drd.registry import ACTIONS

NAME_RULE = "lower-case letters, digits and hyphens, at most 40"


def _names(value: Any) -> Any:
    if value == "all":
        return value
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return value
    raise Malformed("is neither `all` nor a list", "write `all`, or names in brackets: [a, b]")


Names = Annotated[
    list[str] | Literal["all"],
    BeforeValidator(_names),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "all"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _OneOrMore:
    """A text, or a list of them."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Any:
        listed = handler(core)
        return {"anyOf": [listed["items"], listed]}


Texts = Annotated[list[str], Field(min_length=1), BeforeValidator(_one_or_more), _OneOrMore()]

StepEnd = Literal["succeeded", "failed", "skipped"]
Ends = Annotated[list[StepEnd], Field(min_length=1), BeforeValidator(_one_or_more), _OneOrMore()]


class ApproveSettings(StepSettings):
    """A person of this role must approve: `drd approve RUN STEP --by NAME`. A drill grants the
    approval itself, and reports that."""

    by: str = Field(
        min_length=1,
        description="The role that the approving person must have under `people` in drd.yaml.",
    )
    why: str = Field(
        "", description="Text for the approver: what the recovery does after the approval."
    )
    expires: Duration | None = Field(
        None, description="The step fails if nobody approves it within this time."
    )
    two_person: bool = Field(
        False,
        description="If true, the person who started the recovery cannot approve this step: "
        "another person must. drd identifies both persons by the user accounts "
        "that the kernel reports. It refuses root, and drd's own user, without "
        "a login, because drd cannot know which person uses them. The rule also "
        "applies to a recovery of single tables or paths.",
    )

    def all_texts(self) -> Iterator[Text]:
        yield ("why",), self.why


class ManualSettings(Rehearsed):
    """A task that a person does and reports: `drd done RUN STEP --by NAME`. Drills skip it unless
    they simulate it."""

    do: str = Field(
        min_length=1,
        description="What the person must do, written for somebody who has never done it.",
    )
    by: str | None = Field(
        None,
        min_length=1,
        description="The role that the person must have. Without a role, anybody under `people` in "
        "drd.yaml can report the step as done.",
    )
    expires: Duration | None = Field(
        None,
        description="The step fails if nobody reports it as done within this time.",
    )

    def all_texts(self) -> Iterator[Text]:
        yield ("do",), self.do


class NotifySettings(Rehearsed):
    """A message to people. A recovery sends it through the channels in drd.yaml whose `on` contains
    `recovery`. A drill uses the channels whose `on` contains `drill`, and the message says that
    this is a drill."""

    message: str = Field(min_length=1, max_length=2000, description="The text of the message.")
    severity: Literal["critical", "warning", "info"] = Field(
        "info", description="The severity of the message."
    )

    def all_texts(self) -> Iterator[Text]:
        yield ("message",), self.message


class WaitSettings(Rehearsed):
    """Wait for some time."""

    time: Duration = Field(alias="for", description="How long the step waits, for example `30s`.")


class _OrText:
    """Adds to the JSON Schema that a text alone may replace these settings."""

    def __init__(self, model: type[Settings]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        own = self._model.model_json_schema(by_alias=True)
        own.pop("$defs", None)
        named = {**own, "title": self._model.__name__}
        return {"anyOf": [{"type": "string", "minLength": 1}, named]}


Manual = Annotated[ManualSettings, short("do"), _OrText(ManualSettings)]
Notify = Annotated[NotifySettings, short("message"), _OrText(NotifySettings)]
Wait = Annotated[WaitSettings, short("for"), _OrText(WaitSettings)]
"""Each of these may be written as a text alone."""


class WhenKeys(Settings):
    """The condition for a step; all given keys must match."""

    scenario: Texts | None = Field(
        None, description="Execute the step only in one of these scenarios."
    )
    target: Texts | None = Field(
        None,
        description="Execute the step only for one of these targets. The target of a drill is "
        "called `sandbox`, the target of a recovery with --in-place is called `in-place`.",
    )
    step: str | None = Field(
        None,
        description="Name of an earlier step of this runbook that must have ended before this "
        "step starts. `is` names the state in which it must have ended.",
    )
    ended: Ends | None = Field(
        None,
        alias="is",
        description="The state, or a list of the states, in which the step named by `step` must "
        "have ended (default: `succeeded`).",
    )


class Rollback(Settings):
    """The command that rolls a step back."""

    run: list[str] = Field(
        min_length=1,
        description="The program and its arguments, as a list; drd does not use a shell.",
    )
    timeout: Duration = Field(
        300.0,
        description="Time limit. drd ends a command that takes longer, and counts it as failed.",
    )


def _rollback(value: Any) -> Any:
    return {"run": value} if isinstance(value, list) else value


class _OrWords:
    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Any:
        words = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return {"anyOf": [words, handler(core)]}


class StepKeys(Rehearsed):
    """Keys of every step."""

    kind: ClassVar[str] = ""

    name: Name | None = Field(
        None,
        description="The name of the step, as `drd approve` and other commands take it: "
        f"{NAME_RULE}.",
    )
    needs: list[str] | None = Field(
        None,
        description="Earlier steps that must have ended before this one begins (default: all of "
        "them). `[]`: the step begins at once.",
    )
    group: Name | None = Field(
        None, description="drd executes neighbouring steps of the same group at the same time."
    )
    when: WhenKeys | None = Field(
        None, description="The condition for executing the step (default: always)."
    )
    retries: Annotated[int, Field(strict=True, ge=0, le=1000)] = Field(
        0, description="How often drd tries the step again after a failure."
    )
    pause: Duration = Field(5.0, description="The time between two tries.")
    timeout: Duration | None = Field(
        None,
        description="Time limit of one try of the step. Steps of kind restore and check do not "
        "take this key. Defaults: 1h for commands, 30s for requests, 5m for SQL.",
    )
    on_failure: Literal["abort", "continue", "ask"] | None = Field(
        None,
        description="What drd does after the step has failed. `abort`: no other step begins. "
        "`continue`: drd continues as after a success, and reports the failure. `ask`: drd waits "
        "until a person types `drd retry` or `drd skip`. Default: `continue` for notify, `abort` "
        "for all others; but after a failed restore or check, other restores and checks still "
        "begin.",
    )
    rollback: Annotated[Rollback, BeforeValidator(_rollback), _OrWords()] | None = Field(
        None, description="The command that rolls the step back: `drd rollback RUN` executes it."
    )
    repeat: bool = Field(
        True,
        description="Whether drd may repeat the step after a crash interrupted it. `false`: drd "
        "asks a person, as with `on_failure: ask`.",
    )


KEYS_OF_EVERY_STEP = frozenset(info.alias or name for name, info in StepKeys.model_fields.items())
"""The keys of every step, in the spelling of a plan."""


class RestoreStep(StepKeys):
    """Restore components, in parallel where possible."""

    kind: ClassVar = "restore"

    restore: Names = Field(description="Names of the components to restore, or `all`.")


class CheckStep(StepKeys):
    """Run checks on the restored data. The step fails if a check fails or cannot run."""

    kind: ClassVar = "check"

    check: Names = Field(description="Names of the checks to run, or `all`.")


class ApproveStep(StepKeys):
    """Wait until a person of a role agrees."""

    kind: ClassVar = "approve"

    approve: ApproveSettings = Field(
        description="Who must approve, and what the recovery does after the approval."
    )


class WaitStep(StepKeys):
    """Wait for some time."""

    kind: ClassVar = "wait"

    wait: Wait = Field(description="How long the step waits, for example `wait: 30s`.")


class NotifyStep(StepKeys):
    """Tell people something."""

    kind: ClassVar = "notify"

    notify: Notify = Field(description="The message: a text, or a text with its severity.")


class ManualStep(StepKeys):
    """Wait until a person has done something."""

    kind: ClassVar = "manual"

    manual: Manual = Field(description="What a person must do: a text, or a text with the role.")


_BEFORE, _AFTER = (
    {step.kind: step for step in steps}
    for steps in (
        (RestoreStep, CheckStep),
        (ApproveStep, WaitStep, NotifyStep, ManualStep),
    )
)
"""The actions that the engine of runbooks carries out itself. In lists, the other actions are
between them."""

ENGINE_STEPS = (*_BEFORE, *_AFTER)


@cache
def _step_of(spec: ActionKind) -> type[StepKeys]:
    """Return the model of a step that an action carries out."""
    own: dict[str, Any] = {spec.name: (spec.settings, Field(description=spec.about))}
    name = f"{spec.name.title().replace('_', '')}Step"
    model = create_model(name, __base__=StepKeys, __doc__=spec.summary, **own)
    model.kind = spec.name
    return model


def step_kinds() -> tuple[str, ...]:
    return (*_BEFORE, *ACTIONS.names, *_AFTER)


def step_model(kind: str) -> type[StepKeys]:
    """Return the model of a step of this kind."""
    return _BEFORE.get(kind) or _AFTER.get(kind) or _step_of(ACTIONS[kind])


def step_kind(value: Any) -> str | None:
    """Return the first key that says of which kind a step is."""
    if not isinstance(value, dict):
        return None
    known = (k for k in value if k in _BEFORE or k in _AFTER or k in ACTIONS)
    return next(known, None)


class _OfItsKey:
    """A step, whose own key says of which kind it is."""

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validated)

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        models = [Annotated[step_model(kind), Tag(kind)] for kind in step_kinds()]
        return handler(union(models, discriminator=Discriminator(step_kind)))

    def _validated(self, value: Any) -> StepKeys:
        kind = step_kind(value)
        if kind is None:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": "step_kind()"})
        return step_model(kind).model_validate(value)


AnyStep = Annotated[StepKeys, _OfItsKey()]
