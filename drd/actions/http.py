"""The step `http`: one request, and whether the answer is what the plan expects."""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from drd.actions.command import missing_rollback
from drd.actions.settings import HttpSettings
from drd.errors import StepFailed
from drd.masking import mask_login, masked
from drd.model.runbook import Step
from drd.model.values import filled
from drd.ports import Finding
from drd.ports.action import ActionContext

TIMEOUT_S = 30.0
_LARGEST = 1 << 20
_KEPT = 4000
_LOOPBACK = re.compile(r"https?://(localhost|127\.[0-9.]+|\[::1\])([:/]|$)")


class Request:
    """Sends the key of the step as `Idempotency-Key`, so that the other side may tell a repetition
    from a second order."""

    def preflight(self, step: Step) -> list[Finding]:
        return missing_rollback(step)

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, HttpSettings)
        url = filled(settings.url, context.value)
        status, text = ask(
            url,
            method=settings.method,
            headers={
                "Idempotency-Key": context.key,
                **{k: filled(v, context.value) for k, v in settings.headers.items()},
            },
            body=filled(settings.body, context.value).encode() if settings.body else None,
            timeout_s=context.step.timeout_s or TIMEOUT_S,
            ca_cert=settings.ca_cert,
        )
        context.keep("body", text[:_KEPT])
        found = {"status": status, "body": masked(text)[:_KEPT]}
        if not _expected(status, settings.expect):
            wanted = _words(settings.expect)
            raise StepFailed(f"{url} answers {status}, not {wanted}", result=found)
        if settings.contains is not None and settings.contains not in text:
            raise StepFailed(f'{url} does not say "{settings.contains}"', result=found)
        return found


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float,
    ca_cert: str | None = None,
) -> tuple[int, str]:
    """Status and text of the answer, which is an answer whatever its status is.

    Raises StepFailed when there is none.
    """
    _hide_proxies()
    try:
        trust = ssl.create_default_context()
        if ca_cert is not None:
            trust.load_verify_locations(ca_cert)
        handlers: list[urllib.request.BaseHandler] = [
            urllib.request.HTTPSHandler(context=trust),
            _NoRedirects(),
        ]
        if _LOOPBACK.match(url):
            handlers.append(urllib.request.ProxyHandler({}))  # nobody reaches it through a proxy
        opener = urllib.request.build_opener(*handlers)
        request = urllib.request.Request(  # noqa: S310 (the scheme is looked at here)
            url, data=body, method=method, headers=dict(headers or {})
        )
        if request.type not in ("http", "https"):
            raise StepFailed(f"{url} is no address of a web server", hint="write http(s)://….")
        with opener.open(request, timeout=timeout_s) as answer:
            return int(answer.status), _text(answer.read(_LARGEST))
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _text(error.read(_LARGEST))
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise StepFailed(f"{url} does not answer: {reason or type(error).__name__}") from error


def _hide_proxies() -> None:
    """Hide the logins of proxies in what they answer: the library sends them without asking us."""
    for proxy in map(urlsplit, urllib.request.getproxies().values()):
        if proxy.username and proxy.password:
            user, password = unquote(proxy.username), unquote(proxy.password)
            mask_login(f"{user}:{password}", password)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _expected(status: int, expect: int | list[int] | None) -> bool:
    if expect is None:
        return 200 <= status <= 299
    return status in ([expect] if isinstance(expect, int) else expect)


def _words(expect: int | list[int] | None) -> str:
    if expect is None:
        return "200 to 299"
    return " or ".join(str(e) for e in ([expect] if isinstance(expect, int) else expect))
