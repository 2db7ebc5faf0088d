"""A TCP proxy that breaks connections on demand: the network of the fault tests."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.servers.child import LOOPBACK

_CHUNK = 64 * 1024
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: close() sends RST


class Proxy:
    """Forwards `port` of loopback to a server, as well or as badly as its switches say.

    The switches may be turned at any time and take effect with the next chunk: `delay_s` before
    each chunk, `throttle_bps` bytes a second and direction, `corrupt` flips one bit in every
    chunk of 1 KiB or more that goes to the client (so that headers mostly survive),
    `cut_after` cuts once so many bytes were forwarded in all.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self.delay_s = 0.0
        self.throttle_bps: int | None = None
        self.corrupt = False
        self.cut_after: int | None = None
        self.forwarded = 0
        self._target = (target_host, target_port)
        self._refusing = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.host = LOOPBACK
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def endpoint(self) -> str:
        """The proxy as the endpoint of an S3 client."""
        return f"http://{self.host}:{self.port}"

    def cut(self) -> None:
        """Reset every connection, and every new one, until `resume()`."""
        self._refusing = True
        with self._lock:
            doomed = list(self._links)
        for link in doomed:
            link.reset()

    def stall(self) -> None:
        """Keep connections open, accept new ones, and forward nothing until `resume()`."""
        self._flowing.clear()

    def resume(self) -> None:
        """Forward again at once, without delay, throttle, corruption or cut."""
        self.delay_s, self.throttle_bps, self.corrupt, self.cut_after = 0.0, None, False, None
        self._refusing = False
        self._flowing.set()

    def close(self) -> None:
        """End every connection and free the port."""
        self.cut()
        self._flowing.set()
        # close() alone does not wake a thread that waits in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            try:
                if self._refusing:
                    raise ConnectionRefusedError
                server = socket.create_connection(self._target, timeout=5)
            except OSError:  # about what the client would see without us
                _reset(client)
                continue
            server.settimeout(None)
            self._connect(_Link(client, server))

    def _connect(self, link: _Link) -> None:
        with self._lock:
            self._links.add(link)
        for to_client in (False, True):
            threading.Thread(
                target=self._forward, args=(link, to_client), name="proxy", daemon=True
            ).start()

    def _forward(self, link: _Link, to_client: bool) -> None:
        source, sink = (link.server, link.client) if to_client else (link.client, link.server)
        try:
            while data := source.recv(_CHUNK):
                self._flowing.wait()
                time.sleep(self.delay_s)
                sink.sendall(_spoiled(data) if to_client and self.corrupt else data)
                self._account(len(data))
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # one end went away, or cut() did it: both ends see the same
            link.reset()
        with self._lock:
            link.directions -= 1
            if link.directions == 0:
                link.close()
                self._links.discard(link)

    def _account(self, size: int) -> None:
        with self._lock:
            self.forwarded += size
        if self.cut_after is not None and self.forwarded >= self.cut_after:
            self.cut()
        if self.throttle_bps:
            time.sleep(size / self.throttle_bps)


@dataclass(eq=False)
class _Link:
    client: socket.socket
    server: socket.socket
    directions: int = 2

    def reset(self) -> None:
        _reset(self.client)
        _reset(self.server)

    def close(self) -> None:
        self.client.close()
        self.server.close()


def _spoiled(data: bytes) -> bytes:
    if len(data) < 1024:
        return data
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # close() alone neither wakes a thread in recv() nor sends anything until that returned.
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextlib.contextmanager
def tcp_proxy(target_host: str, target_port: int) -> Iterator[Proxy]:
    """A proxy in front of a server, closed with all its connections at the end of the block."""
    proxy = Proxy(target_host, target_port)
    try:
        yield proxy
    finally:
        proxy.close()
