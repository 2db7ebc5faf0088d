"""Caddy on loopback: a real server whose configuration is changed by an HTTP API."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any


class Caddy:
    """One Caddy, with an admin API at `url` and a directory of its own."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.sites = _free_port()
        config = directory / "start.json"
        config.write_text(json.dumps({"admin": {"listen": f"127.0.0.1:{port}"}}))
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(directory)}
        self._log = (directory / "log").open("wb")
        self._process = subprocess.Popen(
            ["caddy", "run", "--config", str(config)],
            env=environment,
            stdout=self._log,
            stderr=self._log,
        )
        self._wait()

    def ask(self, path: str, method: str = "GET", body: Any = ...) -> Any:
        data = None if body is ... else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def says(self) -> str:
        """What the site that it serves answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.sites}/", timeout=10) as answer:
            return str(answer.read().decode())

    def serve(self, text: str) -> None:
        self.ask("/config/apps", "POST", self.apps(text))

    def apps(self, text: str) -> dict[str, Any]:
        handler = {"handler": "static_response", "body": text}
        server = {"listen": [f"127.0.0.1:{self.sites}"], "routes": [{"handle": [handler]}]}
        return {"http": {"servers": {"shop": {**server, "automatic_https": {"disable": True}}}}}

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._log.close()

    def _wait(self) -> None:
        limit = time.monotonic() + 20
        while time.monotonic() < limit:
            with suppress(OSError):
                self.ask("/config/")
                return
            time.sleep(0.05)
        raise TimeoutError("caddy does not answer")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
