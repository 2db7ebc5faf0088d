"""A pipe in which a failed writer never looks like a finished one to the reader.

A program that reads a pipe cannot distinguish a writer that died from a writer that finished: both
are end of file. So drd holds a duplicate of the write end. It closes it only after the producer has
exited with 0; otherwise it stops the consumer first, and closes the pipe after the consumer has
received that. A producer that has exited with 0 and left another process with the pipe has not
ended either. The data goes from child to child and never through Python.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from drd.errors import DrdError, DumpFailed
from drd.process.child import Child, Completed, OnLine, OnTick, OnWords, start
from drd.process.command import Command

ENDING_S = 0.3
"""Seconds from closing its pipe to its exit code: a consumer that is ending takes milliseconds."""


@dataclass(frozen=True, slots=True)
class PipeResult:
    """How both sides ended. `consumer` is None if it was stopped because the producer failed."""

    producer: Completed
    consumer: Completed | None


class _Gate:
    """Our duplicate of the write end. Closed once, by whichever thread has a reason first."""

    def __init__(self, write_end: int) -> None:
        self.write_end = write_end
        self._lock = threading.Lock()
        self._open = True

    def close(self) -> None:
        with self._lock:
            if self._open:
                self._open = False
                os.close(self.write_end)

    def close_as_last(self) -> bool:
        """Close it, and return whether nobody else has the write end, so that the consumer sees the
        end of the file."""
        with suppress(OSError):
            # Opened anew, a pipe gives its other end, which hangs up when nobody can write.
            read_end = os.open(f"/proc/self/fd/{self.write_end}", os.O_RDONLY | os.O_NONBLOCK)
            try:
                self.close()
                waiting = select.poll()
                waiting.register(read_end, 0)
                return bool(waiting.poll(ENDING_S * 1000))
            finally:
                os.close(read_end)
        self.close()
        return True


class _Producer(threading.Thread):
    """Pumps the producer; when it ends, opens the gate or stops the consumer."""

    def __init__(self, child: Child, consumer: Child, gate: _Gate) -> None:
        super().__init__(name="drd-producer")
        self.child = child
        self.consumer = consumer
        self.gate = gate
        self.result: Completed | None = None
        self.error: BaseException | None = None
        self.stopped_consumer = False

    def run(self) -> None:
        try:
            self.result = self.child.pump()
        except BaseException as error:  # noqa: BLE001 - handed to the caller of gated_pipe
            self.error = error
        finally:
            if self.result is None or self.result.exit_code != 0:
                # A consumer that ends closes the pipe before its exit code can be read, and the
                # producer dies of that: then the consumer's end is the cause.
                self.stopped_consumer = not self.consumer.ends_within(ENDING_S)
                self.consumer.stop()
            elif not self.gate.close_as_last():
                self.consumer.stop()
                self.child.signal_group(signal.SIGKILL)
                self.error = DumpFailed(
                    f"{self.child.command.title} exited with 0, but a process that it "
                    "started still has the output open, so drd cannot know whether the dump "
                    "is complete",
                    hint="change the command so that it waits for the programs that it starts.",
                )
            self.gate.close()


def gated_pipe(
    producer: Command,
    consumer: Command,
    *,
    on_line: OnLine | None = None,
    on_tick: OnTick | None = None,
    on_words: OnWords | None = None,
) -> PipeResult:
    """Stream `producer`'s stdout into `consumer`'s stdin; `on_line` gets the consumer's lines,
    `on_words` what it prints to stderr.

    The consumer sees end of file only if the producer exited with 0. When the consumer ends first,
    the producer is stopped. Raises as `run` does; both have ended then.
    """
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    with suppress(OSError):
        import fcntl

        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 1 << 20)
    try:
        right = start(consumer, stdin=read_end)
    except BaseException:
        os.close(read_end)
        os.close(write_end)
        raise
    os.close(read_end)
    gate = _Gate(write_end)
    try:
        left = start(producer, stdout=write_end)
    except BaseException:
        right.end_input = gate.close
        right.stop()
        gate.close()
        raise

    def end_input() -> None:
        left.stop(grace_s=2.0)  # it holds the pipe as well
        gate.close()

    right.end_input = end_input
    pump = _Producer(left, right, gate)
    pump.start()
    read = partial(right.pump, on_line=on_line, on_tick=on_tick, on_words=on_words)
    return _finish(pump, left, read)


def _finish(pump: _Producer, left: Child, read: Callable[[], Completed]) -> PipeResult:
    consumed: Completed | None = None
    error: BaseException | None = None
    try:
        consumed = read()
    except BaseException as caught:  # noqa: BLE001 - raised again below, after the writer ended
        error = caught
    finally:
        if pump.is_alive() and (error is not None or consumed is not None):
            _end_writer(pump, left, consumed)
        pump.join()
    if error is not None:
        raise error
    if pump.error is not None:
        raise pump.error
    if pump.result is None:  # pragma: no cover - the thread always sets one of the two
        raise DrdError("the dump command ended without a result")
    return PipeResult(pump.result, None if pump.stopped_consumer else consumed)


def _end_writer(pump: _Producer, left: Child, consumed: Completed | None) -> None:
    """The reader is gone: give the writer a moment to end by itself, then stop it."""
    pump.join(0.5 if consumed is not None and consumed.exit_code == 0 else 0.05)
    if pump.is_alive():
        left.stop(grace_s=2.0)
