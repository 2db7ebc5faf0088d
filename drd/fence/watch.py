"""Wait for one command, outside of its fence: pass signals on, and notice that drd has died."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os
import select
import time

from drd.fence.processes import GRACE_S, kill, send

DRD_DIED, END_NOW = signal.SIGUSR1, signal.SIGUSR2
"""The signal that the kernel sends us when drd ends, distinct from a signal to the whole group; and
the signal with which drd demands that everything ends.
"""

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


class Watch:
    """`child` is the command, which gets `death_signal` when drd dies, and is killed after
    `lifetime_s`. `listener` is of a filter whose calls `_decide` answers. `stopped`: somebody asked
    the command to stop.
    """

    def __init__(
        self,
        child: int,
        death_signal: int,
        lifetime_s: float | None = None,
        listener: int | None = None,
    ) -> None:
        self._child = child
        self._death_signal = death_signal
        self._lifetime_s = lifetime_s
        self._listener = listener
        self.stopped = False
        self._signals: list[int] = []
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def until_it_ends(self) -> int:
        """Return the command's status as of wait(2)."""
        self._receive_signals()
        over = self._end_after()
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._listener is not None:
            poll.register(self._listener, select.POLLIN)
        status = self._reaped()  # what ended before we heard of signals
        while status is None:
            left = max(0.0, over - time.monotonic()) if over is not None else None
            for descriptor, event in poll.poll(left * 1000 if left is not None else None):
                if descriptor == self._wake:
                    _drained(self._wake)
                elif event & select.POLLIN:
                    self._decide()
                else:  # nobody is behind the filter any more
                    poll.unregister(descriptor)
            over = self._pass_signals_on(over)
            if over is not None and time.monotonic() >= over:
                kill(self._child)
            status = self._reaped()
        self.stopped = self.stopped or any(n != signal.SIGCHLD for n in self._signals)
        return status

    def _decide(self) -> None:
        """Answer a call behind the filter."""

    def _end_after(self) -> float | None:
        lifetime = self._lifetime_s
        return time.monotonic() + lifetime if lifetime is not None else None

    def _receive_signals(self) -> None:
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in (*_PASSED_ON, DRD_DIED, END_NOW, signal.SIGCHLD):
            signal.signal(number, lambda heard, _: self._signals.append(heard))

    def _pass_signals_on(self, over: float | None) -> float | None:
        """Pass a signal on to a command that has left our group, which the sender has therefore not
        reached; when drd is gone, signal it ourselves. Returns when to kill it.
        """
        heard, self._signals = self._signals, []
        for number in heard:
            self.stopped = self.stopped or number != signal.SIGCHLD
            if number == DRD_DIED:
                send(self._child, self._death_signal)
                over = min(over or float("inf"), time.monotonic() + GRACE_S)
            elif number == END_NOW:
                kill(self._child)
            elif number != signal.SIGCHLD and not self._is_in_our_group():
                send(self._child, number)
        return over

    def _is_in_our_group(self) -> bool:
        try:
            return os.getpgid(self._child) == os.getpgrp()
        except OSError:
            return True

    def _reaped(self) -> int | None:
        """Reap all that have ended; returns the command's status when it is among them."""
        ended = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended if ended is not None else 0
            if pid == 0:
                return ended
            if pid == self._child:
                ended = status


def _drained(descriptor: int) -> None:
    try:
        while os.read(descriptor, 512):
            pass
    except BlockingIOError:
        pass
