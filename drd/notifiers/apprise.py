"""Messages through Apprise, which is not installed unless it was asked for."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from drd.errors import NotifyError
from drd.log import masked
from drd.model.message import Message
from drd.model.plan import SecretRef
from drd.notifiers.settings import AppriseSettings

_LOGGER = "apprise"


class AppriseUrl:
    """One service by its URL. Apprise never raises and has no deadline: its answer is judged, and
    a try that takes too long is left to itself."""

    def __init__(self, settings: AppriseSettings, resolve: Callable[[SecretRef], str]) -> None:
        self.settings = settings
        self.resolve = resolve

    def deliver(self, message: Message) -> str:
        apprise = _library()
        url = self.resolve(self.settings.url)
        # One thread: what it logs there is about this try.
        asset = apprise.AppriseAsset(async_mode=False)
        service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if service is None:
            raise NotifyError(
                "the secret of the address holds no URL that Apprise knows",
                hint="see https://github.com/caronc/apprise for the notation of each service.",
                permanent=True,
            )
        name = str(service.service_name or service.schema)
        try_ = _Try(lambda: _notify(apprise, service, message))
        if not try_.ended_within(self.settings.timeout):
            raise NotifyError(
                f"{name} took no message within {self.settings.timeout:g} s",
                hint="see that it is up, or raise `timeout`.",
            )
        if not try_.taken:
            said = _without(url, try_.said)
            raise NotifyError(f"{name} took no message" + (f": {said}" if said else ""))
        return f"{name} accepted it"


def _library() -> ModuleType:
    try:
        import apprise
    except ImportError as error:
        raise NotifyError(
            "Apprise is not installed",
            hint="install it beside drd: pip install 'drd[apprise]'",
            permanent=True,
        ) from error
    # It logs addresses, and without a handler Python would print them.
    logger = logging.getLogger(_LOGGER)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    module: ModuleType = apprise
    return module


def _without(url: str, text: str) -> str:
    """What was logged, without any part of the address that could be a key."""
    for piece in sorted(re.split(r"[/:@?&=]+", url), key=len, reverse=True):
        if len(piece) >= 6:
            text = text.replace(piece, "***").replace(unquote(piece), "***")
    return text


def _notify(apprise: Any, service: Any, message: Message) -> bool:
    kinds = {"critical": "failure", "warning": "warning", "info": "info"}
    kind = "success" if message.event == "resolved" else kinds[message.severity]
    sender = apprise.Apprise(asset=service.asset)
    sender.add(service)
    result = sender.notify(
        title=message.title,
        body=message.text or message.title,
        notify_type=kind,
        body_format="text",
    )
    return bool(result)  # true, or an object that says more, or None when nobody was told


class _Try:
    """One call in a thread of its own, with what Apprise logged in it."""

    def __init__(self, call: Callable[[], bool]) -> None:
        self.taken = False
        self.said = ""
        self._call = call
        self._thread = threading.Thread(target=self._work, name="drd-apprise", daemon=True)

    def ended_within(self, seconds: float) -> bool:
        self._thread.start()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        heard = _Heard(threading.get_ident())
        logger = logging.getLogger(_LOGGER)
        logger.addHandler(heard)
        try:
            self.taken = self._call()
        except Exception as error:  # noqa: BLE001 (a service's plugin is foreign code)
            self.said = masked(f"{type(error).__name__}: {error}")
        finally:
            logger.removeHandler(heard)
        self.said = self.said or heard.last


class _Heard(logging.Handler):
    """The last warning that one thread logged, without secrets."""

    def __init__(self, thread: int) -> None:
        super().__init__(logging.WARNING)
        self._thread = thread
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.last = " ".join(masked(record.getMessage()).split())[:200]
