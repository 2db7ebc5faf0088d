"""One running child: wait for it, read its output, end it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from drd.errors import Cancelled, DeadlineExceeded, ToolMissing
from drd.log import masked
from drd.model.text import without_middle
from drd.model.units import format_duration
from drd.process import rights
from drd.process.cancel import cancelled, wake_fds
from drd.process.command import (
    Command,
    disk_priority,
    full_argv,
    full_environment,
    with_files,
)
from drd.process.fence import end_fenced

GRACE_S = 5.0
"""Seconds that a child has to clean up after it was asked to stop: half of the time that a cancel
may take.
"""

HEED_S = 0.5
"""Seconds after which a child that has received the signal and still runs is taken to be waiting
for its input.
"""

_SHELL_TELLS = 128
"""What a shell adds to the number of the signal that killed its command."""

_MEMORY = "perhaps because memory ran out"

FIXED = (
    "run this command by hand to see why it takes so long. This time limit is fixed in drd "
    "and cannot be configured."
)
"""The remedy for a command that did not end by a deadline that cannot be configured."""
MEMORY_HINT = "check the journal for the kernel's out-of-memory killer; then try again."

SHOWN = 4096
"""The number of characters of a child's output that a message contains: its beginning and its end.
Messages are stored in the catalogue and the records, and a line may have any length."""

OnLine = Callable[[str], None]
OnTick = Callable[[], None]
OnWords = Callable[[str], None]

# The death signal fires when the thread that forked ends, so one thread that never ends forks all.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="drd-spawn")


@dataclass(frozen=True, slots=True)
class Completed:
    """How a child ended. `exit_code` is negative for a signal.

    `stdout` and `stderr` are its output, cut to the last part when it was too long: data, never
    masked, with bytes that are not UTF-8 escaped; `printed` is stdout byte by byte. People get
    `complaint`, `failure` or `says`, or text that passed `masked()`.
    """

    exit_code: int
    stdout: str
    stderr: str
    duration_s: float
    printed: bytes = field(default=b"", repr=False)

    @property
    def complaint(self) -> str:
        """The last lines of its output, bounded, for a message; if killed, also the signal."""
        if self.exit_code < 0:
            return f"it {self.failure}"
        return self._last_lines or f"no output, exit {self.exit_code}"

    @property
    def failure(self) -> str:
        """How the child ended and its last output, as words that follow its name."""
        return f"{ended(self.exit_code)}: {self._last_lines or 'no output'}"

    @property
    def says(self) -> list[str]:
        """The child's output for people (stderr, else stdout), masked."""
        return masked(self.stderr.strip() or self.stdout.strip()).splitlines()

    @property
    def _last_lines(self) -> str:
        return without_middle("\n".join(self.says[-5:]), SHOWN)

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended the child or its command: then its output proves nothing about its
        work.
        """
        return self.exit_code in (-signal.SIGKILL, _SHELL_TELLS + signal.SIGKILL)


def ended(exit_code: int) -> str:
    """`exited with 3`, `was killed by SIGTERM`: words that follow a name.

    The kernel uses SIGKILL when memory runs out, and a killed process cannot report that.
    """
    if exit_code == _SHELL_TELLS + signal.SIGKILL:
        return f"exited with {exit_code}: SIGKILL ended its command, {_MEMORY}"
    if exit_code >= 0:
        return f"exited with {exit_code}"
    known = -exit_code in set(signal.Signals)
    name = signal.Signals(-exit_code).name if known else f"signal {-exit_code}"
    return f"was killed by {name}" + (f", {_MEMORY}" if -exit_code == signal.SIGKILL else "")


class Child:
    """A started child in its own process group. `end_input` ends its input. It is called, perhaps
    repeatedly, when the child was asked to stop, has received the signal, and does not end: restic
    does not interrupt a read that has begun.
    """

    def __init__(self, command: Command, popen: subprocess.Popen[bytes]) -> None:
        self.command = command
        self.popen = popen
        self.pid = popen.pid
        self.started = time.monotonic()
        self.end_input: Callable[[], None] | None = None

    @property
    def exit_code(self) -> int | None:
        return self.popen.poll()

    def ends_within(self, seconds: float) -> bool:
        """Return whether the child ends within this time."""
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)
        return self.popen.poll() is not None

    @rights.as_root(rights.Purpose.PROCESSES)
    def signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    @rights.as_root(rights.Purpose.PROCESSES)
    def ask_to_stop(self, number: signal.Signals | None = None) -> None:
        """Send the stop signal: to the whole group, unless the child has helpers that it needs."""
        send = os.kill if self.command.has_helpers else os.killpg
        with suppress(ProcessLookupError, PermissionError):
            send(self.pid, number or self.command.stop_signal)

    def lower_priority(self, *, nice: int | None = None, ionice: str | int | None = None) -> None:
        """Lower the priority of the running process. `at_priority` is for a command that is not
        started yet."""
        with suppress(OSError):  # it has ended
            if nice is not None:
                now = os.getpriority(os.PRIO_PROCESS, self.pid)
                os.setpriority(os.PRIO_PROCESS, self.pid, min(19, now + nice))
        if ionice is not None:
            run(Command(["ionice", *disk_priority(ionice), "-p", str(self.pid)], deadline_s=10.0))

    def stop(self, number: signal.Signals | None = None, *, grace_s: float | None = None) -> int:
        """Ask the child to stop, wait (GRACE_S), then kill the whole group; return the exit code.
        Idempotent. A stopped child is continued, so that it receives the signal: if restic is
        killed without a signal before, it leaves its lock.
        """
        if self.popen.poll() is None:
            number = number or self.command.stop_signal
            self.ask_to_stop(number)
            self.signal_group(signal.SIGCONT)
            if (
                self.end_input is not None
                and not self.ends_within(HEED_S)
                and not _pending(self.pid, number)
            ):
                self.end_input()
            self.ends_within(GRACE_S if grace_s is None else grace_s)
        watched = self.command.fence is not None or self.command.leash
        if watched and self.popen.poll() is None:
            end_fenced(self.pid)
        self.signal_group(signal.SIGKILL)
        return self.popen.wait()

    def wait(self, *, on_tick: OnTick | None = None) -> int:
        """Return the exit code. A cancel, the deadline or an exception of `on_tick` (called about
        once a second) ends the child first and is then raised."""
        return self.pump(on_tick=on_tick).exit_code

    def pump(
        self,
        *,
        on_line: OnLine | None = None,
        on_tick: OnTick | None = None,
        on_words: OnWords | None = None,
        limit: int = 1 << 20,
    ) -> Completed:
        """Wait and read its output; `on_line` gets each raw line of stdout, which is then not in
        the result, `on_words` each part of stderr. Keeps at most the last `limit` bytes of a
        stream.
        """
        try:
            return _Pump(self, on_line, on_tick, on_words, limit).wait()
        except BaseException:
            self.stop()
            raise
        finally:
            for stream in (self.popen.stdout, self.popen.stderr):
                if stream is not None:
                    stream.close()


class _Pump:
    """The loop behind `Child.pump`: output, the child's end, cancel, deadline and tick in one
    poll."""

    def __init__(
        self,
        child: Child,
        on_line: OnLine | None,
        on_tick: OnTick | None,
        on_words: OnWords | None,
        limit: int,
    ) -> None:
        self.child = child
        self.on_line = on_line
        self.on_tick = on_tick
        self.on_words = on_words
        self.limit = limit
        self.kept: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self.partial = bytearray()
        self.open: dict[int, str] = {}
        self.poll = select.poll()
        for name in self.kept:
            stream: IO[bytes] | None = getattr(child.popen, name)
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self.open[stream.fileno()] = name
                self.poll.register(stream, select.POLLIN | select.POLLHUP)
        for wake in wake_fds():
            self.poll.register(wake, select.POLLIN)

    def wait(self) -> Completed:
        pidfd = os.pidfd_open(self.child.pid) if self.child.popen.poll() is None else None
        try:
            if pidfd is not None:
                self.poll.register(pidfd, select.POLLIN)
            while self.child.popen.poll() is None:
                self._process_events()
        finally:
            if pidfd is not None:
                self.poll.unregister(pidfd)
                os.close(pidfd)
        self._drain()
        return self._completed()

    def _process_events(self) -> None:
        for fd, _ in self.poll.poll(1000):
            if fd in self.open:
                self._read(fd)
        if cancelled():
            title = self.child.command.title
            raise Cancelled(f"{title} was cancelled", program=title)
        deadline = self.child.command.deadline_s
        if deadline is not None and time.monotonic() - self.child.started > deadline:
            raise DeadlineExceeded(
                f"{self.child.command.title} did not finish within {format_duration(deadline)}",
                hint=self.child.command.more_time or FIXED,
            )
        if self.on_tick is not None:
            self.on_tick()

    def _drain(self) -> None:
        """Read what is left in the pipes, without waiting for grandchildren that keep them open."""
        for fd in list(self.open):
            while fd in self.open and self._read(fd):
                pass

    def _read(self, fd: int) -> bool:
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            self.poll.unregister(fd)
            del self.open[fd]
            return False
        name = self.open[fd]
        if name == "stdout" and self.on_line is not None:
            self._lines(data)
        else:
            if name == "stderr" and self.on_words is not None:
                self.on_words(_text(data))
            kept = self.kept[name]
            kept += data
            if len(kept) > 2 * self.limit:
                del kept[: -self.limit]
        return True

    def _lines(self, data: bytes) -> None:
        assert self.on_line is not None
        self.partial += data
        *lines, rest = self.partial.split(b"\n")
        self.partial = bytearray(rest[-self.limit :])
        for line in lines:
            self.on_line(_text(line))

    def _completed(self) -> Completed:
        if self.on_line is not None and self.partial:
            self.on_line(_text(self.partial))
        code = self.child.popen.returncode
        out, err = (bytes(self.kept[n][-self.limit :]) for n in ("stdout", "stderr"))
        took_s = time.monotonic() - self.child.started
        return Completed(code, _text(out), _text(err), took_s, out)


def _pending(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has not received a signal yet (it was stopped, or got no CPU)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    waiting = 0
    for line in status.splitlines():
        if line.startswith(("SigPnd:", "ShdPnd:")):
            waiting |= int(line.split()[1], 16)
    return bool(waiting >> (number - 1) & 1)


def _text(data: bytes | bytearray) -> str:
    return data.decode("utf-8", "backslashreplace")


def start(
    command: Command,
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> Child:
    """Start a child; the caller must end it (`pump`, `wait` or `stop`).

    The three streams take file descriptors as subprocess does. Raises ToolMissing when the program
    is missing.
    """
    with with_files(command) as (whole, inherited):
        return _start(whole, inherited, stdin, stdout, stderr)


def _start(
    command: Command, inherited: tuple[int, ...], stdin: int, stdout: int, stderr: int
) -> Child:
    roots, acting = rights.taken() and not command.owners, rights.acts_for() is not None

    def spawn() -> subprocess.Popen[bytes]:
        rights.become_root_for_good()  # this thread starts children, whose rights setpriv reduces
        return subprocess.Popen(
            full_argv(command, roots=roots),
            env=full_environment(command, roots=roots),
            # The other user may not be allowed to enter root's working directory.
            cwd=command.cwd or ("/" if acting and not roots else None),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            process_group=0,
            pass_fds=(*inherited, *command.fds)
            if command.fence is None
            else (command.fence.sandbox.record,),
        )

    if cancelled():
        raise Cancelled(f"{command.title} was cancelled", program=command.title)
    try:
        return Child(command, _spawner.submit(spawn).result())
    except FileNotFoundError as error:
        raise ToolMissing(f"cannot run {command.title}: {error}") from error


def run(
    command: Command,
    *,
    stdin: bytes | None = None,
    on_line: OnLine | None = None,
    on_tick: OnTick | None = None,
    on_words: OnWords | None = None,
    limit: int = 1 << 20,
) -> Completed:
    """Run a child to its end; the caller judges the exit code.

    `stdin` is its input. Raises Cancelled, DeadlineExceeded or ToolMissing; then the child and its
    group have ended.
    """
    if stdin is None:
        child = start(command)
    else:
        with _as_file(stdin) as file:
            child = start(command, stdin=file.fileno())
    return child.pump(on_line=on_line, on_tick=on_tick, on_words=on_words, limit=limit)


def _as_file(data: bytes) -> IO[bytes]:
    """`data` in anonymous memory (never on a disk), positioned at its beginning."""
    file = os.fdopen(os.memfd_create("drd-input"), "w+b")
    file.write(data)
    file.flush()
    file.seek(0)
    return file
