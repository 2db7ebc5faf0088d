"""An HTTP server on loopback that answers as a test says, also wrongly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Writes = Callable[[BaseHTTPRequestHandler], None]


class Scripted:
    """`answers` has by path (with its query, or else without) what is sent: JSON, or a function
    that writes to the connection. `asked` are the paths that were asked, in order."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.daemon_threads = True
        server.scripted = self  # type: ignore[attr-defined]
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        scripted: Scripted = self.server.scripted  # type: ignore[attr-defined]
        scripted.asked.append(self.path)
        scripted.headers.append(dict(self.headers))
        plain = self.path.partition("?")[0]
        answer = scripted.answers.get(self.path, scripted.answers.get(plain, ...))
        if answer is ...:
            send(self, b'{"error": "no"}', status=404)
        elif callable(answer):
            answer(self)
        else:
            send(self, json.dumps(answer).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the library
        pass


def send(
    to: BaseHTTPRequestHandler,
    body: bytes,
    *,
    status: int = 200,
    kind: str = "application/json",
    length: int | None = None,
    headers: Mapping[str, str] = {},
) -> None:
    to.send_response(status)
    to.send_header("Content-Type", kind)
    to.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        to.send_header(name, value)
    to.end_headers()
    to.wfile.write(body)
