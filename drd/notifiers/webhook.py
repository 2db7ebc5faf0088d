"""Messages as JSON by HTTP POST."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from drd.fields import AbsolutePath, Duration, Secret
from drd.model.message import Message
from drd.model.plan import SecretRef
from drd.model.text import readable
from drd.model.units import to_rfc3339
from drd.notifiers.http import judge, post
from drd.notifiers.settings import Carrier
from drd.ports.notify import ChannelKind

SCHEMA = 1


class WebhookSettings(Carrier):
    """Messages as JSON by HTTP POST."""

    kind: Literal["webhook"]
    url: Secret = Field(description="The URL that drd sends messages to.")
    secret: Secret | None = Field(
        None,
        description="A key. drd signs each message with it (HMAC-SHA256 of the body) in the header "
        "`X-Drd-Signature`.",
    )
    token: Secret | None = Field(
        None, description="A token, which drd sends in the header `Authorization: Bearer TOKEN`."
    )
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of your own certificate authority."
    )
    timeout: Duration = Field(10.0, description="Time limit of one try to send a message.")


class Webhook:
    """A 2xx status is a delivery. The signature covers every byte of the body, which contains the
    time of sending: a receiver can recognise a repeat by `id` and an old message by `sent_at`."""

    def __init__(self, settings: WebhookSettings, resolve: Callable[[SecretRef], str]) -> None:
        self.settings = settings
        self.resolve = resolve

    def deliver(self, message: Message) -> str:
        settings = self.settings
        now = datetime.now(UTC)
        body = json.dumps(payload(message, now), ensure_ascii=True).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Drd-Event": message.event,
            "X-Drd-Delivery": message.id,
            "X-Drd-Timestamp": str(int(now.timestamp())),
        }
        if settings.secret is not None:
            headers["X-Drd-Signature"] = signature(self.resolve(settings.secret), body)
        if settings.token is not None:
            headers["Authorization"] = f"Bearer {self.resolve(settings.token)}"
        answer = post(
            self.resolve(settings.url),
            body,
            headers=headers,
            deadline_s=settings.timeout,
            ca_cert=settings.ca_cert,
        )
        return judge(answer)


def payload(message: Message, sent_at: datetime) -> dict[str, Any]:
    """Return the JSON for a receiver: `schema` first, then the message."""
    return {
        "schema": SCHEMA,
        "id": message.id,
        **_readable(message.to_json()),
        "host": socket.gethostname(),
        "sent_at": to_rfc3339(sent_at),
    }


def _readable(value: Any) -> Any:
    """Escape bytes that are not UTF-8 in all texts of a document: no program can read half a
    character."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, Mapping):
        return {key: _readable(one) for key, one in value.items()}
    return [_readable(one) for one in value] if isinstance(value, (list, tuple)) else value


def signature(secret: str, body: bytes) -> str:
    """Return `sha256=` and the HMAC of the body, as hexadecimal digits."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


SPEC = ChannelKind(
    "webhook",
    WebhookSettings,
    lambda spec, resolve: Webhook(spec.settings, resolve),
    address=("url",),
)
