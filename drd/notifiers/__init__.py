"""How messages reach people: one module a kind of channel, each imported when it is first
needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from drd.model.message import ChannelSpec
from drd.model.plan import Heartbeat, SecretRef
from drd.notifiers.settings import (
    AppriseSettings,
    ExecSettings,
    SmtpSettings,
    WebhookSettings,
)
from drd.ports.notify import Heart, Notifier

Resolve = Callable[[SecretRef], str]


def open_notifier(spec: ChannelSpec, *, resolve: Resolve) -> Notifier:
    """The channel of an entry. Secrets are resolved at each delivery."""
    if spec.kind == "webhook":
        from drd.notifiers.webhook import Webhook

        return Webhook(cast("WebhookSettings", spec.settings), resolve)
    if spec.kind == "smtp":
        from drd.notifiers.smtp import Smtp

        return Smtp(spec.name, cast("SmtpSettings", spec.settings), resolve)
    if spec.kind == "exec":
        from drd.notifiers.command import Exec

        return Exec(cast("ExecSettings", spec.settings))
    if spec.kind == "heartbeat":
        from drd.notifiers.heartbeat import HttpHeart

        return HttpHeart(cast("Heartbeat", spec.settings), resolve)
    from drd.notifiers.apprise import AppriseUrl

    return AppriseUrl(cast("AppriseSettings", spec.settings), resolve)


def open_heart(spec: Heartbeat, *, resolve: Resolve) -> Heart:
    """The address of a heartbeat. Its secret is resolved at each sign of life."""
    from drd.notifiers.heartbeat import HttpHeart

    return HttpHeart(spec, resolve)
