"""An API gateway on loopback that enforces what its admin API is told: keys, a limit, a route."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADMIN = "admin-token-4711"


class Gateway:
    """`asked` are the requests to the admin API that change something, in their order."""

    def __init__(self) -> None:
        self.keys = {"1": "key-one-is-old"}
        self.limit = 100
        self.route = {"action": "allow"}
        self.used = 0
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def status(self, key: str) -> int:
        """The answer of the API to a client with this key."""
        request = urllib.request.Request(f"{self.url}/api", headers={"Key": key})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: str, headers: dict[str, str]) -> tuple[int, str]:
        if path == "/health":
            return 200, "well"
        if path == "/api":
            bearer = headers.get("Authorization", "").removeprefix("Bearer ")
            return self._api(headers.get("Key") or bearer)
        if path == "/open":
            return (200 if self.route["action"] == "allow" else 403), ""
        if headers.get("Authorization") != f"Bearer {ADMIN}":
            return 401, ""
        if method != "GET":
            self.asked.append(f"{method} {path}")
        return self._admin(method, path, body)

    def _api(self, key: str) -> tuple[int, str]:
        if key not in self.keys.values():
            return 401, ""
        if self.route["action"] != "allow":
            return 403, ""
        self.used += 1
        return (200, "orders") if self.used <= self.limit else (429, "")

    def _admin(self, method: str, path: str, body: str) -> tuple[int, str]:
        if path == "/limit":
            if method == "PUT":
                self.limit, self.used = int(json.loads(body)["per_minute"]), 0
            return 200, json.dumps({"per_minute": self.limit})
        if path == "/route":
            if method == "PUT":
                self.route = json.loads(body)
            return 200, json.dumps(self.route)
        if (method, path) == ("POST", "/keys"):
            number = str(len(self.asked) + 100)
            self.keys[number] = f"key-{number}-is-new"
            return 201, json.dumps({"id": number, "key": self.keys[number]})
        number = path.rpartition("/")[2]
        if number not in self.keys:
            return 404, ""
        if method == "DELETE":
            del self.keys[number]
        return 200, "{}"


def _handler(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, text = gateway.answer(self.command, self.path, body, dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_PUT = do_POST = do_DELETE = _any  # noqa: N815 - names of the library

        def log_message(self, *_: object) -> None:
            return

    return Handler
