"""Heartbeats in the form of healthchecks: URL/start, URL, URL/fail."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from drd import log
from drd.model.message import Message
from drd.model.plan import Heartbeat, SecretRef
from drd.model.text import readable
from drd.notifiers.http import judge, post
from drd.notifiers.settings import HeartbeatSettings
from drd.ports.notify import ChannelKind, Signal

LONGEST_TEXT = 8 << 10
"""Bytes of text in the body; healthchecks keeps ten thousand."""

_SUFFIX = {"start": "/start", "success": "", "fail": "/fail"}


class HttpWatcher:
    """A POST for each heartbeat, with the end of the text as its body."""

    def __init__(self, spec: Heartbeat, resolve: Callable[[SecretRef], str]) -> None:
        self.spec = spec
        self.resolve = resolve

    def ping(self, signal: Signal, text: str) -> None:
        self._post(signal, text)

    def deliver(self, message: Message) -> str:
        """Send a message as a heartbeat: a test of all channels uses this."""
        return self._post("success", f"{message.title}\n{message.text}")

    def _post(self, signal: Signal, text: str) -> str:
        answer = post(
            address(self.resolve(self.spec.url), signal),
            readable(log.masked(text)).encode()[-LONGEST_TEXT:],
            headers={"Content-Type": "text/plain; charset=utf-8"},
            deadline_s=self.spec.timeout_s,
            ca_cert=self.spec.ca_cert,
        )
        return judge(answer)


def address(url: str, signal: Signal) -> str:
    """The suffix goes before a query."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + _SUFFIX[signal]))


SPEC = ChannelKind(
    "heartbeat", HeartbeatSettings, lambda spec, resolve: HttpWatcher(spec.settings, resolve)
)
