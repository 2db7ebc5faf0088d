"""What drd.yaml says about each kind of channel (`notify`)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from drd.fields import AbsolutePath, Duration, Secret, Settings
from drd.model.message import DEFAULT_EVENTS, Event, RunEvent, Severity
from drd.model.plan import NAME

_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f'"{text}" is no mail address; write it bare, like oncall@example.com')
    return text


Address = Annotated[str, AfterValidator(_address)]


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

    name: Name | None = Field(
        None,
        description="What messages, commands and alerts call it; by default its kind and a "
        "number, like webhook-1.",
    )
    plans: Globs = Field(
        default_factory=list,
        description="Plans by name or pattern, like orders-*. None: all, and the daemon itself.",
    )


class Carrier(Named):
    """A channel that carries messages."""

    on: list[Event] = Field(
        default=list(DEFAULT_EVENTS),
        min_length=1,
        description="What it wants to hear of: transitions of alerts, and ends of runs by kind.",
    )
    severity: list[Severity] | None = Field(
        None, min_length=1, description="Only messages of these severities."
    )
    min_severity: Severity | None = Field(
        None, description="Only messages that are at least so grave; info is all."
    )


class WebhookSettings(Carrier):
    """Messages as JSON by HTTP POST."""

    kind: Literal["webhook"]
    url: Secret = Field(description="Where to.")
    secret: Secret | None = Field(
        None, description="Key of the signature (HMAC-SHA256 of the body) in X-Drd-Signature."
    )
    token: Secret | None = Field(None, description="Sent as Authorization: Bearer TOKEN.")
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of an own certificate authority."
    )
    timeout: Duration = Field(10.0, description="After this a try has failed.")


class SmtpSettings(Carrier):
    """Messages by mail."""

    kind: Literal["smtp"]
    host: str = Field(min_length=1, description="The mail server.")
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = Field(
        None, description="By default 587 with starttls, 465 with tls, 25 with none."
    )
    tls: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="starttls, tls from the first byte, or none (a server on this host).",
    )
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of an own certificate authority."
    )
    user: str | None = Field(None, min_length=1, description="Login, with password.")
    password: Secret | None = Field(None, description="Of the login.")
    sender: Address | None = Field(None, description="By default drd@ and this host's name.")
    to: list[Address] = Field(min_length=1, description="Who gets it.")
    timeout: Duration = Field(30.0, description="After this a try has failed.")


class ExecSettings(Carrier):
    """Messages to a command of yours: JSON on its standard input, and in its environment."""

    kind: Literal["exec"]
    command: list[str] = Field(
        min_length=1, description="The command's words; no shell. It sees no secret."
    )
    timeout: Duration = Field(30.0, description="After this it is ended and has failed.")


class AppriseSettings(Carrier):
    """Messages through any of the services that Apprise knows."""

    kind: Literal["apprise"]
    url: Secret = Field(description="One URL in Apprise's notation.")
    timeout: Duration = Field(30.0, description="After this a try has failed.")


class HeartbeatSettings(Named):
    """A sign of life, for a watcher elsewhere: POST to the URL, to URL/start and to URL/fail. For
    the runs of `plans`, or without any, for the daemon itself."""

    kind: Literal["heartbeat"]
    url: Secret = Field(description="Where to.")
    on: list[RunEvent] = Field(
        default=["backup"], min_length=1, description="Which runs of these plans are told."
    )
    every: Duration = Field(60.0, description="Time between two signs of life of the daemon.")
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of an own certificate authority."
    )
    timeout: Duration = Field(10.0, description="After this a try has failed.")


class PlanHeartbeat(Settings):
    """A sign of life for each run, for a watcher elsewhere who notices silence: POST to URL/start
    when it begins, to the URL when it succeeded, to URL/fail when it did not."""

    url: Secret = Field(description="Where to.")
    on: list[RunEvent] = Field(
        default=["backup"],
        min_length=1,
        description="Which kinds of run are told. One watcher expects one rhythm: rather one kind.",
    )


Channel = Annotated[
    WebhookSettings | SmtpSettings | ExecSettings | AppriseSettings | HeartbeatSettings,
    Field(discriminator="kind"),
]
