"""What a plan says about the steps of a runbook that do something beside restore and check."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from drd.fields import AbsolutePath, Duration, Settings

Words = Annotated[list[str], Field(min_length=1)]


class Rehearsed(Settings):
    """How a drill carries the step out; may stand beside the step's kind as well."""

    rehearse: Literal["run", "simulate", "skip"] | None = Field(
        None,
        description="What a drill does: `run` the step as a recovery does (unless said otherwise), "
        "`simulate` it by the command in `with`, or `skip` it for the `reason`.",
    )
    reason: str | None = Field(
        None, min_length=1, description="Why a drill skips the step; every drill names it."
    )
    stand_in: Words | None = Field(
        None, alias="with", description="The command that simulates the step; no shell."
    )


class Ready(Settings):
    """When something that was started counts as up."""

    http: str | None = Field(
        None,
        min_length=1,
        description="A URL that answers with 200 to 299; `/health` is meant below the step's "
        "`url`.",
    )
    command: Words | None = Field(None, description="A command that exits 0; no shell.")
    within: Duration = Field(60.0, description="How long that may take.")


class StartSettings(Rehearsed):
    """A service: a command of its own, or a unit of systemd."""

    command: Words | None = Field(
        None,
        description="The words of a program that stays in the foreground; no shell. drd leaves it "
        "running after a recovery, and ends it after a drill.",
    )
    unit: str | None = Field(
        None, min_length=1, description="A systemd unit of the host; no drill starts it."
    )
    port: int | None = Field(
        None, ge=1, le=65535, strict=True,
        description="The port that it listens on, `${port}` in its words; a drill takes a free "
                    "one.",
    )  # fmt: skip
    url: str | None = Field(
        None,
        min_length=1,
        description="Where it answers; with `port`, `http://127.0.0.1:${port}` unless said.",
    )
    env: dict[str, str] = Field(
        default_factory=dict, description="Variables of its environment; no secret belongs here."
    )
    ready: Ready | None = Field(None, description="When it counts as up; else at once.")
    known_as: str | None = Field(
        None,
        alias="as",
        pattern=r"^[a-z0-9-]{1,40}$",
        description="A name for its `url`: with `as: service`, other steps write `${service}`.",
    )


class StopSettings(Rehearsed):
    """What is to end: something that a step before has started, a unit, or whatever a command
    ends. Give one of them."""

    step: str | None = Field(None, description="The step that started it.")
    unit: str | None = Field(None, min_length=1, description="A systemd unit of the host.")
    command: Words | None = Field(None, description="A command that ends it; no shell.")


class CommandSettings(Rehearsed):
    """A command of your own; exit 0 is success. It gets no secret."""

    run: Words = Field(description="The command's words; no shell.")
    component: str | None = Field(
        None, description="It gets this one's address in its environment (PGHOST…, DRD_PATH)."
    )
    env: dict[str, str] = Field(
        default_factory=dict, description="Variables of its environment; no secret belongs here."
    )


class HttpSettings(Rehearsed):
    """A request to some service. It carries `Idempotency-Key`, the same in every try of a run."""

    url: str = Field(min_length=1, description="Where to; it follows no redirects.")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = Field(
        "GET", description="The method."
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Headers; no secret belongs here."
    )
    body: str | None = Field(None, description="What is sent, as UTF-8.")
    expect: int | list[int] | None = Field(
        None, description="The status that is success, or a list of them; else 200 to 299."
    )
    contains: str | None = Field(None, min_length=1, description="What the answer must contain.")
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of an own certificate authority."
    )


class SqlSettings(Rehearsed):
    """Statements in a database that came back, in one transaction: all of them or none."""

    component: str = Field(description="The database.")
    query: str = Field(
        min_length=1,
        description="SQL; what changes data is committed at the end. `${…}` is a string in it, "
        "with or without quotes around.",
    )


class ApproveSettings(Settings):
    """A person of this role has to agree: `drd approve RUN STEP --by NAME`. A drill agrees itself,
    and says so."""

    by: str = Field(min_length=1, description="The role, as `people` in drd.yaml has it.")
    why: str = Field("", description="What happens after it.")
    expires: Duration | None = Field(
        None, description="Without an approval in this time the step has failed."
    )
    two_person: bool = Field(
        False,
        description="Whether it has to be another person than the one who started the recovery, by "
        "what the kernel says of both (root without a login may be anybody, and is refused). It "
        "holds for the recovery of a part, too.",
    )


class ManualSettings(Rehearsed):
    """Something that a person does and ticks off: `drd done RUN STEP --by NAME`. Drills leave it
    out unless they simulate it."""

    do: str = Field(min_length=1, description="What is to be done, for somebody who never did it.")
    by: str | None = Field(
        None, min_length=1, description="The role; without one, anybody of `people`."
    )
    expires: Duration | None = Field(
        None, description="When it is not done in this time, the step has failed."
    )


class NotifySettings(Rehearsed):
    """A message to people, through the channels of drd.yaml that carry recoveries (in a drill those
    that carry drills, and the message says that it is one)."""

    message: str = Field(min_length=1, max_length=2000, description="What is told.")
    severity: Literal["critical", "warning", "info"] = Field("info", description="How grave it is.")


class Register(Settings):
    """Where erasures are written down: outside of what the plan restores. Give one of them."""

    file: AbsolutePath | None = Field(
        None, description="A text to which a line is added for each: a time (RFC 3339) and an id."
    )
    command: Words | None = Field(
        None,
        description="A command that prints the ids since `${data_time}`, one a line; no shell.",
    )


class Replay(Settings):
    """How they are erased again. Give one of them."""

    sql: str | None = Field(
        None,
        min_length=1,
        description="Statements, carried out in one transaction; the ids are in the table "
        "`drd_erased (id text)` meanwhile.",
    )
    command: Words | None = Field(
        None,
        description="A command that gets the ids on its standard input, one a line, and the "
        "component's address in its environment; no shell.",
    )


class StillThere(Settings):
    """What proves that nobody is back. Give one of them."""

    sql: str | None = Field(
        None,
        min_length=1,
        description="A query that counts who of `drd_erased` is still there: 0 passes.",
    )
    command: Words | None = Field(
        None, description="A command that gets the same as that of `replay`; exit 0 passes."
    )


class ErasuresSettings(Settings):
    """Who was erased after the restore point was made is erased again, and nobody is back: a step
    of the runbook, which drills rehearse, with a check as its result. Where the runbook has no step
    `erasures`, it comes after the restore of the component and the checks that follow it."""

    component: str = Field(description="The component that they are erased from.")
    register_: Register = Field(alias="register", description="Who was erased, and when.")
    replay: Replay = Field(description="How they are erased again.")
    check: StillThere = Field(description="What proves that nobody is back.")


class WaitSettings(Rehearsed):
    """Let some time pass."""

    time: Duration = Field(alias="for", description="How long.")


def _short(key: str) -> BeforeValidator:
    def read(value: Any) -> Any:
        return {key: value} if isinstance(value, str) else value

    return BeforeValidator(read)


def _or_text(model: type[Settings], title: str) -> WithJsonSchema:
    own = model.model_json_schema(by_alias=True)
    own.pop("$defs", None)
    return WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {**own, "title": title}]})


Manual = Annotated[ManualSettings, _short("do"), _or_text(ManualSettings, "ManualSettings")]
Notify = Annotated[NotifySettings, _short("message"), _or_text(NotifySettings, "NotifySettings")]
Wait = Annotated[WaitSettings, _short("for"), _or_text(WaitSettings, "WaitSettings")]
"""Each of these may be written as a text alone."""
