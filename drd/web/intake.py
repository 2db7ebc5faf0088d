"""The listener for alerts of other systems: it accepts alerts at one path, and answers nothing
else."""

from __future__ import annotations

import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from drd.errors import DrdError
from drd.exhaustion import system_reason
from drd.web.server import DEADLINE_S, LoopbackServer, listening

PATH = "/intake"
RATE = 5.0
"""Messages a second that are read; BURST of them at once."""
BURST = 20.0
_LINGER_S = 1.0
_BEARER = "bearer "


class IntakeUnserved(DrdError):
    """The address for alerts of other systems cannot be listened on."""

    permanent = False


class Outcome(NamedTuple):
    """The answer to a message: its status and its text."""

    status: HTTPStatus
    document: Mapping[str, Any]


class Refusal(Exception):
    """A request that is refused, with clear words. `retry_s`: it may be sent again after that."""

    def __init__(self, status: HTTPStatus, message: str, retry_s: int = 0) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_s = status, message, retry_s


class Gate:
    """What the listener needs. `take` gets a message of at most `largest` bytes. Only the digest of
    the token is kept, and the time of the comparison does not depend on what was sent."""

    def __init__(self, token: str, largest: int, take: Callable[[bytes], Outcome]) -> None:
        self._digest = _digest(token)
        self.largest = largest
        self.take = take
        self._lock = threading.Lock()
        self._tokens, self._at = BURST, time.monotonic()

    def knows(self, token: str) -> bool:
        """Return whether this is the token."""
        return hmac.compare_digest(_digest(token), self._digest)

    def may_enter(self) -> bool:
        """Return whether another message is read now."""
        with self._lock:
            now = time.monotonic()
            self._tokens = min(BURST, self._tokens + (now - self._at) * RATE)
            self._at = now
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True


class IntakeServer(LoopbackServer):
    """Takes alerts at `POST /intake`."""

    @classmethod
    def start(
        cls, address: tuple[str, int], gate: Gate, *, deadline_s: float = DEADLINE_S
    ) -> IntakeServer:
        """Listen and return; port 0 is any free one. Raises IntakeUnserved when the address is not
        available."""
        host, port = address
        try:
            listener = listening(address)
        except OSError as error:
            reason = system_reason(error)
            raise IntakeUnserved(
                f"cannot take alerts on {host}, port {port}: {reason}",
                hint=f"find out which process listens there with `ss -ltnp 'sport = :{port}'`, or "
                "choose another port in `incident: {intake: {listen: …}}` of drd.yaml.",
            ) from error
        return cls(listener, partial(_Handler.serve, gate=gate), deadline_s)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def _let_finish(connection: socket.socket) -> None:
    """Read what the client still sends, for a moment: closing the connection before that would lose
    the answer."""
    connection.shutdown(socket.SHUT_WR)
    limit = time.monotonic() + _LINGER_S
    while (left_s := limit - time.monotonic()) > 0:
        connection.settimeout(left_s)
        if not connection.recv(1 << 16):
            return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, connection: socket.socket, keep: Callable[[], None], gate: Gate) -> None:
        self._gate, self._keep = gate, keep
        self.requestline = self.request_version = self.command = ""  # until they are read
        super().__init__(connection, ("", 0), None)  # type: ignore[arg-type]  # no server needed

    @classmethod
    def serve(cls, connection: socket.socket, keep: Callable[[], None], gate: Gate) -> None:
        """Read a request from the connection and answer it. Raises OSError when the client is
        gone."""
        cls(connection, keep, gate)
        _let_finish(connection)

    def handle(self) -> None:
        self.close_connection = True
        self.handle_one_request()
        self.close_connection = True

    def do_POST(self) -> None:
        try:
            self._admit()
            outcome = self._gate.take(self._body())
        except Refusal as refusal:
            self._refuse(refusal)
        else:
            self._send(outcome.status, outcome.document)

    def _admit(self) -> None:
        """Raise Refusal for all but a message of a sender who has the token."""
        if self.path != PATH:
            raise Refusal(HTTPStatus.NOT_FOUND, f"this server answers only POST {PATH}")
        given = self.headers.get_all("Authorization", [])
        word = given[0] if len(given) == 1 else ""
        is_bearer = word[: len(_BEARER)].lower() == _BEARER
        if not self._gate.knows(word[len(_BEARER) :].strip() if is_bearer else ""):
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "the token is wrong or missing: send Authorization: Bearer TOKEN",
            )
        self._keep()
        if not self._gate.may_enter():
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"this client has sent more than {RATE:.0f} messages in a second",
                retry_s=5,
            )

    def _body(self) -> bytes:
        given = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or len(given) != 1:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing, or given twice")
        text, largest = given[0].strip(), self._gate.largest
        if not text.isascii() or not text.isdigit():
            why = f"the header Content-Length is {text[:40]!r}, which is not a number"
            raise Refusal(HTTPStatus.BAD_REQUEST, why)
        digits = text.lstrip("0") or "0"  # int() refuses thousands of them
        if len(digits) > len(str(largest)) or int(digits) > largest:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the message has more than {largest} bytes"
            )
        raw = self.rfile.read(int(digits))
        if len(raw) < int(digits):
            raise Refusal(
                HTTPStatus.BAD_REQUEST, "the message ended before Content-Length bytes had arrived"
            )
        return raw

    def _refuse(self, refusal: Refusal) -> None:
        self._send(refusal.status, {"error": refusal.message}, refusal.retry_s)

    def _send(self, status: HTTPStatus, document: Mapping[str, Any], retry_s: int = 0) -> None:
        body = json.dumps(document).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Bearer realm="drd"')
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "POST")
        if retry_s:
            self.send_header("Retry-After", str(retry_s))
        self.end_headers()
        self.wfile.write(body)

    def send_error(
        self,
        code: int,
        message: str | None = None,
        explain: str | None = None,  # noqa: ARG002 (http.server passes it)
    ) -> None:
        """Answer what http.server itself refuses; an unknown method counts as not allowed."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
            message = f"this server answers only POST {PATH}"
        self._send(status, {"error": message or status.phrase})

    def version_string(self) -> str:
        return "drd"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (named by http.server)
        """Record nothing here: what a message did is in the records."""
