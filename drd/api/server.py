"""The daemon's Unix socket: a small HTTP server that no client can hold up.

A connection carries one request, has a thread while it lasts, and is cut after a while whatever it
does. Each user has few at a time and so many requests a second; whoever has no right to anything gets
one word and nothing that lasts. It lives in threads of its own: the daemon's loop waits for none.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from drd import log
from drd.api.caller import Caller, Peer
from drd.api.handler import AT_WORK, Failed, House, send_failure, serve_one
from drd.api.rights import Right
from drd.bootstrap import App
from drd.errors import ApiUnserved

NAME = "drd.sock"
CONNECTIONS = 32
"""Requests at a time, of all users together."""
WAITING = 128
"""Connections that wait to be admitted or refused. A client that finds no room has to try again."""
OF_A_USER = 8
"""At a time, of one user: others always find room."""
OF_STRANGERS = 4
"""At a time, of all who have no right to anything."""
DEADLINE_S = 10.0
"""For a whole request."""
STRANGER_S = 2.0
"""The same for those."""
RATE = 20.0
BURST = 60.0
"""Requests a second of one user, and how many at once after a silence."""

_MODE = 0o666
"""Everybody may connect: the kernel says who it is, which no mode of a file does better. People whom
drd.yaml maps may be in no group at all."""
_ROOM_S = 0.5
_LINGER_S = 0.5
_USERS = 1024
_STRANGERS = -1
_log = log.get()


class ApiServer:
    """Answers at `public_dir/drd.sock` until closed."""

    def __init__(self, listener: socket.socket, app: App, wake: Callable[[], None]) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._waker = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._app = app
        self._house = House(app, wake, DEADLINE_S, threading.Semaphore(AT_WORK))
        self._open: dict[socket.socket, tuple[int, float]] = {}  # the user, and when it is cut
        self._rates: dict[int, tuple[float, float]] = {}  # tokens left, and when that was
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="drd-api", daemon=True)
        self._thread.start()

    @classmethod
    def start(cls, app: App, wake: Callable[[], None]) -> ApiServer:
        """Listen and return; `wake` is called from other threads. Raises ApiUnserved."""
        return cls(_listen(app.settings.public_dir), app, wake)

    def close(self) -> None:
        """Stop listening and cut every connection. Doing it again does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        os.eventfd_write(self._waker, 1)
        self._thread.join(DEADLINE_S)
        self._listener.close()
        os.close(self._waker)
        self._cut_until(float("inf"))

    def _accept(self) -> None:
        """Wait without an end while nobody is connected, else until somebody is to be cut."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._waker, select.POLLIN)
        while not self._closed.is_set():
            try:
                poll.poll(self._next_cut_ms())
                connection, _ = self._listener.accept()
            except BlockingIOError:
                pass  # it is time to cut somebody, or to end
            except OSError:
                # No descriptor is free, which those who are connected can change.
                self._closed.wait(_ROOM_S)
            else:
                self._received(connection)
            self._cut_until(time.monotonic())

    def _received(self, connection: socket.socket) -> None:
        try:
            self._admit(connection, Peer.of(connection))
        except Failed as failed:
            with suppress(OSError):
                send_failure(connection, failed)
            connection.close()
        except Exception as error:  # noqa: BLE001 (supervises: one peer must not end the thread)
            _log.error("api.not_admitted", error=f"{type(error).__name__}: {error}")
            connection.close()

    def _admit(self, connection: socket.socket, peer: Peer) -> None:
        """Give it a thread. Raises Failed where there are too many already."""
        stranger = self._stranger(peer)
        refusal = stranger or self._too_fast(peer.uid)
        user, most, time_s = peer.uid, OF_A_USER, DEADLINE_S
        if stranger is not None:
            user, most, time_s = _STRANGERS, OF_STRANGERS, STRANGER_S
        with self._lock:
            users = Counter(uid for uid, _ in self._open.values())
            if users[user] >= most or len(self._open) >= CONNECTIONS:
                raise refusal or Failed(
                    HTTPStatus.SERVICE_UNAVAILABLE, "too many connections at a time", "try again."
                )
            self._open[connection] = (user, time.monotonic() + time_s)
        work = threading.Thread(
            target=self._serve, args=(connection, peer, refusal, time_s), daemon=True
        )
        work.start()

    def _stranger(self, peer: Peer) -> Failed | None:
        """What to say to whoever has no right to anything."""
        settings = self._app.settings
        caller = Caller.of(peer, settings)
        if caller.may(Right.READ):
            return None
        return Failed(
            HTTPStatus.FORBIDDEN,
            f"user {caller.user} may not ask the daemon",
            f"{settings.read_group} reads, {settings.operate_group} also acts: "
            f"sudo usermod -aG {settings.read_group} {caller.user}, then log in anew.",
        )

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
                f"more than {RATE:.0f} requests a second",
                "ask less often.",
            )
        self._rates[uid] = (tokens - 1.0, now)
        return None

    def _serve(
        self, connection: socket.socket, peer: Peer, refusal: Failed | None, time_s: float
    ) -> None:
        try:
            connection.settimeout(time_s)
            serve_one(connection, peer, self._house, refusal)
            _let_finish(connection)
        except (OSError, ValueError):
            pass  # the client went away, or was cut
        finally:
            with self._lock:
                self._open.pop(connection, None)
            connection.close()

    def _next_cut_ms(self) -> float | None:
        with self._lock:
            first = min((until for _, until in self._open.values()), default=None)
        return None if first is None else max(1.0, (first - time.monotonic()) * 1000.0)

    def _cut_until(self, moment: float) -> None:
        """Wake the threads whose time is over, with an error; each closes its connection."""
        with self._lock:
            late = [c for c, (_, until) in self._open.items() if until <= moment]
            for connection in late:
                del self._open[connection]
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def _let_finish(connection: socket.socket) -> None:
    """Take what the client may still be sending, for a moment: a close in the midst of it would cost
    him the answer."""
    connection.shutdown(socket.SHUT_WR)
    limit = time.monotonic() + _LINGER_S
    while (left_s := limit - time.monotonic()) > 0:
        connection.settimeout(left_s)
        if not connection.recv(1 << 16):
            return


def _listen(directory: Path) -> socket.socket:
    """The listening socket under its name. One that a dead daemon left is replaced in one step.

    The directory belongs to the state's owner, who alone can write in it, so nobody exchanges the
    names; through its descriptor they may be long as well. Raises ApiUnserved.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(fd)
            if found.st_mode & 0o022 or found.st_uid not in (0, os.geteuid()):
                raise PermissionError("others can write in it")
            if _answers(fd):
                raise FileExistsError("another daemon answers there")
            new = f".{NAME}.new"
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=fd)
            listener.bind(f"/proc/self/fd/{fd}/{new}")
            os.chmod(new, _MODE, dir_fd=fd)
            listener.listen(WAITING)
            os.rename(new, NAME, src_dir_fd=fd, dst_dir_fd=fd)
        finally:
            os.close(fd)
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        raise ApiUnserved(
            f"cannot listen at {directory / NAME}: {reason}",
            hint=f"{directory} has to be a directory of drd's that nobody else can write in.",
        ) from error
    return listener


def _answers(directory: int) -> bool:
    """Whether somebody listens under the name already."""
    with suppress(OSError):
        if not stat.S_ISSOCK(os.stat(NAME, dir_fd=directory, follow_symlinks=False).st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            probe.connect(f"/proc/self/fd/{directory}/{NAME}")
            return True
    return False
