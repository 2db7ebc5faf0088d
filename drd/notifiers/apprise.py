"""Messages through Apprise, which is only installed on request."""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import Field

from drd.errors import NotifyError
from drd.fields import Duration, Secret
from drd.masking import mask_login, masked
from drd.model.message import Message
from drd.model.plan import SecretRef
from drd.model.units import format_duration
from drd.notifiers.settings import Carrier
from drd.ports.notify import ChannelKind

_LOGGER = "apprise"


class AppriseSettings(Carrier):
    """Messages through any of the services that Apprise knows."""

    kind: Literal["apprise"]
    url: Secret = Field(
        description="The receiver, as a URL of Apprise (https://github.com/caronc/apprise)."
    )
    timeout: Duration = Field(30.0, description="Time limit of one try to send a message.")


class AppriseUrl:
    """One service by its URL. Apprise never raises and has no deadline: its result is checked, and
    a try that takes too long is abandoned."""

    def __init__(self, settings: AppriseSettings, resolve: Callable[[SecretRef], str]) -> None:
        self.settings = settings
        self.resolve = resolve

    def deliver(self, message: Message) -> str:
        apprise = _library()
        url = self.resolve(self.settings.url)
        service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if service is None:
            raise NotifyError(
                "the secret with the address does not contain a URL that Apprise knows",
                hint="write a URL of Apprise into the secret: "
                "https://github.com/caronc/apprise lists them for each service.",
                permanent=True,
            )
        name = str(service.service_name or service.schema)
        try_ = _Try(lambda: _notify(apprise, service, message))
        if not try_.ended_within(self.settings.timeout):
            raise NotifyError(
                f"{name} did not accept the message within "
                f"{format_duration(self.settings.timeout)}",
                hint="check that the server is running, or raise `timeout`.",
            )
        if not try_.taken:
            said = masked(try_.said, _secret_parts(url))[:200]
            raise NotifyError(f"{name} did not accept the message" + (f": {said}" if said else ""))
        return f"{name} accepted the message"


def _library() -> ModuleType:
    try:
        import apprise
    except ImportError as error:
        raise NotifyError(
            "Apprise is not installed",
            hint=f"install Apprise in the Python environment of drd: {sys.executable} -m pip "
            "install 'apprise>=2.3,<3'",
            permanent=True,
        ) from error
    # It logs addresses, and without a handler Python would print them.
    logger = logging.getLogger(_LOGGER)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    module: ModuleType = apprise
    return module


def _secret_parts(url: str) -> set[str]:
    """Return the parts of an address that could be keys; its login is masked from now on."""
    pieces = {piece for piece in re.split(r"[/:@?&=]+", url) if len(piece) >= 6}
    if login := re.match(r"[^:/?#]+://([^:/?#]*):([^/?#]*)@", url):
        user, password = map(unquote, login.groups())
        for between in (f"{user}:", f"\0{user}\0"):  # of HTTP and of mail
            mask_login(between + password, password)
    return pieces


def _notify(apprise: Any, service: Any, message: Message) -> Any:
    """Apprise's result: true if the service accepted it, and iterable over the log lines."""
    kinds = {"critical": "failure", "warning": "warning", "info": "info"}
    kind = "success" if message.event == "resolved" else kinds[message.severity]
    sender = apprise.Apprise()
    sender.add(service)
    return sender.notify(
        title=message.title,
        body=message.text or message.title,
        notify_type=kind,
        body_format="text",
    )


def _last_words(result: Any) -> str:
    logged = [entry.message for service in result for attempt in service for entry in attempt]
    return " ".join(str(logged[-1]).split()) if logged else ""


class _Try:
    """One call in a thread of its own."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.taken = False
        self.said = ""
        self._call = call
        self._thread = threading.Thread(target=self._work, name="drd-apprise", daemon=True)

    def ended_within(self, seconds: float) -> bool:
        self._thread.start()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            result = self._call()
            self.taken = bool(result)
            self.said = _last_words(result)
        except Exception as error:  # noqa: BLE001 (a service's plugin is foreign code)
            self.said = f"{type(error).__name__}: {error}"


SPEC = ChannelKind(
    "apprise", AppriseSettings, lambda spec, resolve: AppriseUrl(spec.settings, resolve)
)
