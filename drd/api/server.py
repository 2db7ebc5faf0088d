"""The daemon's Unix socket: a small HTTP server that no client can block.

A connection carries one request, has its own thread, and is closed after a time limit in any case.
Each user has a few connections at a time and a limited rate of requests; users without rights
cannot connect (see `admission`), or get a refusal without a thread. The server has its own threads:
the daemon's loop does not wait for them."""

from __future__ import annotations

import os
import select
import socket
import stat
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from drd import log
from drd.api import admission
from drd.api.caller import Caller, Peer, credentials
from drd.api.handler import AT_WORK, AnswerSources, Failed, failure, send_failure, serve_one
from drd.api.rights import Right
from drd.bootstrap import App
from drd.config.daemon import DaemonSettings
from drd.errors import ApiUnserved
from drd.exhaustion import system_reason

NAME = "drd.sock"
CONNECTIONS = 32
"""Requests at a time, of all users together."""
WAITING = 4096
"""Connections that wait to be admitted, as far as the kernel allows (net.core.somaxconn). A client
that finds no room must try again."""
OF_A_USER = 8
"""Connections of one user at a time, so that others always find room."""
DEADLINE_S = 10.0
"""Seconds for a whole request."""
OF_STRANGERS = 64
STRANGER_S = 2.0
"""The number of users without rights who may be reading their refusal at a time, and
for how long."""
RATE = 20.0
BURST = 60.0
"""Requests a second of one user, and how many at once after a pause."""

_LOOK_S = 30.0
"""Seconds between two checks of who may connect: groups and users change."""
_KNOWN_S = 5.0
"""How long a user counts as a stranger without another check."""
_ROOM_S = 0.5
_LINGER_S = 0.5
_USERS = 1024
_log = log.get()


