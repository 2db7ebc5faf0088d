"""Ask an HTTP API for JSON, and send it requests: bounded, at one address, with secrets that are
resolved here."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from drd import http, process
from drd.errors import DrdError, SourceError, SourceMissing, SourceUnreachable
from drd.kinds.http.canonical import MOST_WEIGHT, canonical_json, parsed
from drd.kinds.http.settings import HttpSettings, HttpTarget, normal_address
from drd.masking import masked
from drd.model.malformed import Malformed
from drd.model.text import escaped, shortened
from drd.model.units import format_duration, format_size
from drd.secrets import resolve

LARGEST = 32 << 20
"""The most bytes of one answer."""

_TRIES = 5
_LONGEST_WAIT_S = 60.0
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json|text/json|text/plain", re.IGNORECASE)
_QUOTED = 200
_READ = 1 << 16
_LONGEST_COUNT = 19
_LATER = (429, 503)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request that was accepted: the headers, the JSON, None without a body, and
    the bytes that came."""

    headers: Message
    data: Any
    size: int


class Unaccepted(DrdError):
    """The server has answered with another status than 2xx."""

    permanent = False

    def __init__(self, message: str, status: int, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Api:
    """An API. `base` is its address without the path of a request."""

    def __init__(
        self, settings: HttpSettings | HttpTarget, headers: Mapping[str, str] | None = None
    ) -> None:
        """`headers`, for a server of drd's own, replace those of the settings."""
        parts = http.parts_of(settings.url)
        if parts is None:
            raise SourceError(
                f"{settings.url} is not the address of a web server",
                hint="correct `url`: it begins with http:// or https://.",
            )
        self._settings = settings
        self._parts = parts
        self._headers = headers
        self._context: Any = None

    @property
    def base(self) -> str:
        return self._settings.url.rstrip("/")

    @property
    def total_timeout(self) -> float:
        """The time limit of one reading of all documents, in seconds."""
        return self._settings.total_timeout

    def get(self, path: str, *, within_s: float = math.inf) -> Reply:
        """Return the answer. Raises SourceMissing for a 404, SourceUnreachable if another try may
        help, SourceError for every answer that cannot be used."""
        try:
            return self._accepted("GET", path, ..., within_s)
        except Unaccepted as error:
            raise _as_source(error) from None

    def send(self, method: str, path: str, body: Any = ...) -> Reply:
        """Send a request, with JSON if there is a body. A server that asks to wait is asked again.
        Raises Unaccepted for a status that is not 2xx, SourceUnreachable if there is no answer, and
        SourceError for an answer that cannot be used."""
        return self._accepted(method, path, body, math.inf)

    def _accepted(self, method: str, path: str, body: Any, within_s: float) -> Reply:
        called = f"{method} {path.partition('?')[0]}"
        until = time.monotonic() + within_s
        for tries_left in range(_TRIES - 1, -1, -1):
            left_s = until - time.monotonic()
            answer = self._exchange(method, path, body, called, within_s=left_s)
            wait_s = _asks_to_wait(answer)
            if not tries_left or wait_s is None or time.monotonic() + wait_s >= until:
                break
            _sleep(wait_s)
        if not 200 <= answer.status <= 299:
            raise _unaccepted(answer, called)
        self._require_whole(answer, called)
        if method != "GET":
            return Reply(answer.headers, None, len(answer.body))
        return Reply(answer.headers, _json(answer, called), len(answer.body))

    def path_of(self, link: str, of: str) -> str:
        """Return the path of a link in the answer to a path. Raises SourceError for a link to
        another address: the headers would go there as well."""
        try:
            url = urljoin(f"{self.base}{of}", link)
            parts = urlsplit(url)
            origin = normal_address(url)[:3]
        except ValueError:
            origin, parts = ("", "", 0), urlsplit("")
        below = self._parts.path.rstrip("/")
        own = normal_address(self.base)[:3]
        leaves = any(unquote(part) in (".", "..") for part in parts.path.split("/"))
        is_below = parts.path.startswith(f"{below}/") and not leaves
        if origin != own or not is_below or not url.isprintable():
            raise SourceError(
                f"GET {of.partition('?')[0]}: the address of the next page differs from `url`: "
                f"{shortened(escaped(masked(link)), 100)}",
                hint=f"drd sends requests only to {self.base}: find out why the server names "
                "another address. If the server is behind a proxy, set the public address "
                "of the server in its settings.",
            )
        path = parts.path.removeprefix(below)
        return f"{path}?{parts.query}" if parts.query else path

    def _exchange(
        self, method: str, path: str, body: Any, called: str, *, within_s: float
    ) -> http.Answer:
        process.check_cancelled()
        whole = http.parts_of(self.base + path)
        if whole is None:
            raise SourceError(
                f"{called}: the path is not valid in a URL",
                hint="correct the path in `documents`.",
            )
        sent = {"Accept": "application/json", **self._own_headers()}
        if body is not ...:
            sent["Content-Type"] = "application/json"
        try:
            return http.exchange(
                whole,
                method,
                None if body is ... else canonical_json(body),
                headers=sent,
                deadline_s=max(0.1, min(self._settings.timeout, within_s)),
                most=LARGEST + 1,
                trust=self._trust,
                loopback_directly=True,
            )
        except http.NoAnswer as error:
            raise SourceUnreachable(
                f"{called}: {error.message}", hint=error.hint, permanent=error.permanent
            ) from None

    def _trust(self) -> Any:
        if self._context is None:
            self._context = http.tls_context(self._settings.ca_cert, beside_system=True)
        return self._context

    def _own_headers(self) -> Mapping[str, str]:
        if self._headers is None:
            settings = self._settings
            headers = {name: resolve(ref) for name, ref in settings.headers.items()}
            if settings.token is not None:
                headers["Authorization"] = f"Bearer {resolve(settings.token)}"
            self._headers = headers
        return self._headers

    def _require_whole(self, answer: http.Answer, called: str) -> None:
        """Raise for an answer that was cut off, is too large, or is encoded."""
        if answer.is_late:
            limit = format_duration(self._settings.timeout)
            raise SourceUnreachable(
                f"{called}: {answer.host} did not finish its answer within {limit}",
                hint="check the server, or raise `timeout` of the component.",
            )
        if len(answer.body) > LARGEST:
            raise SourceError(
                f"{called}: the answer is larger than {format_size(LARGEST)}",
                hint="request only a part of the data: add a parameter to `get`, or use `paging`.",
            )
        said = answer.headers.get("Content-Length", "")
        if said.isdecimal() and said.lstrip("0") != str(len(answer.body)).lstrip("0"):
            whole = f"{int(said):,}" if len(said) <= _LONGEST_COUNT else "more"
            raise SourceUnreachable(
                f"{called}: the answer was cut off after {len(answer.body):,} of {whole} bytes",
                hint="check the server, and the proxies in front of the server.",
            )
        if (encoding := answer.headers.get("Content-Encoding", "identity")) != "identity":
            raise SourceError(
                f"{called}: the answer is encoded as {shortened(escaped(encoding), 30)}, but "
                "drd did not request an encoding",
                hint="correct the server, or the proxy in front of the server.",
            )


def _json(answer: http.Answer, called: str) -> Any:
    if not answer.body:
        raise SourceError(
            f"{called}: the answer is empty",
            hint="check the path: the server must answer it with JSON.",
        )
    kind = answer.headers.get_content_type() if "Content-Type" in answer.headers else ""
    if kind and not _JSON.fullmatch(kind):
        raise SourceError(
            f"{called}: the answer is {shortened(escaped(kind), 40)}, not JSON",
            hint="check `url` and the path: the address of a web page or a login page is a common "
            "mistake.",
        )
    try:
        return parsed(answer.body, most=MOST_WEIGHT)
    except Malformed as error:
        raise SourceError(
            f"{called}: the answer {error.fact}",
            hint="check the server, and the proxies in front of the server.",
        ) from None


def _unaccepted(answer: http.Answer, called: str) -> Unaccepted:
    status = answer.status
    said = ""
    if "html" not in answer.headers.get("Content-Type", ""):
        # Masked before it is cut: half a secret would be recognised no more.
        said = " ".join(masked(answer.body[:_READ].decode("utf-8", "replace")).split())
    text = f"{called}: {answer.host} answers {status}"
    if 300 <= status <= 399:
        place = shortened(escaped(masked(answer.headers.get("Location", ""))), 100)
        hint = "write the final address into `url`: drd does not follow redirects."
        return Unaccepted(f"{text}, a redirect to {place or 'an empty address'}", status, hint)
    if said:
        text += f": {shortened(escaped(said), _QUOTED)}"
    return Unaccepted(text, status, _hint_of(status))


def _hint_of(status: int) -> str:
    if status in (401, 403):
        return "check the token or header of this component, and its rights on the server."
    if status in (404, 405):
        return "check the path in the plan, and the version of the server."
    if status in _LATER:
        return "reduce the number of requests, or raise the request limit of the server."
    if status >= 500:
        return "check the server and its log."
    return "check the request in the plan against the documentation of the server."


def _as_source(error: Unaccepted) -> SourceError:
    if error.status == 404:
        return SourceMissing(error.message, hint=error.hint)
    if error.status >= 500 or error.status in _LATER:
        return SourceUnreachable(error.message, hint=error.hint)
    return SourceError(error.message, hint=error.hint)


def _asks_to_wait(answer: http.Answer) -> float | None:
    """Return for how long the server asks to wait, if that is not too long."""
    said = answer.headers.get("Retry-After", "")
    if answer.status not in _LATER or not said.isdecimal():
        return None
    return float(said) if float(said) <= _LONGEST_WAIT_S else None


def _sleep(seconds: float) -> None:
    limit = time.monotonic() + seconds
    while (left := limit - time.monotonic()) > 0:
        process.check_cancelled()
        time.sleep(min(left, 0.2))
