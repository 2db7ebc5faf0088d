"""One connection to a server whose log drd receives."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from drd import process
from drd.errors import DrdError, RepositoryError, SourceUnreachable
from drd.model.log import LogMark
from drd.ports.logs import LogLost, LogReceiver

if TYPE_CHECKING:
    from drd.flows.log.keeper import Keeper

ARRIVES_WITHIN_S = 20.0
"""How long a mark may take to arrive before the receiver counts as stalled."""
LEAST_PAUSE_S = 1.0
_KEPT, _AT_ONCE, _LAST_S = 8192, 1 << 16, 5.0


class Stalled(DrdError):
    """The server has written a part of the log, but drd has not received it in time."""

    permanent = False


class Session:
    """One connection to the server: a program receives the log, and after each interval drd stores
    the received log."""

    def __init__(self, keeper: Keeper, receiver: LogReceiver, directory: Path) -> None:
        self._keeper = keeper
        self._receiver = receiver
        self._directory = directory
        self._said = _Said()
        self._held = False
        """Whether drd itself has stopped the program, until what has arrived is stored."""

    def run(self) -> None:
        with ExitStack() as stack:
            child = self._start(stack)
            while True:
                began = time.monotonic()
                if self._held:
                    child = self._start(stack)
                self._require_running(child)
                if not self._turn(child):
                    # No room: the server keeps the rest until drd has stored the received log.
                    child.stop()
                    raise RepositoryError(
                        f"{self._directory} has no room for more of the log, and drd could not "
                        "store the received log in the repository",
                        hint="free space in this directory, or find out why drd cannot use the "
                        "repository: drd doctor PLAN",
                    )
                self._await(child, began + self._keeper.every_s)

    def _start(self, stack: ExitStack) -> process.Child:
        self._said = _Said()
        with self._said.written() as said:
            child = self._receiver.start(said)
        stack.callback(child.stop)
        self._held = False
        return child

    def _require_running(self, child: process.Child) -> None:
        """Raise LogLost or SourceUnreachable if the program that receives the log has ended."""
        if child.exit_code is None:
            return
        text = " ".join(self._said.last().split())[-600:]
        if why := self._receiver.lost(text):
            raise LogLost(
                f"the server does not have the part of its log that drd has to receive next: {why}",
                hint="drd now receives the log from its present end, and makes a base backup "
                "at once. To see the times that drd can recover: drd points PLAN",
            )
        then = "check the error log of the server."
        if os.strerror(errno.ENOSPC) in text:
            then = f"free space in {self._directory}."
        raise SourceUnreachable(
            f"{self._receiver.program} ended: {text or 'it gave no reason'}",
            hint=f"drd starts {self._receiver.program} again. If it ends again, {then}",
        )

    def _turn(self, child: process.Child) -> bool:
        """Store the received log. Return False if this failed and there is no room for more."""
        keeper, receiver = self._keeper, self._receiver
        now = keeper.now()
        receiver.require()
        keeper.check_snapshots()
        mark = receiver.mark()
        if mark is None:
            keeper.idle(now)
            keeper.tell(receiver)
            return True
        self._await_arrival(mark, child)
        try:
            keeper.push(receiver, mark, now, lambda _: self._bound(child))
        except RepositoryError as error:
            receiver.forget_mark()
            keeper.unstored(error)
            return keeper.has_room()
        keeper.tell(receiver)
        return True

    def _bound(self, child: process.Child) -> None:
        """Stop receiving if the disk fills."""
        if child.exit_code is None and not self._keeper.has_room():
            child.stop()
            self._held = True

    def _await_arrival(self, mark: LogMark, child: process.Child) -> None:
        end = time.monotonic() + ARRIVES_WITHIN_S
        while not self._receiver.arrived(mark):
            self._require_running(child)
            if time.monotonic() > end:
                raise Stalled(
                    f"drd has not received what the server wrote to its log "
                    f"{ARRIVES_WITHIN_S:.0f} s ago",
                    hint="check the network, the disk of drd's work_dir and the error log of the "
                    f"server. To see which receivers are connected: {self._receiver.connected}",
                )
            wait(0.1)

    def _await(self, child: process.Child, end: float) -> None:
        """Wait until `end`: the interval counts from the beginning of a turn to the beginning of
        the next, so storing does not prolong it. Wait at least for a short pause. A server may send
        faster than drd stores: what fills the disk is stopped until then."""
        end = max(end, time.monotonic() + LEAST_PAUSE_S)
        while (child.exit_code is None or self._held) and time.monotonic() < end:
            wait(min(0.2, max(0.0, end - time.monotonic())))
            self._bound(child)


class _Said:
    """The last words of a program, which may run for months: the server decides how much it
    prints."""

    def __init__(self) -> None:
        self._tail = b""
        self._thread: threading.Thread | None = None

    @contextmanager
    def written(self) -> Iterator[int]:
        """Give the descriptor to which a program writes; it keeps a copy of its own."""
        reading, writing = os.pipe()
        self._thread = threading.Thread(
            target=self._read, args=[reading], name="drd-log-said", daemon=True
        )
        self._thread.start()
        try:
            yield writing
        finally:
            os.close(writing)

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, "rb", buffering=0) as said:
            while data := said.read(_AT_ONCE):
                self._tail = (self._tail + data)[-_KEPT:]

    def last(self) -> str:
        """Return the last words of a program that has ended."""
        if self._thread is not None:
            self._thread.join(_LAST_S)
        return self._tail.decode("utf-8", "replace")


def wait(seconds: float) -> None:
    """Wait so many seconds. Raises Cancelled if the process is cancelled meanwhile."""
    end = time.monotonic() + seconds
    while True:
        process.check_cancelled()
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(0.2, left))
