"""Examine the output of a program while the program is still writing it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO

_AT_ONCE = 1 << 20


class ExaminedStream:
    """Passes the output of a program, up to `most` bytes, through a pipe to the function `examine`,
    which runs in a thread with low priority. `size` counts the bytes. If `examine` returns before
    the end, the stream is `cut_short`: the program cannot write any more, and ends."""

    def __init__(self, most: int, examine: Callable[[IO[bytes]], object]) -> None:
        self.most = most
        self.size = 0
        self.cut_short = False
        self.result: object = None
        self._examine = examine
        self._error: BaseException | None = None
        self._threads: tuple[threading.Thread, ...] = ()

    def begin(self) -> int:
        """Return the descriptor for the output, which the caller closes; drop the output of an
        earlier try."""
        self.ended()
        self.size, self.cut_short, self.result, self._error = 0, False, None, None
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        examined, passed_on = os.pipe2(os.O_CLOEXEC)
        self._threads = (
            threading.Thread(target=self._pass_on, args=(read_end, passed_on), daemon=True),
            threading.Thread(target=self._read, args=(examined,), daemon=True),
        )
        for thread in self._threads:
            thread.start()
        return write_end

    def ended(self) -> None:
        """Wait until all of the output was read. Raises the error of `examine`."""
        for thread in self._threads:
            thread.join()
        self._threads = ()
        if self._error is not None:
            raise self._error

    def _pass_on(self, read_end: int, passed_on: int) -> None:
        try:
            while moved := os.splice(read_end, passed_on, _AT_ONCE):
                self.size += moved
                if self.size > self.most:
                    break
        except BrokenPipeError:
            self.cut_short = True
        finally:
            os.close(passed_on)
            os.close(read_end)  # what still writes gets SIGPIPE

    def _read(self, examined: int) -> None:
        lower_priority()
        with os.fdopen(examined, "rb", buffering=0) as printed:
            try:
                self.result = self._examine(printed)
            except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
                self._error = error


def lower_priority() -> None:
    """Lower the priority of this thread, and of the programs that it starts, for the processor and
    the disk."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
