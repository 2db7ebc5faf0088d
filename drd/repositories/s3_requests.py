"""Send requests to an S3 server. Each request is limited in time and in bytes, even if the server
is hostile.

botocore's timeouts count from one read to the next, so a server that sends slowly blocks it for
ever, and botocore reads a whole answer before anyone can cut it. So each request runs in its own
thread, whose connection is closed when its time is over or the run is cancelled, and answers are
read up to a limit.
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

from botocore import awsrequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from drd import process
from drd.errors import RepositoryUnreachable
from drd.model.units import format_duration
from drd.repositories.place import LARGEST_ANSWER

T = TypeVar("T")

CONNECT_S = 3
READ_S = 8
"""Seconds until a connection is open, and from one read to the next: a busy server has answered a
first listing after 5 s.
"""

_LOOK_S = 0.2
"""How often, in seconds, drd checks for a cancel."""


class RequestTimes:
    """Seconds that a request may take in total; and the shorter limit after a request that timed
    out, so that a recovery soon uses a copy instead. Tests change these limits.
    """

    all_s = 12.0
    again_s = 3.0
    doubt_s = 30.0


_silent: dict[str, float] = {}
"""When an endpoint last gave no answer in time. Answers to other requests do not reset it."""


class TooLarge(Exception):
    """An answer is longer than any of S3's."""


def in_time(work: Callable[[], T], endpoint: str, most: int = LARGEST_ANSWER) -> T:
    """Return the result of `work`, or raise its error; `work` sends requests by `session()`. Reads
    at most `most` bytes of an object. Raises RepositoryUnreachable when it takes too long, and
    Cancelled at once.
    """
    asked, begun = _RequestThread(work, most), time.monotonic()
    doubted = begun - _silent.get(endpoint, -RequestTimes.doubt_s) < RequestTimes.doubt_s
    patience_s = min(RequestTimes.again_s, RequestTimes.all_s) if doubted else RequestTimes.all_s
    asked.start()
    try:
        while not asked.over.wait(_LOOK_S):
            process.check_cancelled()
            if time.monotonic() - begun >= patience_s:
                if not doubted:
                    _silent[endpoint] = time.monotonic()
                raise RepositoryUnreachable(
                    f"cannot reach {endpoint}: no complete answer within "
                    f"{format_duration(patience_s)}",
                    hint="check the URL, the network and that the S3 server runs.",
                )
    finally:
        asked.give_up()
    return asked.outcome()


class _RequestThread(threading.Thread, Generic[T]):
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
            result = self._work()
            self._outcome = lambda: result
        except BaseException as error:  # noqa: BLE001 - for the thread that waits
            self._outcome = _raising(error)
        finally:
            self.over.set()

    def outcome(self) -> T:
        assert self._outcome is not None
        return self._outcome()

    def note_connection(self, connection: Any) -> None:
        """Note the connection, to be able to close it. Raises TimeoutError when the caller has
        stopped waiting for the answer.
        """
        self._connection = connection
        if self._given_up:
            connection.close()
            raise TimeoutError

    def give_up(self) -> None:
        """Close the connection, which ends the thread."""
        self._given_up = True
        opened = getattr(self._connection, "sock", None)
        if opened is not None and not self.over.is_set():
            with suppress(OSError):
                # Shut down the socket itself: TLS would wait for the other side.
                socket.socket.shutdown(opened, socket.SHUT_RDWR)


def _raising(error: BaseException) -> Callable[[], Any]:
    def outcome() -> Any:
        raise error

    return outcome


_here = threading.local()


def session(endpoint: str, certificates: str | None) -> Any:
    """Return the session that sends requests; any number of threads can share it."""
    made = URLLib3Session(
        verify=True if certificates is None else certificates,
        proxies=get_environ_proxies(endpoint),
        timeout=(CONNECT_S, READ_S),
    )
    made._pool_classes_by_scheme.update(_pools())  # noqa: SLF001 - the one place that says what connects
    return made


def bind(client: Any, session: Any) -> None:
    """Let a client of boto3 send through `session`."""
    client.meta.events.register("before-send.s3", lambda request, **_: send(session, request))


def send(session: Any, request: Any) -> Any:
    """Return an answer that was read completely. If the answer is an object, only its beginning is
    read. Raises BotoCoreError and TooLarge.
    """
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
    """A body in the form that botocore reads."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.read()


@cache
def _pools() -> dict[str, Any]:
    """urllib3's pools, with connections that tell the request that they are used."""

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
            asked.note_connection(self)
