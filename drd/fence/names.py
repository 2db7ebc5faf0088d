"""What a fenced process looks up: its resolver talks to the warden, who answers for what is declared
and refuses, and writes down, the rest."""

from __future__ import annotations

import _socket as socket
import struct
from _thread import start_new_thread

from drd.fence import kernel
from drd.fence.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PATIENCE_S = 10.0
_LARGEST = 4096
_A, _AAAA = 1, 28
_REFUSED = 5
_TTL_S = 60


class Names:
    """`known` are the declared hosts with the addresses that they have."""

    def __init__(self, record: Record, known: Mapping[str, tuple[bytes, ...]]) -> None:
        self._record = record
        self._known = known
        self._server: socket.socket | None = None

    def lead_here(self, descriptor: int) -> None:
        """Connect the socket that stands for one of datagrams to us. Raises OSError."""
        if self._server is None:
            self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._server.bind("")
            self._server.listen(16)
            start_new_thread(self._serve, (self._server,))
        name = self._server.getsockname()
        there = struct.pack("=H", socket.AF_UNIX) + name
        kernel.call("connect", descriptor, kernel.text(there), len(there))

    def _serve(self, server: socket.socket) -> None:
        while True:
            try:
                descriptor = kernel.call("accept", server.fileno(), None, None)
            except OSError:
                return
            start_new_thread(self._talk, (socket.socket(fileno=descriptor),))

    def _talk(self, asking: socket.socket) -> None:
        try:
            asking.settimeout(_PATIENCE_S)
            while query := asking.recv(_LARGEST):
                answer = self.answer(query)
                if answer is None:
                    break
                asking.send(answer)
        except OSError:
            pass
        finally:
            asking.close()

    def answer(self, query: bytes) -> bytes | None:
        """To one question of a resolver; None when it is none."""
        found = question(query)
        if found is None:
            self._record.tried("dns")
            return None
        name, kind, end = found
        addresses = self._known.get(name.lower())
        if addresses is None:
            self._record.tried("dns", name)
            return _head(query, _REFUSED, 0) + query[12:end]
        size = {_A: 4, _AAAA: 16}.get(kind)
        records = [
            struct.pack("!HHHIH", 0xC00C, kind, 1, _TTL_S, len(a)) + a
            for a in addresses
            if len(a) == size
        ]
        return _head(query, 0, len(records)) + query[12:end] + b"".join(records)


def _head(query: bytes, code: int, answers: int) -> bytes:
    return query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, answers, 0, 0)


def question(query: bytes) -> tuple[str, int, int] | None:
    """Name and type of the first question, and where it ends."""
    at, labels = 12, []
    while at < len(query) and query[at]:
        size = query[at]
        if size > 63:
            return None
        labels.append(query[at + 1 : at + 1 + size].decode("ascii", "replace"))
        at += 1 + size
    if not labels or at + 5 > len(query):
        return None
    (kind,) = struct.unpack_from("!H", query, at + 1)
    return ".".join(labels), kind, at + 5


def resolved(text: str) -> bytes:
    """An address in its bytes."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return socket.inet_pton(family, text.partition("%")[0])
