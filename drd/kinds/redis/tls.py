"""A connection over TLS for redis-cli, which does not check for which host a certificate is. drd's
own client connects, and checks the certificate and the name of the server; redis-cli gets a Unix
socket in drd's own directory."""

from __future__ import annotations

import os
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from drd.kinds.file_system import remove
from drd.kinds.redis.address import Address
from drd.kinds.redis.client import ANSWER_S, Login, opened

SOCKET = "tls.sock"
_CHUNK = 1 << 18


@contextmanager
def forwarded(login: Login, directory: Path) -> Iterator[Login]:
    """Connect to the server, and forward the first connection to `SOCKET` in the directory, which
    the given login names: for a program that works in there. Raises SourceUnreachable."""
    with opened(login) as server, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        remove(directory / SOCKET)
        at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            listener.bind(f"/proc/self/fd/{at}/{SOCKET}")  # the path itself may be too long
            (directory / SOCKET).chmod(0o600)
            listener.listen(1)
            thread = Thread(
                target=_forward, args=(listener, server), name="drd-redis-tls", daemon=True
            )
            thread.start()
            try:
                yield login._replace(address=Address(socket=SOCKET))
            finally:
                for one in (listener, server):
                    with suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)
                thread.join()
        finally:
            os.close(at)
            remove(directory / SOCKET)


def _forward(listener: socket.socket, server: socket.socket) -> None:
    """Copy in both directions until one of them ends."""
    with suppress(OSError):
        client = listener.accept()[0]
        listener.close()  # nobody else gets in
        with client:
            while True:
                pending = getattr(server, "pending", int)() > 0
                ready = [server] if pending else select.select([client, server], [], [])[0]
                for one in ready:
                    server.settimeout(0)  # a record of TLS may contain no data at all
                    try:
                        data = one.recv(_CHUNK)
                    except ssl.SSLWantReadError:
                        continue
                    if not data:
                        return
                    server.settimeout(ANSWER_S)
                    (server if one is client else client).sendall(data)
