"""Print the demo's text, and run the commands that it shows."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from tests.servers.child import tied_to_us

_COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_S = 20.0


class DemoFailed(Exception):
    """A step did not do what the demo says it does."""


class Interrupted(BaseException):
    """A signal asked the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end the block with Interrupted; further ones are ignored."""

    def interrupt(number: int, _: FrameType | None) -> None:
        ignore_signals()
        if _Starting.now:
            _Starting.interrupted_by = number
        else:
            raise Interrupted(number)

    for each in _SIGNALS:
        signal.signal(each, interrupt)
    yield


class _Starting:
    """Whether a command is just being started, and the signal that came meanwhile (0: none)."""

    now = False
    interrupted_by = 0


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let an interrupt wait until the end of the block: until we know what we have to end."""
    _Starting.now = True
    try:
        yield
    finally:
        _Starting.now = False
    if _Starting.interrupted_by:
        raise Interrupted(_Starting.interrupted_by)


def ignore_signals() -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def chapter(title: str) -> None:
    print(f"\n{_paint('1', title)}\n{_paint('2', '─' * len(title))}", flush=True)


def say(*lines: str) -> None:
    for line in lines:
        print(f"  {line}" if line else "", flush=True)


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what is being done, and how long it took."""
    print(f"  {what} … ", end="", flush=True)
    begun = time.monotonic()
    yield
    print(f"{time.monotonic() - begun:.1f} s", flush=True)


class Shell:
    """Runs commands visibly: `$ command`, then its output."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self._environment = dict(environment)
        self._directory = directory

    def show(self, *words: str, exits: int = 0) -> None:
        """Run a command with its output on ours. Raises DemoFailed for another exit code than
        `exits`.
        """
        print(f"\n{_paint('1;36', '$ ' + shlex.join(words))}", flush=True)
        code = self._run(words, sys.stdout.fileno())
        if exits != 0:
            print(_paint("2", f"  (exit code {code})"), flush=True)
        if code != exits:
            raise DemoFailed(f"{shlex.join(words)}: exit code {code}, expected {exits}")

    def output(self, script: str) -> str:
        """Return the output of a bash script, without showing it. Raises DemoFailed if any part
        fails.
        """
        with (self._directory / "output").open("w+b") as file:
            code = self._run(["bash", "-euo", "pipefail", "-c", script], file.fileno())
            file.seek(0)
            text = file.read().decode(errors="backslashreplace").strip()
        if code != 0:
            raise DemoFailed(f"{script}: exit code {code}\n{text}")
        return text

    @contextlib.contextmanager
    def beside(self, *words: str) -> Iterator[None]:
        """Run a command, with its output on ours, while the body does something else."""
        print(f"\n{_paint('1;36', '$ ' + shlex.join(words))}", flush=True)
        child = self._start(words, sys.stdout.fileno())
        try:
            yield
            code = child.wait()
        except BaseException:
            _end(child)
            raise
        if code != 0:
            raise DemoFailed(f"{shlex.join(words)}: exit code {code}, expected 0")

    @contextlib.contextmanager
    def background(self, *words: str) -> Iterator[None]:
        """Run a command until the end of the body, then stop it; its output goes to a file. Raises
        DemoFailed if it ended before, or if its exit code is not 0.
        """
        print(f"\n{_paint('1;36', '$ ' + shlex.join(words) + ' &')}\n", flush=True)
        log = self._directory / "background.log"
        with log.open("wb") as file:
            child = self._start(words, file.fileno())
        try:
            yield
            ended = child.poll()
            child.terminate()
            code = child.wait() if ended is None else ended
        except BaseException:
            _end(child)
            raise
        if ended is not None or code != 0:
            text = log.read_text(errors="backslashreplace")
            raise DemoFailed(f"{shlex.join(words)}: exit code {code}\n{text}")

    def _run(self, words: Sequence[str], stdout: int) -> int:
        """Run to the end; when we are interrupted, ask the child to end and wait until it has."""
        child: subprocess.Popen[bytes] | None = None
        try:
            child = self._start(words, stdout)
            return child.wait()
        except BaseException:
            if child is not None:
                _end(child)
            raise

    def _start(self, words: Sequence[str], stdout: int) -> subprocess.Popen[bytes]:
        child: subprocess.Popen[bytes] | None = None
        try:
            with _uninterrupted():
                child = subprocess.Popen(
                    tied_to_us(words, death_signal="TERM"),
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=subprocess.STDOUT,  # so that what a command complains about is below it
                    env=self._environment,
                    cwd=self._directory,
                )
        except BaseException:
            if child is not None:
                _end(child)
            raise
        return child


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _paint(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if _COLOURS else text


def good(text: str) -> str:
    return _paint("32", text)
