"""Send messages to people: a module for each kind of channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drd.registry import NOTIFIERS

if TYPE_CHECKING:
    from drd.model.message import ChannelSpec
    from drd.model.plan import Heartbeat
    from drd.ports.notify import Notifier, Resolve, Watcher


def open_notifier(spec: ChannelSpec, *, resolve: Resolve) -> Notifier:
    """Return the channel of an entry. Secrets are resolved at each delivery."""
    return NOTIFIERS[spec.kind].open(spec, resolve)


def open_watcher(spec: Heartbeat, *, resolve: Resolve) -> Watcher:
    """Return the address of a heartbeat. Its secret is resolved at each heartbeat."""
    from drd.notifiers.heartbeat import HttpWatcher

    return HttpWatcher(spec, resolve)
