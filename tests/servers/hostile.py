"""An S3 server that answers as it is told to: without end, by drops, nonsense; else nothing is in
it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from tests.servers.child import LOOPBACK

Manner = Literal["well", "drips", "drips headers", "endless", "loops", "loses its place"]

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_BLOCK = b"A" * (1 << 16)


class Hostile:
    """`manner` may be turned at any time and counts from the next request. `sent` is how many bytes
    of answers without end the client has taken; `date` stands instead of the time."""

    def __init__(self) -> None:
        self.manner: Manner = "well"
        self.status = 200
        self.date: str | None = None
        self.sent = 0
        self.requests = 0
        self.open = 0
        self._server = _Server(self)
        self.port = int(self._server.server_address[1])
        self.endpoint = f"http://{LOOPBACK}:{self.port}"

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hostile: Hostile) -> None:
        self.hostile = hostile
        super().__init__((LOOPBACK, 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        told = self.server.hostile.date
        return super().date_time_string(timestamp) if told is None else told

    def do_GET(self) -> None:
        hostile = self.server.hostile
        hostile.requests += 1
        hostile.open += 1
        with contextlib.suppress(OSError):
            self._answer(hostile)
        hostile.open -= 1

    do_HEAD = do_GET  # noqa: N815 - the name that the standard library asks for

    def _answer(self, hostile: Hostile) -> None:
        if hostile.manner == "endless":
            self._endless(hostile)
        elif hostile.manner.startswith("drips"):
            self._drip(headers=hostile.manner == "drips headers")
        else:
            loops = "<IsTruncated>true</IsTruncated>"
            if hostile.manner == "loops":
                loops += "<NextContinuationToken>abc</NextContinuationToken>"
            inner = loops if hostile.manner.startswith("lo") else "<IsTruncated>false</IsTruncated>"
            self._send(f'<ListBucketResult xmlns="{_NAMESPACE}">{inner}</ListBucketResult>')

    def _send(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    def _drip(self, *, headers: bool) -> None:
        """A byte now and then: sooner than any wait for one would end."""
        self.close_connection = True
        if headers:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drop: ")
        else:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
        while True:
            self.wfile.write(b"x")
            time.sleep(0.1)

    def _endless(self, hostile: Hostile) -> None:
        self.close_connection = True
        self.send_response(hostile.status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(1 << 12):  # an end all the same: 256 MiB
            self.wfile.write(b"%x\r\n%s\r\n" % (len(_BLOCK), _BLOCK))
            hostile.sent += len(_BLOCK)


@contextlib.contextmanager
def hostile_server() -> Iterator[Hostile]:
    """A started one."""
    hostile = Hostile()
    threading.Thread(target=hostile.run, name="hostile", daemon=True).start()
    try:
        yield hostile
    finally:
        hostile.close()
