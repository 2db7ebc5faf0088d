"""The answer to one request."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from drd import log
from drd.metrics import CONTENT_TYPE
from drd.web.health import DaemonHealth

_TEXT = "text/plain; charset=utf-8"
_log = log.get()


class Answers:
    """The source of metrics and health. Metrics are rendered for one client at a time."""

    def __init__(
        self, supplier: Callable[[], bytes], health: Callable[[], DaemonHealth], patience_s: float
    ) -> None:
        self._supplier = supplier
        self._patience_s = patience_s
        self._rendering = threading.Lock()
        self.health = health

    def metrics(self) -> bytes | None:
        """Return the metrics; None if earlier requests did not finish, or there are no
        metrics yet.
        """
        if not self._rendering.acquire(timeout=self._patience_s):
            return None
        try:
            return self._supplier() or None
        finally:
            self._rendering.release()


def serve_one(connection: socket.socket, _: Callable[[], None], answers: Answers) -> None:
    """Read a request from the connection and answer it. Raises OSError when the client is gone."""
    _Handler(connection, answers)


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, connection: socket.socket, answers: Answers) -> None:
        self._answers = answers
        super().__init__(connection, ("", 0), None)  # type: ignore[arg-type]  # no server needed

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        try:
            answer = self._find(path)
        except Exception as error:  # noqa: BLE001 (supervises: a request must not end the daemon)
            _log.error("metrics.failed", path=path, error=str(error))
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        if isinstance(answer, HTTPStatus):
            self.send_error(answer)
        else:
            self._answer(*answer)

    do_HEAD = do_GET  # noqa: N815 (the same without a body)

    def _find(self, path: str) -> tuple[HTTPStatus, str, bytes] | HTTPStatus:
        if path == "/metrics":
            metrics = self._answers.metrics()
            if metrics is None:
                return HTTPStatus.SERVICE_UNAVAILABLE
            return HTTPStatus.OK, CONTENT_TYPE, metrics
        if path == "/healthz":
            health = self._answers.health()
            status = HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE
            return status, "application/json", json.dumps(health.document()).encode() + b"\n"
        return HTTPStatus.NOT_FOUND

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(
        self,
        code: int,
        message: str | None = None,
        explain: str | None = None,  # noqa: ARG002 (http.server passes it)
    ) -> None:
        """Answer in plain words; an unknown method counts as not allowed."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
        text = f"{message or status.phrase}; use GET /metrics or GET /healthz\n"
        self._answer(status, _TEXT, text.encode())

    def version_string(self) -> str:
        return "drd"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (named by http.server)
        """Do not log scrapes, which come every few seconds."""
