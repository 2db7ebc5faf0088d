"""Requests to an S3 server, each bounded in time and in bytes whatever the server does.

botocore's timeouts count from one read to the next, so a server that drips holds it for ever, and
it reads an answer whole before anybody could cut it. So a request is made in a thread of its own,
whose connection is closed when its time is over or the run is cancelled, and answers are read up to
a bound.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any, Generic, TypeVar

from drd import process
from drd.errors import RepositoryUnreachable
from drd.repositories.place import LARGEST_ANSWER

T = TypeVar("T")

CONNECT_S = 3
READ_S = 8
"""Until a connection is there, and from one read to the next: a busy server has answered a first
listing after 5 s."""

_LOOK_S = 0.2
"""How often a cancel is looked for."""


class Times:
    """Seconds that a request may take in all; and that it may take for so long after one that
    nobody answered in time: on the worst day whoever asks next goes on to a copy. Tests set
    them."""

    all_s = 12.0
    again_s = 3.0
    doubt_s = 30.0


_silent: dict[str, float] = {}
"""When an endpoint last gave no answer in time. An answer to another question takes nothing
back."""


class TooLarge(Exception):
    """An answer is longer than any that S3 gives."""


def in_time(work: Callable[[], T], endpoint: str, most: int = LARGEST_ANSWER) -> T:
    """What `work` returns or raises, which sends requests by `session()`; of an object it gets
    `most` bytes. Raises RepositoryUnreachable when that takes too long, and Cancelled at once."""
    asked, begun = _Asked(work, most), time.monotonic()
    doubted = begun - _silent.get(endpoint, -Times.doubt_s) < Times.doubt_s
    patience_s = min(Times.again_s, Times.all_s) if doubted else Times.all_s
    asked.start()
    try:
        while not asked.over.wait(_LOOK_S):
            process.check_cancelled()
            if time.monotonic() - begun >= patience_s:
                if not doubted:
                    _silent[endpoint] = time.monotonic()
                raise RepositoryUnreachable(
                    f"cannot reach {endpoint}: no whole answer within {patience_s:.0f} s",
                    hint="check the URL, the network and that the S3 server runs.",
                )
    finally:
        asked.give_up()
    return asked.outcome()


class _Asked(threading.Thread, Generic[T]):
    def __init__(self, work: Callable[[], T], most: int) -> None:
        super().__init__(name="drd-s3", daemon=True)
        self.most = most
        self.over = threading.Event()
        self._work = work
        self._outcome: Callable[[], T] | None = None
        self._given_up = False
        self._connection: Any = None

    def run(self) -> None:
        _here.asked = self
        try:
            found = self._work()
            self._outcome = lambda: found
        except BaseException as error:  # noqa: BLE001 - for the thread that waits
            self._outcome = _raising(error)
        finally:
            self.over.set()

    def outcome(self) -> T:
        assert self._outcome is not None
        return self._outcome()

    def uses(self, connection: Any) -> None:
        """Remember the connection, to be able to close it. Raises TimeoutError when the caller has
        given up waiting for the answer."""
        self._connection = connection
        if self._given_up:
            connection.close()
            raise TimeoutError

    def give_up(self) -> None:
        """End what is still read, and with it the thread."""
        self._given_up = True
        opened = getattr(self._connection, "sock", None)
        if opened is not None and not self.over.is_set():
            with suppress(OSError):
                # Of the connection itself: TLS would wait for a goodbye.
                socket.socket.shutdown(opened, socket.SHUT_RDWR)


def _raising(error: BaseException) -> Callable[[], Any]:
    def outcome() -> Any:
        raise error

    return outcome


_here = threading.local()


def session(endpoint: str, certificates: str | None) -> Any:
    """What sends requests; any number of threads can use it."""
    from botocore.httpsession import URLLib3Session
    from botocore.utils import get_environ_proxies

    made = URLLib3Session(
        verify=True if certificates is None else certificates,
        proxies=get_environ_proxies(endpoint),
        timeout=(CONNECT_S, READ_S),
    )
    made._pool_classes_by_scheme.update(_pools())  # noqa: SLF001 - the one place that says what connects
    return made


def bind(client: Any, session: Any) -> None:
    """Let a client of boto3 send by `session`."""
    client.meta.events.register("before-send.s3", lambda request, **_: send(session, request))


def send(session: Any, request: Any) -> Any:
    """An answer that is there whole. Raises BotoCoreError; TooLarge, but of an object only its
    beginning is read."""
    from botocore.exceptions import HTTPClientError
    from urllib3.exceptions import HTTPError

    is_object, request.stream_output = request.stream_output, True
    answer = session.send(request)
    is_found = is_object and answer.status_code == 200
    most = _here.asked.most if is_found else LARGEST_ANSWER
    try:
        content = answer.raw.read(most + 1, decode_content=False)
    except (HTTPError, OSError) as error:
        raise HTTPClientError(error=error) from error
    if len(content) > most:
        answer.raw.close()
        if not is_found:
            raise TooLarge(f"an answer of more than {most >> 10} KiB")
    else:
        answer.raw.release_conn()
    answer.raw = _Content(content[:most])
    return answer


class _Content(io.BytesIO):
    """As botocore reads it."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.read()


@cache
def _pools() -> dict[str, Any]:
    """urllib3's, whose connections are known to the request that uses them."""
    from botocore import awsrequest

    class Plain(_Known, awsrequest.AWSHTTPConnection):  # type: ignore[misc]
        pass

    class Secure(_Known, awsrequest.AWSHTTPSConnection):  # type: ignore[misc]
        pass

    class PlainPool(awsrequest.AWSHTTPConnectionPool):  # type: ignore[misc]
        ConnectionCls = Plain

    class SecurePool(awsrequest.AWSHTTPSConnectionPool):  # type: ignore[misc]
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Known:
    def connect(self) -> None:
        self._tell()
        super().connect()  # type: ignore[misc]
        self._tell()

    def request(self, *args: Any, **kwargs: Any) -> Any:
        self._tell()
        return super().request(*args, **kwargs)  # type: ignore[misc]

    def _tell(self) -> None:
        asked = getattr(_here, "asked", None)
        if asked is not None:
            asked.uses(self)
