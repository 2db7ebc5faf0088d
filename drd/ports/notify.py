"""Messages to people: the channels, and the messages that are still to be sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from drd.errors import NotifyError
from drd.model.clock import LONGEST_WAIT
from drd.model.message import ChannelSpec, Message, Routed
from drd.model.plan import Heartbeat, SecretRef

if TYPE_CHECKING:
    from drd.fields import Settings

__all__ = [
    "ChannelFacts",
    "ChannelKind",
    "ChannelSpec",
    "Closed",
    "DeliveryUnknown",
    "Letter",
    "Message",
    "Notifier",
    "NotifierFactory",
    "OpenPost",
    "OpenWatcher",
    "Outbox",
    "Post",
    "Recall",
    "Resolve",
    "Routed",
    "Signal",
    "Waiting",
    "Watcher",
]


class Notifier(Protocol):
    """One channel that delivers messages. Used by one thread at a time."""

    def deliver(self, message: Message) -> str:
        """Deliver a message, and return in a few words who accepted it. Returns only when the other
        side has accepted the message. Raises NotifyError, at the latest at the deadline of the
        channel; it is then unknown whether the message arrived, so it may be sent again with the
        same id.
        """


OF_A_PLAN = "plan/"
"""The prefix of the channel for a plan's own heartbeat; the plan's name follows."""

Resolve = Callable[[SecretRef], str]
"""Returns the value of a secret."""


@dataclass(frozen=True, eq=False, slots=True)
class ChannelKind:
    """All that drd has to know about one kind of channel. `settings` is the model of an entry of
    `notify` in drd.yaml, derived from `Carrier`. `open` makes the channel of an entry, whose
    `settings` are of that model; secrets are resolved at each delivery, not before. A channel that
    `sends_mail` can write to any mail address. `address` are the keys of the settings that say
    where the channel leads; without them, all keys that only this kind has do."""

    name: str
    settings: type[Settings]
    open: Callable[[Any, Resolve], Notifier]
    sends_mail: bool = False
    address: tuple[str, ...] = ()


NotifierFactory = Callable[[ChannelSpec], Notifier]


class DeliveryUnknown(NotifyError):
    """Nobody knows whether the other side has accepted a letter: a second try could send it
    twice."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to somebody outside, exactly as a person approved it. `to` is a mail address, or
    empty for a channel that belongs to the recipient."""

    id: str
    to: str
    subject: str
    text: str
    at: datetime


class Post(Protocol):
    """One channel that carries letters. Used by one thread at a time."""

    def post(self, letter: Letter) -> str:
        """Hand a letter over, and return in a few words what the other side said.

        Raises NotifyError if the other side has certainly not taken it, and DeliveryUnknown if
        nobody knows whether it has."""


OpenPost = Callable[[ChannelSpec], Post]
Recall = Callable[["Waiting"], bool]
"""Returns whether a message must not leave any more; then it has closed it."""

Signal = Literal["start", "success", "fail"]


class Watcher(Protocol):
    """An address where a watcher elsewhere listens. The watcher reports silence."""

    def ping(self, signal: Signal, text: str) -> None:
        """Send one sign of life; the watcher shows `text` with it. Raises NotifyError within its
        deadline."""


OpenWatcher = Callable[[Heartbeat], Watcher]


UNROUTED = ""
"""The name of the channel of a message for which no channels were chosen yet: it is about a run by
hand that has ended. The daemon chooses the channels after it has judged the plan; without a daemon,
the command does."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that is still to be sent through a channel. `tries` have failed."""

    id: int
    channel: str
    message: Message
    created_at: datetime
    next_try_at: datetime
    tries: int = 0
    error: str | None = None

    def is_due(self, now: datetime) -> bool:
        """Return whether it is time for the next attempt. A time that is too far away was recorded
        before the clock was set back."""
        return not now < self.next_try_at <= now + LONGEST_WAIT


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """The state of a channel. `tries` have failed since the last delivery; `waiting` counts
    messages that are still to be sent. The channel of a plan's heartbeat is `plan/NAME`."""

    name: str
    kind: str
    last_tried_at: datetime | None = None
    last_delivered_at: datetime | None = None
    failing_since: datetime | None = None
    tries: int = 0
    error: str | None = None
    waiting: int = 0
    remedy: str = ""

    @property
    def plan(self) -> str:
        """The plan whose own heartbeat this is; empty for a channel of drd.yaml."""
        return self.name.removeprefix(OF_A_PLAN) if self.name.startswith(OF_A_PLAN) else ""

    def is_dead(self, now: datetime) -> bool:
        """Return whether nothing was delivered for a quarter of an hour, or in five attempts or
        more."""
        if self.failing_since is None:
            return False
        return self.tries > 5 or now - self.failing_since > timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Closed:
    """The end of a message in the outbox: it was accepted, or given up for an `error`."""

    row: Waiting
    at: datetime
    error: str | None = None


class Outbox(Protocol):
    """The messages to be sent. Thread-safe; every method is one transaction. Raises CatalogueError.

    A message stays in the outbox until its channel has accepted it. When drd is killed after the
    acceptance and before it is recorded, the message is sent again, with the same id.
    """

    def add(self, routed: Sequence[Routed], at: datetime) -> None:
        """Add messages, to be sent at once."""

    def due_channels(self, now: datetime) -> list[str]:
        """Return the channels that have a message to be sent now."""

    def waiting(self, channel: str, *, limit: int = 1000) -> list[Waiting]:
        """Return the messages to be sent through a channel, due or not, oldest first."""

    def delivered(self, row: Waiting, kind: str, at: datetime) -> None:
        """Record that the channel has accepted a message, and therefore works."""

    def failed(
        self,
        row: Waiting,
        kind: str,
        *,
        at: datetime,
        error: str,
        remedy: str = "",
        next_try_at: datetime | None,
    ) -> None:
        """Record that an attempt failed. Without `next_try_at` the message is given up."""

    def begin(self, row: Waiting, at: datetime) -> Waiting:
        """Record that a letter is just being handed over: its result is unknown until this record
        is removed, or the letter is closed."""

    def put_off(self, row: Waiting, *, error: str, next_try_at: datetime) -> None:
        """Record that a letter was certainly not taken, and when to try again."""

    def send_on(self, row: Waiting, routed: Sequence[Routed], at: datetime) -> None:
        """Replace an unrouted message by these messages, unless another process has done this."""

    def replace(self, rows: Sequence[Waiting], digest: Message, at: datetime) -> Waiting:
        """Replace several messages of a channel by one; either all of them or none."""

    def tried(
        self, name: str, kind: str, *, at: datetime, error: str | None, remedy: str = ""
    ) -> None:
        """Record an attempt that belongs to no message of the outbox (heartbeats, tests)."""

    def channels(self) -> list[ChannelFacts]:
        """Return every channel that was ever tried, or that has waiting messages, by name."""

    def prune(self, before: datetime, *, channels: Collection[str]) -> None:
        """Delete the messages that were delivered or given up `before`, and everything of channels
        that are not in `channels`."""
