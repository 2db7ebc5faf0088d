"""Hand messages over to channels now: one try for the outbox, and deliveries that do not use the
outbox."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from drd import log
from drd.errors import Cancelled, DrdError, NotifyError
from drd.exhaustion import text_of
from drd.extension_faults import fault, noted, require_type
from drd.flows.alerts.retries import FIRST_PAUSE_S
from drd.flows.durable_steps import describe
from drd.model.message import ChannelSpec, Message
from drd.ports import Clock
from drd.ports.notify import NotifierFactory
from drd.registry import NOTIFIERS

DIRECT_TRIES = 3
"""How often a message is tried that the outbox could not take."""


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One message and its delivery to one channel. If `error` is None, `said` names who accepted
    it."""

    channel: ChannelSpec
    said: str
    duration_s: float
    error: DrdError | None = None


def hand_over(
    message: Message, channel: ChannelSpec, open_notifier: NotifierFactory, clock: Clock
) -> DeliveryAttempt:
    """Try once to deliver the message now, without the outbox. Errors are in the result."""
    started = clock.monotonic()

    def attempt(said: str, error: DrdError | None = None) -> DeliveryAttempt:
        return DeliveryAttempt(channel, said, clock.monotonic() - started, error)

    package = NOTIFIERS.extension(channel.kind)
    try:
        with noted(f"channel {channel.name}"):
            taken_by = open_notifier(channel).deliver(message)
        return attempt(require_type(taken_by, str, f"deliver of channel {channel.kind}", package))
    except DrdError as error:
        return attempt("", error)
    except (Cancelled, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - a channel must not take others along
        failed = fault(error, "", package)
        text = failed.message if failed else f"{type(error).__name__}: {text_of(error)}"
        return attempt(
            "",
            NotifyError(
                text, hint=failed.hint if failed else "this is a bug in drd: please report it."
            ),
        )


def deliver_repeatedly(
    messages: Sequence[Message],
    channel: ChannelSpec,
    open_notifier: NotifierFactory,
    clock: Clock,
) -> None:
    """Deliver without the outbox, in order, with a few attempts each; recorded in the journal
    alone.
    """
    journal = log.get(channel=channel.name)
    with suppress(Cancelled):
        for message in messages:
            for tries in range(1, DIRECT_TRIES + 1):
                attempt = hand_over(message, channel, open_notifier, clock)
                if attempt.error is None:
                    journal.info("message.delivered", delivery=message.id, directly=True)
                    break
                journal.warning("message.failed", tries=tries, error=describe(attempt.error).line)
                if tries < DIRECT_TRIES:
                    threading.Event().wait(FIRST_PAUSE_S)


def deliver_directly(
    message: Message,
    channels: Sequence[ChannelSpec],
    open_notifier: NotifierFactory,
    clock: Clock,
) -> list[DeliveryAttempt]:
    """Send a message to all of these channels now, side by side; return the results in their order,
    when the slowest has ended. Nothing is recorded or tried again."""
    attempts: dict[str, DeliveryAttempt] = {}

    def work(channel: ChannelSpec) -> None:
        with suppress(Cancelled):
            attempts[channel.name] = hand_over(message, channel, open_notifier, clock)

    threads = [threading.Thread(target=work, args=(c,), daemon=True) for c in channels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [attempts[c.name] for c in channels if c.name in attempts]
