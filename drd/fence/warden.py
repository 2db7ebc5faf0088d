"""The process that stays outside of a fence: it decides, executes, and ends what is left."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import errno
import os
import select
import time

from drd.fence import kernel
from drd.fence.files import Files
from drd.fence.network import Network
from drd.fence.processes import GRACE_S, end_descendants, kill, send
from drd.fence.record import Record
from drd.fence.shared_memory import Segments
from drd.fence.spec import Spec
from drd.fence.syscall_numbers import NUMBERS
from drd.fence.syscall_request import CallerGone, SyscallRequest, received

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Call = Callable[[SyscallRequest], bool | None]

DRD_DIED, END_NOW = signal.SIGUSR1, signal.SIGUSR2
"""The signal that the kernel sends us when drd ends, distinct from a signal to the whole group; and
the signal with which drd demands that everything ends.
"""

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


class Warden:
    """`child` is the command. Its orphans become our children."""

    def __init__(self, spec: Spec, child: int, listener: int | None, record: Record) -> None:
        self._spec = spec
        self._child = child
        self._listener = listener
        network = Network(record, spec.writes, spec.sockets, spec.reach)
        names: Mapping[str, Call] = {
            **network.calls(),
            **Files(spec.writes, spec.reads).calls(),
            **Segments(spec.memory_bytes).calls(),
        }
        numbers = NUMBERS.get(kernel.MACHINE, {})
        self._calls = {numbers[name]: call for name, call in names.items() if name in numbers}
        self._signals: list[int] = []
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def watch(self) -> int:
        """Run until the command and all its descendants have ended; returns its status as of
        wait(2).
        """
        self._receive_signals()
        over = self._end_after()
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._listener is not None:
            poll.register(self._listener, select.POLLIN)
        status: int | None = None
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
        end_descendants()
        return status

    def _end_after(self) -> float | None:
        lifetime = self._spec.lifetime_s
        return time.monotonic() + lifetime if lifetime is not None else None

    # signals

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
            if number == DRD_DIED:
                send(self._child, self._spec.death_signal)
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

    # calls

    def _decide(self) -> None:
        assert self._listener is not None
        asked = received(self._listener)
        if asked is None:
            return
        try:
            call = self._calls.get(asked.number)
            if call is None:
                asked.answer(error=errno.ENOSYS)
            elif not call(asked):
                asked.answer()
        except CallerGone:
            pass
        except OSError as error:
            self._refuse(asked, error.errno or errno.EPERM)
        except Exception:  # noqa: BLE001 - whatever a fenced process made of us, it waits for a no
            self._refuse(asked, errno.EPERM)

    @staticmethod
    def _refuse(asked: SyscallRequest, number: int) -> None:
        try:
            asked.answer(error=number)
        except CallerGone:
            pass


def _drained(descriptor: int) -> None:
    try:
        while os.read(descriptor, 512):
            pass
    except BlockingIOError:
        pass
