"""Notify people at once, without the outbox: a step of a recovery waits for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drd.errors import NotifyError
from drd.flows.alerts.direct import deliver_directly
from drd.flows.services import Say
from drd.model.message import ChannelSpec, Message, route
from drd.model.text import with_article
from drd.ports import Clock
from drd.ports.notify import Notifier


def notify_now(
    message: Message,
    known: Sequence[ChannelSpec],
    open_notifier: Callable[[ChannelSpec], Notifier],
    clock: Clock,
    warn: Say,
) -> list[str]:
    """Send a message through those of the known channels that carry its kind; return the channels
    that accepted it. Raises NotifyError if no channel carries it, or no channel accepted it."""
    wanting = {name for name, _ in route(message, known)}
    channels = [c for c in known if c.name in wanting]
    if not channels:
        raise NotifyError(
            f"drd.yaml does not have a channel for messages about {with_article(message.event)}",
            hint=f"add {message.event} to `on` of a channel under `notify` in drd.yaml.",
        )
    attempts = deliver_directly(message, channels, open_notifier, clock)
    lost = [a for a in attempts if a.error is not None]
    for attempt in lost:
        warn(f"channel {attempt.channel.name} did not accept the message: {attempt.error}")
    if lost and len(lost) == len(attempts):
        raise NotifyError(
            "no channel accepted the message",
            hint="to see what is wrong with each channel: drd notify test",
        )
    return [a.channel.name for a in attempts if a.error is None]
