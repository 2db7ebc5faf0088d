"""The ways to people and to watchers: the channels of drd.yaml, and the heartbeats of plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import ModuleType

from drd import secrets
from drd.config.daemon import DaemonSettings, load_settings
from drd.flows.alerts.heartbeats import Heartbeats
from drd.flows.alerts.outbox import OutboxSender
from drd.flows.incidents.letters import LetterSender, Ways
from drd.flows.incidents.recalled import recall
from drd.flows.runbook.notify import notify_now
from drd.model.contacts import PGP_KEY
from drd.model.incidents.recipients import Reach
from drd.model.message import LETTER, ChannelSpec, Message
from drd.model.plan import SecretRef
from drd.notifiers import open_notifier, open_watcher
from drd.ports import Catalogue, Clock
from drd.ports.notify import Notifier, Resolve
from drd.registry import NOTIFIERS


def encrypted(text: str, key: str) -> str:
    """Return a text, encrypted to a public age, SSH or PGP key. Raises DrdError."""
    where = "drd.notifiers.pgp" if key.startswith(PGP_KEY) else "drd.kit.sealing"
    return str(import_module(where).encrypted(text, key))


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels of drd.yaml. `open_catalogue` opens the catalogue at its first use. `warn` tells
    the person who runs the command."""

    settings: DaemonSettings
    open_catalogue: Callable[[], Catalogue]
    clock: Clock
    warn: Callable[[str], None]

    def open(self, spec: ChannelSpec) -> Notifier:
        return open_notifier(spec, resolve=secrets.resolve)

    def outbox_sender(self) -> OutboxSender:
        """Return the sender of the outbox through the channels of drd.yaml."""
        catalogue, channels = self.open_catalogue(), self.settings.channels
        recalled = partial(recall, catalogue, self.clock)
        return OutboxSender(catalogue, channels, self.open, self.clock, recalled)

    def letter_sender(self, *, at_once: bool = False, wait_s: float = 0.0) -> LetterSender:
        """Return the sender of letters to people outside. `at_once`: a person waits for the
        sending."""
        return LetterSender(
            self.open_catalogue(),
            self._ways,
            encrypted,
            self.clock,
            wait_s,
            at_once,
        )

    def reach(self, owners: Sequence[str] = (), resolve: Resolve = secrets.resolve) -> Reach:
        """Return whom drd can reach, by drd.yaml. `owners` are the business owners of plans."""
        settings = self.settings
        gravest = settings.severities[-1] if settings.severities else ""
        mails = [c for c in settings.channels if _sends_mail(c)]
        mail = [c.name for c in sorted(mails, key=lambda c: LETTER not in c.on)]

        def leads(spec: ChannelSpec) -> str:
            return str(self._letters().leads_to(spec, resolve=resolve))

        return Reach(
            settings.contacts,
            settings.channels,
            mail,
            owners,
            gravest,
            leads=leads,
            approval=settings.approval,
            users=settings.users,
        )

    def _ways(self) -> Ways:
        known: dict[SecretRef, str] = {}

        def once(ref: SecretRef) -> str:
            if ref not in known:
                known[ref] = secrets.resolve(ref)
            return known[ref]

        return Ways(self.reach(resolve=once), partial(self._letters().open_post, resolve=once))

    def _letters(self) -> ModuleType:
        return import_module("drd.notifiers.letters")  # few commands send mails

    def heartbeats(self) -> Heartbeats:
        """Heartbeats to the addresses in drd.yaml and to the addresses in plans."""
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
        return load_settings(self.settings.file, explicit=True, enduring=True).channels


def _sends_mail(channel: ChannelSpec) -> bool:
    return (
        not channel.is_heartbeat
        and channel.kind in NOTIFIERS
        and NOTIFIERS[channel.kind].sends_mail
    )