class ApiServer:
    """Answers at `public_dir/drd.sock` until closed."""

    def __init__(self, listener: socket.socket, app: App, wake: Callable[[], None]) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._waker = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._app = app
        self._house = AnswerSources(app, wake, DEADLINE_S, threading.Semaphore(AT_WORK))
        self._open: dict[
            socket.socket, tuple[int, float]
        ] = {}  # the user, and when the connection is closed
        self._rates: dict[int, tuple[float, float]] = {}  # tokens left, and their time
        self._strangers: dict[tuple[int, frozenset[int]], tuple[bytes, float]] = {}
        self._leaving: deque[tuple[socket.socket, float]] = deque()
        self._let_in = b""
        self._renew_at = 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="drd-api", daemon=True)
        self._thread.start()

    @classmethod
    def start(cls, app: App, wake: Callable[[], None]) -> ApiServer:
        """Listen and return; `wake` is called from other threads. Raises ApiUnserved."""
        return cls(_listen(app.settings), app, wake)

    def reconfigured(self) -> None:
        """Apply the users and groups that drd.yaml names now."""
        self._renew_at = 0.0
        os.eventfd_write(self._waker, 1)

    def close(self) -> None:
        """Stop listening and cut every connection. A second call does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        os.eventfd_write(self._waker, 1)
        self._thread.join(DEADLINE_S)
        self._listener.close()
        os.close(self._waker)
        self._cut_until(float("inf"))

    def _accept(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._waker, select.POLLIN)
        while not self._closed.is_set():
            try:
                poll.poll(self._next_ms())
                with suppress(BlockingIOError):
                    os.eventfd_read(self._waker)
                self._renew_entries()
                connection, _ = self._listener.accept()
            except BlockingIOError:
                pass  # time to close a connection, to check the list, or to end
            except OSError:
                # No descriptor is free; the connected clients will free some.
                self._closed.wait(_ROOM_S)
            else:
                self._received(connection)
            self._cut_until(time.monotonic())

    def _renew_entries(self) -> None:
        """Renew the list of the socket if users or groups have changed."""
        now = time.monotonic()
        if now < self._renew_at:
            return
        self._renew_at = now + _LOOK_S
        self._strangers.clear()
        settings = self._app.settings
        entries = admission.wanted(settings)
        if entries == self._let_in:
            return
        try:
            fd = os.open(settings.public_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                closed = admission.close_to_strangers(fd, NAME, entries)
            finally:
                os.close(fd)
        except OSError as error:
            _log.error("api.not_closed_to_strangers", error=str(error))
        else:
            self._let_in = entries
            _log.debug("api.door", closed_to_strangers=closed)

    def _received(self, connection: socket.socket) -> None:
        try:
            refusal = self._refusal_of(connection)
            if refusal is not None:
                self._refuse(connection, refusal)
            else:
                self._admit(connection, Peer.of(connection))
        except Failed as failed:
            with suppress(OSError):
                send_failure(connection, failed)
            connection.close()
        except Exception as error:  # noqa: BLE001 (supervises: one peer must not end the thread)
            _log.error("api.not_admitted", error=f"{type(error).__name__}: {error}")
            connection.close()

    def _admit(self, connection: socket.socket, peer: Peer) -> None:
        """Give the connection a thread. Raises Failed if there are too many already."""
        refusal = self._too_fast(peer.uid)
        with self._lock:
            users = Counter(uid for uid, _ in self._open.values())
            if users[peer.uid] >= OF_A_USER or len(self._open) >= CONNECTIONS:
                raise refusal or Failed(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "too many connections to the daemon are open",
                    "try again.",
                )
            self._open[connection] = (peer.uid, time.monotonic() + DEADLINE_S)
        work = threading.Thread(target=self._serve, args=(connection, peer, refusal), daemon=True)
        work.start()

    def _refusal_of(self, connection: socket.socket) -> bytes | None:
        """Return the refusal for a user without any right; None for others. Raises OSError."""
        _, uid, groups = credentials(connection)
        said, until = self._strangers.get((uid, groups), (None, 0.0))
        if said is not None and time.monotonic() < until:
            return said
        settings = self._app.settings
        caller = Caller.of(Peer(0, uid, groups), settings)
        if caller.may(Right.READ):
            return None
        said = failure(Failed(HTTPStatus.FORBIDDEN, *admission.refusal(caller.user, settings)))
        if len(self._strangers) > _USERS:
            self._strangers.clear()
        self._strangers[uid, groups] = (said, time.monotonic() + _KNOWN_S)
        return said

    def _refuse(self, connection: socket.socket, refusal: bytes) -> None:
        """Refuse at once, whatever is asked. The connection stays open for a moment: closing it
        while the client still sends would lose the answer."""
        connection.setblocking(False)
        with suppress(OSError):
            connection.send(refusal)
            connection.shutdown(socket.SHUT_WR)
        self._leaving.append((connection, time.monotonic() + STRANGER_S))
        if len(self._leaving) > OF_STRANGERS:
            self._leaving.popleft()[0].close()

    def _too_fast(self, uid: int) -> Failed | None:
        now = time.monotonic()
        if len(self._rates) > _USERS:
            self._rates.clear()
        tokens, at = self._rates.get(uid, (BURST, now))
        tokens = min(BURST, tokens + (now - at) * RATE)
        if tokens < 1.0:
            self._rates[uid] = (tokens, now)
            return Failed(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"this user has sent more than {RATE:.0f} requests in a second",
                "wait a second, then send fewer requests.",
            )
        self._rates[uid] = (tokens - 1.0, now)
        return None

    def _serve(self, connection: socket.socket, peer: Peer, refusal: Failed | None) -> None:
        try:
            connection.settimeout(DEADLINE_S)
            serve_one(connection, peer, self._house, refusal)
            _let_finish(connection)
        except (OSError, ValueError):
            pass  # the client disconnected, or was cut off
        finally:
            with self._lock:
                self._open.pop(connection, None)
            connection.close()

    def _next_ms(self) -> float:
        """Milliseconds until a connection must be closed, or the list be checked."""
        with self._lock:
            first = min((until for _, until in self._open.values()), default=self._renew_at)
        leaves = self._leaving[0][1] if self._leaving else self._renew_at
        return max(1.0, (min(first, leaves, self._renew_at) - time.monotonic()) * 1000.0)

    def _cut_until(self, moment: float) -> None:
        """Wake the threads whose time is over, with an error; each closes its connection."""
        with self._lock:
            late = [c for c, (_, until) in self._open.items() if until <= moment]
            for connection in late:
                del self._open[connection]
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        while self._leaving and self._leaving[0][1] <= moment:
            self._leaving.popleft()[0].close()


def _let_finish(connection: socket.socket) -> None:
    """Read what the client still sends, for a moment: closing the connection before that would lose
    the answer."""
    connection.shutdown(socket.SHUT_WR)
    limit = time.monotonic() + _LINGER_S
    while (left_s := limit - time.monotonic()) > 0:
        connection.settimeout(left_s)
        if not connection.recv(1 << 16):
            return


_OTHER_DAEMON = "another daemon answers at this socket"


def _listen(settings: DaemonSettings) -> socket.socket:
    """The listening socket under its name. Replaces the one of a dead daemon in one step.

    Only the state's owner can write in the directory, so nobody replaces the names; names through
    its descriptor may be long. Raises ApiUnserved."""
    directory = settings.public_dir
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            info = os.fstat(fd)
            if info.st_mode & 0o022 or info.st_uid not in (0, os.geteuid()):
                raise PermissionError(
                    "users other than root and drd's own user can write to this directory"
                )
            if _answers(fd):
                raise FileExistsError(_OTHER_DAEMON)
            new = f".{NAME}.new"
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=fd)
            listener.bind(f"/proc/self/fd/{fd}/{new}")
            admission.close_to_strangers(fd, new, admission.wanted(settings))
            listener.listen(WAITING)
            os.rename(new, NAME, src_dir_fd=fd, dst_dir_fd=fd)
        finally:
            os.close(fd)
    except OSError as error:
        listener.close()
        reason = system_reason(error)
        raise ApiUnserved(
            f"cannot listen at {directory / NAME}: {reason}",
            hint="find out which other drd uses this directory, and end that process; or set "
            "another public_dir in drd.yaml."
            if str(error) == _OTHER_DAEMON
            else (
                f"{directory} must belong to drd's user or to root, and no other user may "
                "write in it."
            ),
        ) from error
    return listener


def _answers(directory: int) -> bool:
    """Return whether another process listens under the name."""
    with suppress(OSError):
        if not stat.S_ISSOCK(os.stat(NAME, dir_fd=directory, follow_symlinks=False).st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            probe.connect(f"/proc/self/fd/{directory}/{NAME}")
            return True
    return False
