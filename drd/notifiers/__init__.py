"""Send messages to people: a module for each kind of channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drd.errors import NotifyError
from drd.registry import NOTIFIERS, unavailable_with

if TYPE_CHECKING:
    from drd.model.message import ChannelSpec
    from drd.model.plan import Heartbeat
    from drd.ports.notify import Notifier, Resolve, Watcher


def open_notifier(spec: ChannelSpec, *, resolve: Resolve) -> Notifier:
    """Return the channel of an entry. Secrets are resolved at each delivery. Raises NotifyError if
    drd cannot use the package that adds this kind."""
    if spec.kind not in NOTIFIERS and (package := unavailable_with("notifiers", spec.kind)):
        raise NotifyError(
            f'the kind of this channel, "{spec.kind}", is unavailable: {package.why}',
            hint=package.remedy,
        )
    return NOTIFIERS[spec.kind].open(spec, resolve)


def open_watcher(spec: Heartbeat, *, resolve: Resolve) -> Watcher:
    """Return the address of a heartbeat. Its secret is resolved at each heartbeat."""
    from drd.notifiers.heartbeat import HttpWatcher

    return HttpWatcher(spec, resolve)
