"""Name lookups of a fenced process: its resolver talks to the warden, which answers for declared
hosts, and refuses and records the rest.
"""

from __future__ import annotations

import _socket as socket
import errno
import os
import select
import struct
from _thread import start_new_thread

from drd.fence.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST = 4096
_MANY = 512
_A, _AAAA = 1, 28
_REFUSED = 5
_TTL_S = 60


class Names:
    """`known` are the declared hosts with their addresses.

    A fenced process has one end of a socket pair, and we the other: nobody else can ask. One thread
    answers all of them.
    """

    def __init__(self, record: Record, known: Mapping[str, tuple[bytes, ...]]) -> None:
        self._record = record
        self._known = known
        self._waiting: dict[int, socket.socket] = {}
        self._ours: dict[int, socket.socket] = {}
        self._poll: select.epoll | None = None

    def pair(self) -> socket.socket:
        """Replaces a datagram socket of the process. Nobody answers in it before `lead_here`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._waiting[os.fstat(theirs.fileno()).st_ino] = ours
        return theirs

    def lead_here(self, number: int) -> None:
        """Answer in the socket of this number; calling it once is enough. Raises OSError for too
        many.
        """
        if len(self._ours) >= _MANY:
            raise OSError(errno.EAGAIN, "too many lookups at a time")
        ours = self._waiting.pop(number, None)
        if ours is None:
            return
        if self._poll is None:
            self._poll = select.epoll()
            start_new_thread(self._serve, (self._poll,))
        self._ours[ours.fileno()] = ours
        self._poll.register(ours.fileno(), select.EPOLLIN)

    def forget(self, number: int) -> None:
        """Close drd's end of a socket that the process no longer has. A socket on which the process
        has asked a question is closed when the process closes its own end."""
        ours = self._waiting.pop(number, None)
        if ours is not None:
            ours.close()

    def _serve(self, poll: select.epoll) -> None:
        while True:
            for descriptor, _ in poll.poll():
                if not self._talk(self._ours[descriptor]):
                    self._ours.pop(descriptor).close()

    def _talk(self, asking: socket.socket) -> bool:
        """Answer one question on this socket. Returns whether the socket is to be kept open for
        more."""
        try:
            answer = self.answer(asking.recv(_LARGEST))
            if answer is not None:
                asking.send(answer)
        except BlockingIOError:
            return True  # it does not read its answers: it gets no more
        except OSError:
            return False
        return answer is not None

    def answer(self, query: bytes) -> bytes | None:
        """Return the answer to one question of a resolver; None if it is not a question."""
        if not query:
            return None  # the end
        parsed = question(query)
        if parsed is None:
            self._record.tried("dns")
            return None
        name, kind, end = parsed
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
    """Name and type of the first question, and its end."""
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


def address_bytes(text: str) -> bytes:
    """Return the bytes of an address."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return socket.inet_pton(family, text.partition("%")[0])
