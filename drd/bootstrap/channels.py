"""The ways to people and to watchers: the channels of drd.yaml, and the heartbeats of plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from drd import secrets
from drd.config.daemon import DaemonSettings, load_settings
from drd.flows.alerts.heartbeats import Heartbeats
from drd.flows.alerts.outbox import OutboxSender
from drd.flows.incidents.letters import LetterSender
from drd.flows.runbook.notify import notify_now
from drd.model.message import ChannelSpec, Message
from drd.notifiers import open_notifier, open_watcher
from drd.ports import Catalogue, Clock
from drd.ports.notify import Notifier, Post


@dataclass(frozen=True, slots=True)
class Channels:
    """`open_catalogue` opens it at the first use. `warn` tells the person at the command."""

    settings: DaemonSettings
    open_catalogue: Callable[[], Catalogue]
    clock: Clock
    warn: Callable[[str], None]

    def open(self, spec: ChannelSpec) -> Notifier:
        return open_notifier(spec, resolve=secrets.resolve)

    def outbox_sender(self) -> OutboxSender:
        """Return the sender of the outbox through the channels of drd.yaml."""
        return OutboxSender(self.open_catalogue(), self.settings.channels, self.open, self.clock)

    def letter_sender(self, *, at_once: bool = False, wait_s: float = 0.0) -> LetterSender:
        """Return the sender of letters to people outside. `at_once`: a person waits for it."""
        return LetterSender(
            self.open_catalogue(),
            {c.name: c for c in self.settings.channels if not c.is_heartbeat},
            self._open_post,
            self._encrypted,
            self.clock,
            wait_s,
            at_once,
        )

    def _open_post(self, spec: ChannelSpec) -> Post:
        letters = import_module("drd.notifiers.letters")  # few commands send mails
        post: Post = letters.open_post(spec, resolve=secrets.resolve)
        return post

    def _encrypted(self, text: str, key: str) -> str:
        return str(import_module("drd.kit.sealing").encrypted(text, key))

    def heartbeats(self) -> Heartbeats:
        """Heartbeats to the addresses of drd.yaml, and to those of plans."""
        return Heartbeats(
            self.open_catalogue(),
            self.settings.channels,
            lambda spec: open_watcher(spec, resolve=secrets.resolve),
            self.clock,
        )

    def notify_now(self, message: Message) -> list[str]:
        """Notify through the channels of drd.yaml, as `flows.runbook.notify.notify_now` does."""
        return notify_now(message, self._wanted(), self.open, self.clock, self.warn)

    def _wanted(self) -> Sequence[ChannelSpec]:
        """Return the channels of the current drd.yaml, in a run of the daemon, whose settings have
        no channels."""
        if self.settings.channels or self.settings.file is None:
            return self.settings.channels
        return load_settings(self.settings.file, explicit=True).channels
