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

Severity = Literal["critical", "warning", "info"]

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""The worst first."""

RunEvent = Literal["backup", "drill", "recovery", "copy", "retention", "prune", "verification"]
Event = Literal["firing", "acknowledged", "resolved", RunEvent]
"""What a channel can ask for: an alert's transitions, and the end of a run by its kind."""

TEST, DIGEST = "test", "digest"
"""Events that nobody asks for: `drd notify test`, and what a channel missed in one message."""

DEFAULT_EVENTS: tuple[Event, ...] = ("firing", "acknowledged", "resolved", "drill", "recovery")
"""For a channel that says nothing: what a person wants to know. A failed backup is an alert, and
good ones come every few minutes."""


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that is told.

    `title` is one line, `text` some more for people; neither holds a secret. `plan` is empty for
    what concerns the daemon. `alert` and `run` are ids. `details` is JSON for programs. A reminder
    of an alert is `firing` once more, with a later `at`.
    """

    event: str
    plan: str
    severity: Severity
    title: str
    text: str
    at: datetime
    alert: str | None = None
    run: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same for the same message, in every try and after a restart: by it a receiver
        recognises what it has already."""
        whole = json.dumps(self.to_json(), sort_keys=True).encode()
        return hashlib.sha256(whole).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` is its inverse."""
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
    """One entry of `notify` in drd.yaml.

    `settings` is the frozen settings model of the channel's kind, of a heartbeat a `Heartbeat`.
    `on` are events, `plans` names and globs (none: all, and what concerns the daemon),
    `severities` those that it wants.
    """

    name: str
    kind: str
    settings: object
    on: tuple[str, ...] = DEFAULT_EVENTS
    plans: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = SEVERITIES

    def is_for(self, plan: str) -> bool:
        """Whether it wants to hear of this plan."""
        return not self.plans or any(fnmatchcase(plan, glob) for glob in self.plans)

    def wants(self, message: Message) -> bool:
        """Whether event and severity are what it asked for. The plan is `is_for`'s."""
        return message.event in self.on and message.severity in self.severities


Routed = tuple[str, Message]
"""The name of a channel, and what is to go through it."""


def route(message: Message, channels: Sequence[ChannelSpec]) -> list[Routed]:
    """Which channels carry a message, in their order.

    What concerns no plan goes to the channels for all plans; where every channel is for some, it
    goes to each, since else nobody would hear that the daemon itself is in trouble. Heartbeats
    carry no messages.
    """
    wanting = [c for c in channels if c.kind != "heartbeat" and c.wants(message)]
    if message.plan:
        chosen = [c for c in wanting if c.is_for(message.plan)]
    else:
        chosen = [c for c in wanting if not c.plans] or wanting
    return [(c.name, message) for c in chosen]
