"""One child process that cannot outlive the process that started it, and ports for it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drd.process.private import root_directories, root_place

LOOPBACK = "127.0.0.1"

# Below the ports that the kernel hands to outgoing connections (32768 and up): one of those could
# take a server's port while the server is stopped, and it could not start again. The stored states
# of earlier versions (tests/former_states) use the port after these.
_PORTS = range(20_000, 28_765)


class ServerError(RuntimeError):
    """A server did not start or did not end; the message carries the end of its log."""


@dataclass(frozen=True)
class User:
    """Who a child runs as; `None` instead of a user means: as we are."""

    uid: int
    gid: int


class Child:
    """A running child. It is ended by its id: by `end`, or by the kernel when we die.

    The kernel sends `death_signal` when the thread that made this object ends, so make it in a
    thread that lives as long as the child should.
    """

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        death_signal: str = "KILL",
        user: User | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self._name = Path(argv[0]).name
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                tied_to_us(argv, death_signal=death_signal, user=user),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=log.parent,
                env={**os.environ, **(env or {})},
                start_new_session=True,  # Ctrl-C is for us; we end the child in order
            )

    @property
    def pid(self) -> int:
        """Its process id, which stays ours until `end` returned."""
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def end(self, signal_number: int, grace_s: float = 0.0) -> None:
        """Send a signal, SIGKILL after `grace_s`, and return when it and its children are gone."""
        children = _children(self.pid) if self.running else []
        if self.running:
            self._process.send_signal(signal_number)
        try:
            self._process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)
        if not _eventually(lambda: not any(_lives(pid) for pid in children), 10):
            raise ServerError(f"{self._name} ended and left children: {children}")

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return once `ready()` holds; else end the child and raise ServerError."""
        try:
            _eventually(lambda: not self.running or ready(), seconds)
            if not (self.running and ready()):
                state = "not ready" if self.running else f"exit {self._process.returncode}"
                raise ServerError(f"{self._name}: {state}\n{self._log_tail()}")
        except BaseException:
            self.end(signal.SIGKILL)
            raise

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


def free_ports(count: int) -> list[int]:
    """Ports of loopback on which nothing listens at this moment."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            break
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                found.append(port)
    return found


def tied_to_us(
    argv: Sequence[str], *, death_signal: str = "KILL", user: User | None = None
) -> list[str]:
    """The command, signalled by the kernel when the thread that starts it ends; as another user."""
    as_user = (
        [] if user is None else [f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"]
    )
    return ["setpriv", "--pdeathsig", death_signal, *as_user, "--", *argv]


@contextlib.contextmanager
def short_directory(parent: Path = Path("/tmp")) -> Iterator[Path]:
    """A directory whose path leaves room for a socket's, open to other users, removed afterwards.

    A socket's path has 107 bytes, and a server that refuses root has to get through to its files.
    What root left outside for a state in it is removed as well.
    """
    path = Path(tempfile.mkdtemp(prefix="drd-", dir=parent))
    path.chmod(0o755)
    try:
        yield path
    finally:
        states = [path, *(p for p in path.iterdir() if p.is_dir())]
        for outside in (
            root_place(s / "work", place) for s in states for place in root_directories()
        ):
            shutil.rmtree(outside, ignore_errors=True)
        shutil.rmtree(path)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _eventually(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
