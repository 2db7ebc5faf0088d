"""The schema of runbooks: one model for each kind of step, with the keys that all of them have."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from drd.actions.settings import (
    ApproveSettings,
    CommandSettings,
    HttpSettings,
    Manual,
    Notify,
    Rehearsed,
    SqlSettings,
    StartSettings,
    StopSettings,
    Wait,
)
from drd.fields import Duration, Settings
from drd.model.plan import NAME

NAME_RULE = "lower-case letters, digits and hyphens, at most 40"

Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]


def _names(value: Any) -> Any:
    if value == "all":
        return value
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return value
    raise ValueError("takes `all` or a list of names; write `all`, or like [orders-db, gateway]")


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

End = Literal["succeeded", "failed", "skipped"]
Ends = Annotated[list[End], Field(min_length=1), BeforeValidator(_one_or_more), _OneOrMore()]


class WhenKeys(Settings):
    """When a step is carried out; all that is given has to hold."""

    scenario: Texts | None = Field(None, description="In one of these scenarios only.")
    target: Texts | None = Field(
        None,
        description="Into one of these targets only; a drill's is called `sandbox`, a recovery's "
        "with --in-place `in-place`.",
    )
    step: str | None = Field(None, description="A step that has ended by then.")
    ended: Ends | None = Field(
        None, alias="is", description="How that one has ended (`succeeded` unless said)."
    )


class Rollback(Settings):
    """The command that takes a step back."""

    run: list[str] = Field(min_length=1, description="The command's words; no shell.")
    timeout: Duration = Field(300.0, description="After this it is ended and has failed.")


def _rollback(value: Any) -> Any:
    return {"run": value} if isinstance(value, list) else value


class _OrWords:
    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Any:
        words = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return {"anyOf": [words, handler(core)]}


class StepKeys(Rehearsed):
    """Keys of every step."""

    name: Name | None = Field(None, description=f"What commands call this step: {NAME_RULE}.")
    needs: list[str] | None = Field(
        None,
        description="Steps above that must have ended before it begins; else all of them. `[]`: "
        "it begins at once.",
    )
    group: Name | None = Field(
        None, description="Neighbours of the same group are carried out side by side."
    )
    when: WhenKeys | None = Field(None, description="A condition; else it is always carried out.")
    retries: Annotated[int, Field(strict=True, ge=0, le=1000)] = Field(
        0, description="How often it is tried again when it fails."
    )
    pause: Duration = Field(5.0, description="The time between two tries.")
    timeout: Duration | None = Field(
        None,
        description="After this a try has failed. Not for restore and check; commands have 1h, "
        "requests 30s and SQL 5m unless said.",
    )
    on_failure: Literal["abort", "continue", "ask"] | None = Field(
        None,
        description="`abort`: nothing begins any more; `continue`: as if it had succeeded, but it "
        "is told; `ask`: wait for a person, who says `drd retry` or `drd skip`. Unless said: "
        "`continue` for notify, `abort` for the rest, save that after a failed restore or check "
        "other restores and checks still begin.",
    )
    rollback: Annotated[Rollback, BeforeValidator(_rollback), _OrWords()] | None = Field(
        None, description="The command that takes it back: `drd rollback RUN` runs it."
    )
    repeat: bool = Field(
        True,
        description="Whether it may begin again after a crash in its midst. `false`: a person is "
        "asked, as in `on_failure: ask`.",
    )


KEYS_OF_EVERY_STEP = frozenset(info.alias or name for name, info in StepKeys.model_fields.items())
"""As a plan has them."""


class RestoreStep(StepKeys):
    """Bring components back, in parallel where that is possible."""

    restore: Names = Field(description="Components, or `all`.")


class CheckStep(StepKeys):
    """Run checks on what came back. It has failed when one of them did, or could not look."""

    check: Names = Field(description="Checks by name, or `all`.")


class StartStep(StepKeys):
    """Start a service, and wait until it is up."""

    start: StartSettings = Field(description="What, and when it is up.")


class StopStep(StepKeys):
    """Stop a service."""

    stop: StopSettings = Field(description="What.")


class CommandStep(StepKeys):
    """Run a command of your own."""

    command: CommandSettings = Field(description="What to run.")


class HttpStep(StepKeys):
    """Send a request, and look at the answer."""

    http: HttpSettings = Field(description="The request.")


class SqlStep(StepKeys):
    """Run SQL in a database that came back."""

    sql: SqlSettings = Field(description="Where, and what.")


class ApproveStep(StepKeys):
    """Wait until a person of a role agrees."""

    approve: ApproveSettings = Field(description="Who, and to what.")


class WaitStep(StepKeys):
    """Let some time pass."""

    wait: Wait = Field(description="How long: `wait: 30s`.")


class NotifyStep(StepKeys):
    """Tell people something."""

    notify: Notify = Field(description="What is told: a text, or with its severity.")


class ManualStep(StepKeys):
    """Wait until a person has done something."""

    manual: Manual = Field(description="What is to be done: a text, or with the role.")


class ErasuresStep(StepKeys):
    """Erase again who was erased since the restore point."""

    erasures: str = Field(description="The component, as `erasures` of the plan has it.")


STEPS: dict[str, type[StepKeys]] = {
    "restore": RestoreStep,
    "check": CheckStep,
    "start": StartStep,
    "stop": StopStep,
    "command": CommandStep,
    "http": HttpStep,
    "sql": SqlStep,
    "approve": ApproveStep,
    "wait": WaitStep,
    "notify": NotifyStep,
    "manual": ManualStep,
    "erasures": ErasuresStep,
}

STEP_KINDS = tuple(STEPS)


def step_kind(value: Any) -> str | None:
    """The first key that says of which kind a step is."""
    found = [kind for kind in value if kind in STEPS] if isinstance(value, dict) else []
    return found[0] if found else None


Step = Annotated[
    Annotated[RestoreStep, Tag("restore")]
    | Annotated[CheckStep, Tag("check")]
    | Annotated[StartStep, Tag("start")]
    | Annotated[StopStep, Tag("stop")]
    | Annotated[CommandStep, Tag("command")]
    | Annotated[HttpStep, Tag("http")]
    | Annotated[SqlStep, Tag("sql")]
    | Annotated[ApproveStep, Tag("approve")]
    | Annotated[WaitStep, Tag("wait")]
    | Annotated[NotifyStep, Tag("notify")]
    | Annotated[ManualStep, Tag("manual")]
    | Annotated[ErasuresStep, Tag("erasures")],
    Discriminator(step_kind),
]
