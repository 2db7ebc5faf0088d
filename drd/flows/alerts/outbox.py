"""Deliver the outbox: each channel separately, so that no channel waits for another.

A channel that fails is tried again with one message, at growing intervals; later messages become
one digest. When it accepts a message, the others follow."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import timedelta

from drd import log
from drd.errors import AlreadyRunning, Cancelled, CatalogueError, DrdError
from drd.flows.alerts.direct import DeliveryAttempt, deliver_repeatedly, hand_over
from drd.flows.alerts.retries import is_due, next_try
from drd.flows.durable_steps import describe
from drd.model.digest import digest
from drd.model.message import ChannelSpec, Message, Routed
from drd.ports import Catalogue, Clock
from drd.ports.notify import ChannelFacts, NotifierFactory, Outbox, Recall, Waiting

FLOOD = 50
"""If more than this number of messages are sent at once, they become a digest: nobody would read
them one by one."""

MISSED = 5
"""More than so many for a channel that fails become a digest."""

SINGLE_REFUSALS = 3
"""If this many messages in a row are refused, the single message is not the cause."""

UNRECORDED_PAUSE_S = 60.0
"""How long a channel pauses when the result of a try could not be recorded."""

AT_ONCE = 16
"""How many channels are served at the same time."""

KEPT = timedelta(days=30)
"""How long sent messages stay in the outbox."""


class OutboxSender:
    """Delivers the messages that are due, in its own threads. Safe in several threads."""

    def __init__(
        self,
        catalogue: Catalogue,
        channels: Sequence[ChannelSpec],
        open_notifier: NotifierFactory,
        clock: Clock,
        recall: Recall = lambda _: False,
    ) -> None:
        self._catalogue, self._recall = catalogue, recall
        self.use(channels)
        self._open = open_notifier
        self._clock = clock
        self._mutex = threading.Lock()
        self._busy: dict[str, threading.Thread] = {}
        self._not_before: dict[str, float] = {}
        self._accepted: set[tuple[int, str]] = set()
        self._slots = threading.Semaphore(AT_ONCE)

    def use(self, channels: Sequence[ChannelSpec]) -> None:
        """Use these channels of drd.yaml from now on; current deliveries end as they began."""
        self._channels = {c.name: c for c in channels if not c.is_heartbeat}
        self._heartbeats = [c.name for c in channels if c.is_heartbeat]

    def deliver_due(self) -> list[str]:
        """Start a delivery on every channel that has due messages and no running delivery; return
        their names at once. Messages for a channel that drd.yaml no longer has are kept until
        `remove_old`. Raises CatalogueError."""
        now, outbox = self._clock.now(), self._catalogue.outbox
        due = [name for name in outbox.due_channels(now) if name in self._channels]
        if not due:
            return []
        resting = {f.name for f in outbox.channels() if not is_due(f, now)}
        return [name for name in due if name not in resting and self._start(name)]

    def wait(self, timeout_s: float) -> bool:
        """Wait until no delivery is running; False on timeout. A delivery that is cut off by the
        end of the process is repeated at the next start."""
        limit = self._clock.monotonic() + timeout_s
        for thread in self._threads():
            thread.join(max(0.0, limit - self._clock.monotonic()))
        return not self._threads()

    def deliver_without_outbox(self, routed: Sequence[Routed]) -> None:
        """Deliver messages that the catalogue cannot store, and return at once: in order within a
        channel, a few tries each, recorded in the journal alone. Calling this twice sends them
        twice."""
        by_channel: dict[str, list[Message]] = {}
        for name, message in routed:
            by_channel.setdefault(name, []).append(message)
        for name in by_channel.keys() & self._channels.keys():
            work = threading.Thread(
                target=self._deliver_repeatedly,
                args=(self._channels[name], by_channel[name]),
                daemon=True,
            )
            with self._mutex:
                self._busy[f"past outbox {name} {id(work)}"] = work
            work.start()

    def remove_old(self) -> None:
        """Regularly: remove old sent messages, and channels that no longer exist."""
        names = {*self._channels, *self._heartbeats}
        self._catalogue.outbox.prune(self._clock.now() - KEPT, channels=names)

    def _deliver_repeatedly(self, channel: ChannelSpec, messages: Sequence[Message]) -> None:
        with self._slots:
            deliver_repeatedly(messages, channel, self._open, self._clock)

    def _threads(self) -> list[threading.Thread]:
        with self._mutex:
            self._busy = {n: t for n, t in self._busy.items() if t.is_alive()}
            return list(self._busy.values())

    def _start(self, name: str) -> bool:
        with self._mutex:
            if name in self._busy and self._busy[name].is_alive():
                return False
            if self._clock.monotonic() < self._not_before.get(name, 0.0):
                return False
            thread = threading.Thread(
                target=self._work, args=(self._channels[name],), name=f"drd-{name}", daemon=True
            )
            self._busy[name] = thread
            thread.start()
        return True

    def _work(self, channel: ChannelSpec) -> None:
        journal = log.get(channel=channel.name)
        with self._slots:
            try:
                deliver_channel(
                    self._catalogue,
                    channel,
                    self._open,
                    self._clock,
                    accepted=self._accepted,
                    recall=self._recall,
                )
            except AlreadyRunning:
                journal.debug("channel.busy")
            except Cancelled:
                return
            except CatalogueError as error:
                # The result cannot be recorded: do not repeat it at the next tick.
                self._not_before[channel.name] = self._clock.monotonic() + UNRECORDED_PAUSE_S
                journal.error("outbox.unrecorded", error=describe(error).line)
            except Exception as error:  # noqa: BLE001 (a thread has nobody above it)
                journal.error("channel.broken", error=describe(error).line)


def deliver_channel(
    catalogue: Catalogue,
    channel: ChannelSpec,
    open_notifier: NotifierFactory,
    clock: Clock,
    *,
    accepted: set[tuple[int, str]] | None = None,
    recall: Recall = lambda _: False,
) -> int:
    """Deliver the messages that are due in one channel; return how many messages it accepted.

    One process at a time: raises AlreadyRunning if another process does this. Stops at the first
    failure for which a retry may help. `recall` closes messages that must not be sent any more.
    `accepted` remembers between calls which accepted messages could not be recorded; they are not
    sent again."""
    taken = accepted if accepted is not None else set()
    with catalogue.lock(f"channel {channel.name}", wait_s=0):
        delivery = _Delivery(catalogue.outbox, channel, open_notifier, clock, taken, recall=recall)
        return delivery.execute()


class _Delivery:
    def __init__(
        self,
        outbox: Outbox,
        channel: ChannelSpec,
        open_notifier: NotifierFactory,
        clock: Clock,
        accepted: set[tuple[int, str]],
        *,
        recall: Recall,
    ) -> None:
        self.recall = recall
        self.outbox = outbox
        self.channel = channel
        self.open = open_notifier
        self.clock = clock
        self.accepted = accepted
        self.log = log.get(channel=channel.name)

    def execute(self) -> int:
        facts = self._facts()
        if not is_due(facts, self.clock.now()):
            return 0
        # A failing channel gets one try until its pause is over. A working one may have refused a
        # single message.
        patience = 1 if facts.failing_since is not None else SINGLE_REFUSALS
        taken = refused = 0
        for row in self._chosen(facts):
            error = self._try(row)
            if error is None:
                taken, refused, patience = taken + 1, 0, SINGLE_REFUSALS
                continue
            refused += 1
            if not error.permanent or refused >= patience:
                break
        return taken

    def _facts(self) -> ChannelFacts:
        name = self.channel.name
        by_name = {f.name: f for f in self.outbox.channels()}
        return by_name.get(name, ChannelFacts(name, self.channel.kind))

    def _chosen(self, facts: ChannelFacts) -> list[Waiting]:
        """Choose what to try, in order: a failing channel is probed with the message that was tried
        least, so that one message that it never accepts does not block the others.
        """
        failing = facts.failing_since is not None
        left = [r for r in self.outbox.waiting(self.channel.name) if not self._recalled(r)]
        rows = self._condensed(left, failing=failing)
        due = [r for r in rows if r.is_due(self.clock.now())]
        if failing and due:
            probe = min(due, key=lambda r: (r.tries, r.id))
            return [probe, *(r for r in due if r is not probe)]
        return due

    def _recalled(self, row: Waiting) -> bool:
        """Return whether a message must not leave. One that was accepted already has left."""
        return (row.id, row.message.id) not in self.accepted and self.recall(row)

    def _condensed(self, rows: list[Waiting], *, failing: bool) -> list[Waiting]:
        if not is_too_much(rows, failing=failing):
            return rows
        now = self.clock.now()
        summary = digest([row.message for row in rows], now)
        self.log.info("outbox.condensed", messages=len(rows))
        return [self.outbox.replace(rows, summary, now)]

    def _try(self, row: Waiting) -> DrdError | None:
        key = row.id, row.message.id
        if key in self.accepted:
            attempt = DeliveryAttempt(self.channel, "", 0.0)
        else:
            attempt = hand_over(row.message, self.channel, self.open, self.clock)
        now, kind = self.clock.now(), self.channel.kind
        journal = log.get(
            channel=self.channel.name,
            what=row.message.event,
            plan=row.message.plan,
            delivery=row.message.id,
        )
        if attempt.error is None:
            self.accepted.add(key)
            self.outbox.delivered(row, kind, now)
            self.accepted.discard(key)
            journal.info("message.delivered", duration_s=round(attempt.duration_s, 3))
            return None
        why = describe(attempt.error)
        later = next_try(row, attempt.error, now)
        self.outbox.failed(row, kind, at=now, error=why.text, remedy=why.remedy, next_try_at=later)
        event = "message.failed" if later is not None else "message.given_up"
        journal.warning(event, tries=row.tries + 1, error=why.line)
        return attempt.error


def still_there(
    facts: Iterable[ChannelFacts], channels: Sequence[ChannelSpec]
) -> list[ChannelFacts]:
    """Return the channels, without the channels that drd.yaml no longer has and that `remove_old`
    removes. Plans' own heartbeats are included."""
    names = {c.name for c in channels}
    return [f for f in facts if f.name in names or f.plan]


def is_too_much(rows: Sequence[Waiting], *, failing: bool) -> bool:
    """Return whether one digest should replace these messages: if there are too many, or if a
    failing channel has missed them and some are no longer true (an alert with more than one waiting
    message)."""
    if len(rows) < 2:
        return False
    if not failing:
        return len(rows) > FLOOD
    alerts = [row.message.alert for row in rows if row.message.alert is not None]
    return len(rows) > MISSED or len(set(alerts)) < len(alerts)
