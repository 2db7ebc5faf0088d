"""Telling people: what goes out, by which channels, and what is still to go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from drd.model.message import ChannelSpec, Message, Routed
from drd.model.plan import Heartbeat, SecretRef

if TYPE_CHECKING:
    from drd.fields import Settings

__all__ = [
    "ChannelFacts",
    "ChannelKind",
    "ChannelSpec",
    "Heart",
    "HeartFactory",
    "Message",
    "Notifier",
    "NotifierFactory",
    "Outbox",
    "Resolve",
    "Routed",
    "Signal",
    "Waiting",
]


class Notifier(Protocol):
    """One channel that carries messages. Used by one thread at a time."""

    def deliver(self, message: Message) -> str:
        """Hand a message over, and say in a few words who took it.

        Returns only when the other side has accepted it. Raises NotifyError, at the latest when
        the channel's deadline is over; whether the message arrived is then not known, so the same
        message may come again, with the same id.
        """


OF_A_PLAN = "plan/"
"""What the channel of a plan's own heartbeat is called: this, and the plan's name."""

FURTHEST = timedelta(hours=2)
"""No message waits longer than this for its next try."""

Resolve = Callable[[SecretRef], str]
"""Gives the value of a secret."""


@dataclass(frozen=True, eq=False, slots=True)
class ChannelKind:
    """All that drd has to know of one kind of channel. `settings` is the model of an entry of
    `notify` in drd.yaml, derived from `Carrier`. `open` gives the channel of an entry, whose
    `settings` are of that model; secrets are resolved at each delivery, not before."""

    name: str
    settings: type[Settings]
    open: Callable[[Any, Resolve], Notifier]


NotifierFactory = Callable[[ChannelSpec], Notifier]

Signal = Literal["start", "success", "fail"]


class Heart(Protocol):
    """An address that a watcher elsewhere listens at: silence is what it notices."""

    def ping(self, signal: Signal, text: str) -> None:
        """Send one sign of life; `text` is shown beside it. Raises NotifyError within its
        deadline."""


HeartFactory = Callable[[Heartbeat], Heart]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that is still to go through a channel. `tries` have failed."""

    id: int
    channel: str
    message: Message
    created_at: datetime
    next_try_at: datetime
    tries: int = 0
    error: str | None = None

    def is_due(self, now: datetime) -> bool:
        """A time that lies too far away was written before the clock was set back."""
        return not now < self.next_try_at <= now + FURTHEST


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """How a channel fares. `tries` have failed since the last delivery; `waiting` counts messages
    that are still to go. A plan's heartbeat is `plan/NAME`."""

    name: str
    kind: str
    last_tried_at: datetime | None = None
    last_delivered_at: datetime | None = None
    failing_since: datetime | None = None
    tries: int = 0
    error: str | None = None
    waiting: int = 0

    def is_dead(self, now: datetime) -> bool:
        """Nothing gets through any more: for a quarter of an hour, or five tries and more."""
        if self.failing_since is None:
            return False
        return self.tries > 5 or now - self.failing_since > timedelta(minutes=15)


class Outbox(Protocol):
    """What is on its way. Thread-safe; every method is one transaction; raises CatalogueError.

    A message is in it until its channel has accepted it. One that was accepted when drd was killed
    before it could say so goes out again, with the same id.
    """

    def add(self, routed: Sequence[Routed], at: datetime) -> None:
        """To go out at once."""

    def due_channels(self, now: datetime) -> list[str]:
        """The channels in which something is due."""

    def waiting(self, channel: str, *, limit: int = 1000) -> list[Waiting]:
        """What is to go through a channel, due or not, oldest first."""

    def delivered(self, row: Waiting, kind: str, at: datetime) -> None:
        """The channel has accepted it, so it is well."""

    def failed(
        self,
        row: Waiting,
        kind: str,
        *,
        at: datetime,
        error: str,
        next_try_at: datetime | None,
    ) -> None:
        """A try failed, so the channel ails. Without `next_try_at` the message is given up."""

    def replace(self, rows: Sequence[Waiting], digest: Message, at: datetime) -> Waiting:
        """One message of the same channel in place of several, all of them or nothing."""

    def tried(self, name: str, kind: str, *, at: datetime, error: str | None) -> None:
        """How a try went that no message of the outbox belongs to (heartbeats, tests)."""

    def channels(self) -> list[ChannelFacts]:
        """Every channel that was ever tried, or in which something waits; by name."""

    def prune(self, before: datetime, *, channels: Collection[str]) -> None:
        """Drop what was delivered or given up `before`, and everything of channels that are not
        among `channels` any more."""
