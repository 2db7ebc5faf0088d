"""Ask the daemon through its socket, for users who do not own the state."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from drd import process
from drd.api import admission
from drd.bootstrap import App
from drd.cli.enduring import app_of
from drd.errors import DrdError, NotOwner
from drd.model.units import format_duration
from drd.process.actors import as_root_types_it

_NAME = "drd.sock"
_PATIENCE_S = 15.0
_AGAIN_S = 0.02
_LARGEST = 256 << 20


class Answered(DrdError):
    """An error of the daemon, reported as the command's own."""

    def __init__(self, message: str, hint: str, exit_code: int) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


def document(
    args: argparse.Namespace,
    path: str,
    local: Callable[[App], Mapping[str, Any]],
    **query: Any,
) -> dict[str, Any]:
    """Return the document of a reading verb: from the state, for its owner and root, else from the
    daemon."""
    with app_of(args, reading=True) as opened:
        if opened.state.is_ours:
            return dict(local(opened))
        return Remote(opened).get(path, **query)


class Remote:
    """The daemon of another user's state. If no daemon answers, methods raise NotOwner with the
    command for root; if the daemon refuses, they raise Answered."""

    def __init__(self, app: App) -> None:
        self._settings = app.settings
        self._directory = app.settings.public_dir
        self._owner = app.state.owner

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the document at `path`, without `schema`; None values of the query are left
        out."""
        words = {
            key: str(value).lower() if isinstance(value, bool) else value
            for key, value in query.items()
            if value is not None
        }
        return self._ask("GET", f"{path}?{urlencode(words)}" if words else path)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Ask for an action; None values of the body are left out."""
        return self._ask("POST", path, {k: v for k, v in body.items() if v is not None})

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("drd", timeout=_PATIENCE_S)
        try:
            connection.sock = self._connected()
            raw = _json(body) if body is not None else None
            # The server may close the connection of a refused client while that still sends.
            with suppress(BrokenPipeError):
                connection.request(method, path, raw, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            parsed = json.loads(answer.read(_LARGEST))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._nobody(error) from error
        finally:
            connection.close()
        if answer.status != 200:
            told = parsed["error"]
            raise Answered(str(told["message"]), str(told["hint"]), int(told["exit"]))
        del parsed["schema"]
        return dict(parsed)

    def _connected(self) -> socket.socket:
        """Through the directory's descriptor: a socket's path must be short."""
        fd = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(_PATIENCE_S)
            _connect(made, f"/proc/self/fd/{fd}/{_NAME}")
        except BaseException:
            made.close()
            raise
        finally:
            os.close(fd)
        return made

    def _nobody(self, error: Exception) -> DrdError:
        where = self._directory / _NAME
        if isinstance(error, PermissionError):
            words, remedy = admission.refusal(process.user_name(os.geteuid()), self._settings)
            return NotOwner(words, hint=remedy)
        if isinstance(error, TimeoutError):
            return NotOwner(
                f"the daemon did not answer at {where} within {format_duration(_PATIENCE_S)}",
                hint=f"try again, or {as_root_types_it()}",
            )
        if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
            return NotOwner(
                f"drd's state belongs to {self._owner}, and no daemon answers at {where}",
                hint=f"{as_root_types_it()}; or start the daemon: systemctl start drd",
            )
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
        return NotOwner(f"cannot ask the daemon at {where}: {reason}", hint=as_root_types_it())


def _json(body: Mapping[str, Any]) -> bytes:
    """Non-ASCII letters are not escaped: a long report would become too large. Bytes of an argument
    that are not UTF-8 stay as Python reads them."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _connect(made: socket.socket, path: str) -> None:
    """Try again while the socket's queue is full. Raises TimeoutError, and the errors
    of `connect`."""
    limit = time.monotonic() + _PATIENCE_S
    while True:
        try:
            made.connect(path)
        except BlockingIOError as full:
            if time.monotonic() > limit:
                raise TimeoutError("the queue of the socket is full") from full
            time.sleep(_AGAIN_S)
        else:
            return
