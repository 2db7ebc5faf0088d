"""One request over the socket: read within limits, matched, checked, answered."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import ValidationError

from drd import log
from drd.api import requests
from drd.api.answers import ANSWERS
from drd.api.caller import Caller, Peer
from drd.api.requested import AdmittedRequest
from drd.api.rights import ENDPOINTS, LARGEST_MESSAGE, Endpoint
from drd.bootstrap import App
from drd.catalogue.diagnosis import explain
from drd.errors import CatalogueError, DrdError, Refused, UnknownPlan, UsageError
from drd.ports.intake import TooMany

SCHEMA = 1
LARGEST_HEAD = 16 << 10
"""Limit in bytes of the request line and the headers."""
AT_WORK = 4
"""Requests that are processed at a time, so that the daemon's loop gets CPU time."""

_SHOWN = 40
_log = log.get()


@dataclass(frozen=True, slots=True)
class AnswerSources:
    """The source of answers. `wake` makes the daemon's loop check what was left for it."""

    app: App
    wake: Callable[[], None]
    patience_s: float
    at_work: threading.Semaphore


class Failed(Exception):
    """A request that failed: the status, and the error."""

    def __init__(
        self, status: HTTPStatus, message: str, hint: str = "", exit_code: int = 1
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.hint, self.exit_code = status, message, hint, exit_code

    def document(self) -> dict[str, Any]:
        """Return the error as `--json` prints a failure."""
        return {"error": {"message": self.message, "hint": self.hint, "exit": self.exit_code}}


def serve_one(
    connection: socket.socket, peer: Peer, house: AnswerSources, refusal: Failed | None = None
) -> None:
    """Read a request from the connection and answer it. With `refusal`, the answer is this refusal,
    whatever the request is. Raises OSError when the client is gone."""
    _Handler(connection, peer, house, refusal)


def send_failure(connection: socket.socket, failed: Failed) -> None:
    """Answer without reading the request, and without waiting for the client."""
    connection.setblocking(False)
    connection.send(failure(failed))


def failure(failed: Failed) -> bytes:
    """Return the whole answer."""
    body = _encoded(failed.document())
    head = (
        f"HTTP/1.1 {failed.status.value} {failed.status.phrase}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Retry-After: 1\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


class _Bounded(io.RawIOBase):
    """The connection, limited to so many bytes: a larger request ends there."""

    def __init__(self, connection: socket.socket, limit: int) -> None:
        self._connection, self._left = connection, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._left)
        count = self._connection.recv_into(memoryview(buffer)[:wanted]) if wanted else 0
        self._left -= count
        return count


class _Reader(io.BufferedReader):
    """Reads the head of a request by lines. It must be complete, and no longer than
    LARGEST_HEAD."""

    _left = LARGEST_HEAD
    _begun = False

    def readline(self, size: int | None = -1) -> bytes:
        """Read one line. Raises Failed."""
        most = self._left + 1 if size is None or size < 0 else min(size, self._left + 1)
        line = super().readline(most)
        self._left -= len(line)
        if self._left < 0:
            raise Failed(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the address and the headers of the request have more than {LARGEST_HEAD} bytes",
            )
        if not line.endswith(b"\n") and (line or self._begun):
            raise _too_early()
        self._begun = True
        return line


def _too_early() -> Failed:
    return Failed(
        HTTPStatus.BAD_REQUEST, "the request ended before its headers or its body were complete"
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(
        self, connection: socket.socket, peer: Peer, house: AnswerSources, refusal: Failed | None
    ) -> None:
        self._peer, self._house, self._refusal = peer, house, refusal
        self._ends_at = time.monotonic() + house.patience_s
        self.requestline = self.request_version = self.command = ""  # until they are read
        super().__init__(connection, ("", 0), None)  # type: ignore[arg-type]  # no server needed

    def setup(self) -> None:
        super().setup()
        bounded = _Bounded(self.connection, LARGEST_HEAD + LARGEST_MESSAGE)
        self.rfile = _Reader(bounded, LARGEST_HEAD)

    def handle(self) -> None:
        self.close_connection = True
        try:
            self.handle_one_request()
        except Failed as failed:
            self._send(failed.status, failed.document())
        self.close_connection = True

    def do_GET(self) -> None:
        self._respond()

    do_POST = do_GET  # noqa: N815 (named by http.server)

    def _respond(self) -> None:
        try:
            document = self._find()
        except Failed as failed:
            self._send(failed.status, failed.document())
        except DrdError as error:
            told = _failure(error)
            self._send(told.status, told.document())
        except Exception as error:  # noqa: BLE001 (supervises: a request must not end the daemon)
            _log.error("api.failed", path=self.path, error=f"{type(error).__name__}: {error}")
            told = self._unforeseen(error)
            self._send(told.status, told.document())
        else:
            self._send(HTTPStatus.OK, document)

    def _unforeseen(self, error: Exception) -> Failed:
        """Return the answer to an unexpected error: a malformed value in the catalogue, or a
        bug."""
        settings = self._house.app.settings
        try:
            explain(error, settings.state_url, settings.state_password)
        except CatalogueError as explanation:
            return _failure(explanation)
        return Failed(
            HTTPStatus.INTERNAL_SERVER_ERROR, "internal error", "check drd's log: journalctl -u drd"
        )

    def _find(self) -> Mapping[str, Any]:
        if self._refusal is not None:
            raise self._refusal
        try:
            address = urlsplit(self.path)
        except ValueError:
            raise Failed(
                HTTPStatus.BAD_REQUEST, "drd cannot read the address of the request", exit_code=2
            ) from None
        endpoint, names = _match(self.command, address.path)
        settings = self._house.app.settings
        caller = Caller.of(self._peer, settings)
        caller.require(endpoint.right, endpoint.what, settings)
        for key, value in names.items():
            if not re.fullmatch(requests.PARTS[key], value):
                raise Failed(
                    HTTPStatus.BAD_REQUEST, f"{value!r} is not a valid {_WORDS[key]}", exit_code=2
                )
        length = self._length(endpoint.largest)
        given = _query(address.query) if self.command == "GET" else self._body(length)
        body = _checked(endpoint, given)
        if not self._house.at_work.acquire(timeout=self._house.patience_s / 2):
            raise Failed(HTTPStatus.SERVICE_UNAVAILABLE, "the daemon is busy", "try again.")
        try:
            app, wake = self._house.app, self._house.wake
            asked = AdmittedRequest(app, caller, names, body, wake, self._ends_at)
            return ANSWERS[endpoint.name](asked)
        finally:
            self._house.at_work.release()

    def _length(self, largest: int) -> int:
        given = self.headers.get_all("Content-Length", ["0"])
        if len(given) > 1:
            raise Failed(HTTPStatus.BAD_REQUEST, "Content-Length is given twice", exit_code=2)
        [text] = given
        if "Transfer-Encoding" in self.headers or not text.isascii() or not text.isdigit():
            raise Failed(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
        digits = text.lstrip("0") or "0"  # int() refuses thousands of them
        if len(digits) > len(str(largest)) or int(digits) > largest:
            shown = digits if len(digits) <= _SHOWN else f"{digits[:_SHOWN]}…"
            raise Failed(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the request has {shown} bytes, more than {largest}",
            )
        return int(digits)

    def _body(self, length: int) -> dict[str, Any]:
        raw = self.rfile.read(length)
        if len(raw) < length:
            raise _too_early()
        try:
            parsed = json.loads(raw or b"{}", object_pairs_hook=_once)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            raise Failed(HTTPStatus.BAD_REQUEST, "the request is not a JSON object", exit_code=2)
        return parsed

    def _send(self, status: HTTPStatus, document: Mapping[str, Any]) -> None:
        body = _encoded(document)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(
        self,
        code: int,
        message: str | None = None,
        explain: str | None = None,  # noqa: ARG002 (http.server passes it)
    ) -> None:
        """Answer a request that http.server itself refuses: it is malformed, or has an unknown
        method.
        """
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self._send(status, Failed(status, (message or status.phrase).lower()).document())

    def version_string(self) -> str:
        return "drd"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (named by http.server)
        """Record nothing here: requests that act are recorded with their action."""


_WORDS = {
    "plan": "name of a plan",
    "run": "id of a run",
    "alert": "id of an alert",
    "step": "name of a step",
    "incident": "number of an incident",
    "message": "number of a message",
    "exercise": "number of an exercise that was played",
    "name": "name",
}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise _twice(key)
        members[key] = value
    return members


def _twice(key: str) -> Failed:
    return Failed(HTTPStatus.BAD_REQUEST, f"the key {key[:_SHOWN]!r} is given twice", exit_code=2)


@cache
def _patterns() -> list[tuple[Endpoint, re.Pattern[str]]]:
    return [(e, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", e.path))) for e in ENDPOINTS]


def _match(method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
    allowed = set()
    for endpoint, pattern in _patterns():
        match = pattern.fullmatch(path)
        if match is not None and endpoint.method == method:
            return endpoint, {k: unquote(v, errors="replace") for k, v in match.groupdict().items()}
        if match is not None:
            allowed.add(endpoint.method)
    if allowed:
        raise Failed(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{path} allows only the method {' or '.join(sorted(allowed))}",
        )
    raise Failed(
        HTTPStatus.NOT_FOUND,
        f"the API does not have the path {path[:80]!r}",
        "see docs/api.md, which lists all paths.",
    )


_NUMBERS = frozenset({"limit", "incident", "version"})
"""The keys of a query whose values are numbers. Values of other keys stay text, also digits."""


def _query(text: str) -> dict[str, Any]:
    """Parse the query: its numbers and booleans, which a body has by itself."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else []
    except ValueError:
        raise Failed(
            HTTPStatus.BAD_REQUEST, "drd cannot read the query of the address", exit_code=2
        ) from None
    query: dict[str, Any] = {}
    for key, value in pairs:
        if key in query:
            raise _twice(key)
        plain = {"true": True, "false": False}.get(value, value)
        digits = isinstance(plain, str) and plain.isascii() and plain.isdigit() and len(plain) < 10
        query[key] = int(value) if digits and key in _NUMBERS else plain
    return query


def _checked(endpoint: Endpoint, given: dict[str, Any]) -> requests.Request:
    try:
        return endpoint.takes.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"])
        if first["type"] == "string_too_long":
            raise _too_long(where, len(first["input"]), first["ctx"]["max_length"]) from None
        known = ", ".join(endpoint.takes.model_fields) or "nothing"
        raise Failed(
            HTTPStatus.BAD_REQUEST,
            f"{where or 'the request'}: {first['msg'][:1].lower()}{first['msg'][1:]}",
            f"allowed keys: {known} (docs/api.md).",
            exit_code=2,
        ) from None


def _too_long(where: str, length: int, most: int) -> Failed:
    return Failed(
        HTTPStatus.BAD_REQUEST,
        f"{where} has {length:,} characters, more than the {most:,} that are allowed",
        f"write at most {most:,} characters.",
        exit_code=2,
    )


def _failure(error: DrdError) -> Failed:
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    for kind, exception in (
        (Refused, HTTPStatus.FORBIDDEN),
        (TooMany, HTTPStatus.TOO_MANY_REQUESTS),
        (UnknownPlan, HTTPStatus.NOT_FOUND),
        (CatalogueError, HTTPStatus.SERVICE_UNAVAILABLE),
        (UsageError, HTTPStatus.BAD_REQUEST),
    ):
        if isinstance(error, kind):
            status = exception
            break
    if error.exit_code == 11:
        status = HTTPStatus.CONFLICT
    message, hint = log.masked(error.message), log.masked(error.hint)
    return Failed(status, message, hint, error.exit_code)


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps({"schema": SCHEMA, **document}, ensure_ascii=True).encode() + b"\n"
