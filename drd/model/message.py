"""Messages to people and programs, and the channels that carry them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Literal

from drd.model.units import from_rfc3339, to_rfc3339

Urgency = Literal["critical", "warning", "info"]

SEVERITIES: tuple[Urgency, ...] = ("critical", "warning", "info")
"""All severities, the worst first."""

RunEvent = Literal["backup", "drill", "recovery", "copy", "retention", "prune", "verification"]
Event = Literal["firing", "acknowledged", "resolved", "incident", "letter", RunEvent]
"""An event that a channel can subscribe to: an alert's transition, a message about an incident, a
letter to somebody outside, or the end of a run of a kind.
"""

INCIDENT: Literal["incident"] = "incident"
"""The event of a message about an incident to one's own people."""
LETTER: Literal["letter"] = "letter"
"""The event of a message to somebody outside. Such messages are not routed, because a letter names
its channel. A channel that belongs to somebody outside carries only letters."""

TEST, DIGEST = "test", "digest"
"""Events that no channel subscribes: `drd notify test`, and the summary of messages that a channel
missed."""

DEFAULT_EVENTS: tuple[Event, ...] = (
    "firing",
    "acknowledged",
    "resolved",
    "incident",
    "drill",
    "recovery",
)
"""The events of a channel that configures none: the events that a person wants to know about. A
failed backup is an alert, and successful backups come every few minutes.
"""


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `title` is one line, `text` are a few more lines for people; neither contains a
    secret. `plan` is empty if the message concerns the daemon. `alert` and `run` are ids. `details`
    is JSON for programs. A reminder of an alert is `firing` once more, with a later `at`.
    """

    event: str
    plan: str
    severity: Urgency
    title: str
    text: str
    at: datetime
    alert: str | None = None
    run: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Return an id that is the same in every attempt and after a restart, so that a receiver
        recognises a repeated message.
        """
        whole = json.dumps(self.to_json(), sort_keys=True).encode()
        return hashlib.sha256(whole).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON; `from_json` is the inverse."""
        return {
            "event": self.event,
            "plan": self.plan,
            "severity": self.severity,
            "title": self.title,
            "text": self.text,
            "at": to_rfc3339(self.at),
            "alert": self.alert,
            "run": self.run,
            "details": dict(self.details),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Message:
        return cls(**{**data, "at": from_rfc3339(data["at"])})


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One entry of `notify` in drd.yaml. `settings` is the frozen settings model of the channel's
    kind, for a heartbeat a `Heartbeat`. `on` are events, `plans` names and globs (none: all plans,
    and the daemon), `severities` the severities that the channel wants. A channel that
    `is_heartbeat` carries heartbeats and no messages.
    """

    name: str
    kind: str
    settings: object
    on: tuple[str, ...] = DEFAULT_EVENTS
    plans: tuple[str, ...] = ()
    severities: tuple[Urgency, ...] = SEVERITIES
    is_heartbeat: bool = False

    def is_for(self, plan: str) -> bool:
        """Return whether the channel wants messages about this plan."""
        return not self.plans or any(fnmatchcase(plan, glob) for glob in self.plans)

    def wants(self, message: Message) -> bool:
        """Return whether the channel wants this event and severity. `is_for` decides about the
        plan."""
        return message.event in self.on and message.severity in self.severities


Routed = tuple[str, Message]
"""The name of a channel, and the messages for it."""


def is_told(run: Message, by: Message) -> bool:
    """Return whether the message of an alert that fires, or that this run resolved, also reports
    the end of the run, so that a second message is not needed: it contains the same facts, and is
    no less urgent than a critical message.
    """
    about = by.details.get("runs", ())
    graver = run.severity == "critical" and by.severity != "critical"
    return by.event in ("firing", "resolved") and run.run in about and not graver


def route(message: Message, channels: Sequence[ChannelSpec]) -> list[Routed]:
    """Return the channels for a message, in their order.

    A message that is not about a plan goes to the channels for all plans. If every channel is only
    for some plans, it goes to every channel: otherwise nobody would know that the daemon itself has
    a problem. Heartbeats carry no messages.
    """
    wanting = [c for c in channels if not c.is_heartbeat and c.wants(message)]
    if message.plan:
        chosen = [c for c in wanting if c.is_for(message.plan)]
    else:
        chosen = [c for c in wanting if not c.plans] or wanting
    return [(c.name, message) for c in chosen]
