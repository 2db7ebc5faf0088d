"""A small configuration API on loopback: services in pages, with ids that the server chooses and
times that change, and one document of settings."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "s3cret-of-the-api"
PAGE = 2


class RestApi:
    """`requests` are the methods and paths that were asked, `services` what it has by id."""

    def __init__(self) -> None:
        self.services: dict[int, dict[str, Any]] = {}
        self.settings: dict[str, Any] | None = None
        self.requests: list[tuple[str, str]] = []
        self._ids = count(1)
        self._clock = count(1000)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.daemon_threads = True
        server.api = self  # type: ignore[attr-defined]
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def add(self, name: str, **fields: Any) -> None:
        self._put(next(self._ids), {"name": name, **fields})

    def fill(self) -> None:
        for number in range(5):
            self.add(f"shop/{number}", port=8000 + number, tags=["b", "a"])
        self.settings = {"theme": "dark", "limits": {"rate": 2.5}}

    def clear(self) -> None:
        self.services.clear()
        self.settings = None

    def names(self) -> list[str]:
        return sorted(str(s["name"]) for s in self.services.values())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _put(self, number: int, data: dict[str, Any]) -> None:
        kept = {k: v for k, v in data.items() if k not in ("id", "updated_at")}
        self.services[number] = {**kept, "id": number, "updated_at": next(self._clock)}

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        url = urlsplit(target)
        head, _, last = url.path.rpartition("/")
        match method, url.path, head:
            case "GET", "/services", _:
                return 200, self._page(int(parse_qs(url.query).get("after", ["0"])[0]))
            case "POST", "/services", _:
                if body["name"] in self.names():
                    return 409, {"error": f"service {body['name']} exists"}
                self._put(next(self._ids), body)
                return 201, {}
            case "PUT", _, "/services" if last.isdecimal() and int(last) in self.services:
                self._put(int(last), body)
                return 200, {}
            case "DELETE", _, "/services" if last.isdecimal() and int(last) in self.services:
                del self.services[int(last)]
                return 204, None
            case "GET", "/settings", _ if self.settings is not None:
                return 200, self.settings
            case "PUT", "/settings", _:
                self.settings = body
                return 200, {}
        return 404, {"error": "not found"}

    def _page(self, after: int) -> Any:
        ids = [i for i in sorted(self.services) if i > after]
        more = ids[PAGE - 1] if len(ids) > PAGE else None
        return {"data": [self.services[i] for i in ids[:PAGE]], "meta": {"next": more}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        api: RestApi = self.server.api  # type: ignore[attr-defined]
        api.requests.append((self.command, self.path))
        size = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(size)) if size else None
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, data = 401, {"error": "who are you?"}
        else:
            status, data = api.answer(self.command, self.path, body)
        text = b"" if status == 204 else json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - the names of the library

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the library
        pass


def documents() -> list[dict[str, Any]]:
    """The entries of a plan for this API."""
    return [
        {
            "get": "/services",
            "items": "/data",
            "paging": {"cursor": "after", "cursor_at": "/meta/next"},
            "save_as": "service-{name}",
            "leave_out": ["/id", "/updated_at"],
            "unordered": ["/tags"],
            "put_back": {
                "create": "POST /services",
                "update": "PUT /services/{id}",
                "delete": "DELETE /services/{id}",
            },
        },
        {"get": "/settings", "save_as": "settings", "put_back": {"update": "PUT /settings"}},
    ]
