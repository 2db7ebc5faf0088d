"""The channels of drd.yaml (`notify`). Channels that carry messages have their keys in their own
modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from drd.fields import AbsolutePath, Duration, Secret, Settings
from drd.model.message import DEFAULT_EVENTS, Event, RunEvent, Urgency
from drd.model.plan import NAME


def _one_or_several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Globs = Annotated[
    list[str],
    BeforeValidator(_one_or_several),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]

Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]


class Named(Settings):
    """What every channel has."""

    if TYPE_CHECKING:
        kind: str

    name: Name | None = Field(
        None,
        description="The channel's name in messages, commands and alerts. Default: the kind "
        "and a number, like webhook-1.",
    )
    plans: Globs = Field(
        default_factory=list,
        description="The channel carries only messages about these plans: names or patterns, "
        "like orders-*. Default: messages about all plans and about the daemon itself.",
    )


class Carrier(Named):
    """A channel that carries messages."""

    on: list[Event] = Field(
        default=list(DEFAULT_EVENTS),
        min_length=1,
        description="What the channel reports: alerts that begin or end, and the ends of these "
        "kinds of runs.",
    )
    severity: list[Urgency] | None = Field(
        None, min_length=1, description="Only messages of these severities."
    )
    min_severity: Urgency | None = Field(
        None, description="Only messages of at least this severity; `info` means all messages."
    )


class UnavailableChannel(Carrier):
    """A channel whose package drd cannot use: it delivers nothing, and its messages wait."""

    model_config = ConfigDict(extra="ignore")

    kind: str


class HeartbeatSettings(Named):
    """A heartbeat, for a watcher elsewhere: POST to the URL, to URL/start and to URL/fail. For the
    runs of `plans`, or without any, for the daemon itself."""

    kind: Literal["heartbeat"]
    url: Secret = Field(description="The URL of the watcher, which gets the heartbeats.")
    on: list[RunEvent] = Field(
        default=["backup"],
        min_length=1,
        description="Which kinds of run of `plans` send heartbeats.",
    )
    every: Duration = Field(60.0, description="Time between two heartbeats of the daemon.")
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of your own certificate authority."
    )
    timeout: Duration = Field(10.0, description="Time limit of one try to send a heartbeat.")


class PlanHeartbeat(Settings):
    """A heartbeat for each run, for a watcher elsewhere that notices silence: POST to URL/start
    when it begins, to the URL when it succeeded, to URL/fail when it did not."""

    url: Secret = Field(description="The URL of the watcher, which gets the heartbeats.")
    on: list[RunEvent] = Field(
        default=["backup"],
        min_length=1,
        description="Which kinds of run send heartbeats. A watcher expects heartbeats at "
        "one interval, so choose only one kind.",
    )
