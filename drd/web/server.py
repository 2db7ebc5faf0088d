"""A small HTTP server on loopback that no client can block.

A connection carries one request, has its own thread, and is closed after a time limit in any case.
There are few at a time; a new one replaces the oldest, unless that has shown a token."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from functools import partial

from drd.errors import MetricsError
from drd.exhaustion import system_reason
from drd.web.handler import Answers, serve_one
from drd.web.health import DaemonHealth

CONNECTIONS = 8
"""Connections at a time. Prometheus needs one; a pair of them, a proxy and a person fit."""

DEADLINE_S = 10.0
"""Seconds for a whole request: as long as Prometheus waits."""

_ROOM_S = 1.0
"""How many seconds a new connection waits until a closed one is gone."""


Serve = Callable[[socket.socket, Callable[[], None]], None]


class LoopbackServer:
    """Answers connections at `address`, in its own threads, until it is closed. `serve` answers one
    connection; it raises OSError when the client is gone. It may call what it gets beside the
    connection: then no new connection replaces this one."""

    def __init__(self, listener: socket.socket, serve: Serve, deadline_s: float) -> None:
        self._listener = listener
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self._serve_one = serve
        self._deadline_s = deadline_s
        self._open: dict[socket.socket, float] = {}  # oldest first, with the time of its end
        self._known: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._room = threading.Semaphore(CONNECTIONS)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="loopback", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and cut every connection. A second call does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        self._thread.join()
        self._listener.close()
        self._cut_until(float("inf"))

    def _keep(self, connection: socket.socket) -> None:
        with self._lock:
            self._known.add(connection)

    def _accept(self) -> None:
        """Milliseconds to wait: without limit while nobody is connected, else until a connection
        must be closed."""
        while not self._closed.is_set():
            try:
                self._listener.settimeout(self._next_cut_s())
                connection, _ = self._listener.accept()
            except TimeoutError:
                self._cut_until(time.monotonic())
            except OSError:
                # Closed, or no descriptor is free; the connected clients will free some.
                self._closed.wait(_ROOM_S)
                self._cut_until(time.monotonic())
            else:
                self._admit(connection)

    def _next_cut_s(self) -> float | None:
        with self._lock:
            first = next(iter(self._open.values()), None)
        return None if first is None else max(0.001, first - time.monotonic())

    def _admit(self, connection: socket.socket) -> None:
        if not self._room.acquire(blocking=False):
            self._cut_oldest()
            if not self._room.acquire(timeout=_ROOM_S):
                connection.close()
                return
        with self._lock:
            self._open[connection] = time.monotonic() + self._deadline_s
        thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
        thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(self._deadline_s)
            self._serve_one(connection, partial(self._keep, connection))
        except OSError:
            pass  # the client disconnected, or was cut off
        finally:
            with self._lock:
                self._open.pop(connection, None)
                self._known.discard(connection)
                connection.close()
            self._room.release()

    def _cut_oldest(self) -> None:
        with self._lock:
            replaceable = (c for c in self._open if c not in self._known)
            if (oldest := next(replaceable, None)) is not None:
                _cut(self._open, oldest)

    def _cut_until(self, moment: float) -> None:
        with self._lock:
            for connection in [c for c, until in self._open.items() if until <= moment]:
                _cut(self._open, connection)


def _cut(among: dict[socket.socket, float], connection: socket.socket) -> None:
    """Wake the thread that reads or writes, with an error; it closes the connection."""
    del among[connection]
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class MetricsServer(LoopbackServer):
    """Serves `/metrics` and `/healthz`."""

    @classmethod
    def start(
        cls,
        address: tuple[str, int],
        supplier: Callable[[], bytes],
        health: Callable[[], DaemonHealth],
        *,
        deadline_s: float = DEADLINE_S,
    ) -> MetricsServer:
        """Listen and return; port 0 is any free one.

        Both functions are called from other threads, `supplier` only by one thread at a time. The
        result of `supplier` stays in memory until every client has received it, so return the same
        bytes until the next tick. Raises MetricsError when the address is not available."""
        answers = Answers(supplier, health, deadline_s)
        return cls(_listen(address), partial(serve_one, answers=answers), deadline_s)


def _listen(address: tuple[str, int]) -> socket.socket:
    host, port = address
    try:
        return listening(address)
    except OSError as error:
        reason = system_reason(error)
        raise MetricsError(
            f"cannot serve metrics on {host}, port {port}: {reason}",
            hint=f"find out which process listens there with `ss -ltnp 'sport = :{port}'`, or "
            "choose another port in metrics.http of drd.yaml.",
        ) from error


def listening(address: tuple[str, int]) -> socket.socket:
    """Return a socket that listens at an address of loopback. Raises OSError."""
    family = socket.AF_INET6 if ipaddress.ip_address(address[0]).version == 6 else socket.AF_INET
    return socket.create_server(address, family=family, backlog=CONNECTIONS)
