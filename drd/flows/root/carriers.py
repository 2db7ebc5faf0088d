"""Record which process of root carries out a recovery, or exchanges its kept copies, on the state
of another user.

That user can write the catalogue and remove its locks, so that a living process looks dead there.
Therefore root locks a file that root alone can open, one for each plan of the state. The kernel
unlocks it when the process dies: neither a kill nor a restart of the host leaves a lock. The
content of the file names the process and its run; it has no influence on the lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from drd.errors import AlreadyRunning
from drd.flows.root.ledger import Warn, ledgers, make_ledgers
from drd.process import rights
from drd.process.rights import Purpose

_SUFFIX = ".lock"
_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags for the descriptor that is locked. It cannot write: a descriptor that can write would
prevent that the file system becomes read-only."""
_LARGEST = 1 << 12
_GLANCES_S = 0.5
"""How long drd tries to take a lock that others are checking. A check takes microseconds."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """A living process of root, with its run; the run is empty while the process exchanges or
    removes kept copies. Without a pid if the process could not write it.
    """

    plan: str
    run: str = ""
    pid: int | None = None

    def refuse(self) -> None:
        """Raise AlreadyRunning."""
        process = f"process {self.pid}" if self.pid is not None else "another process of root"
        if not self.run:
            look = f". To see its command: ps -ww -o user,lstart,args {self.pid}"
            raise AlreadyRunning(
                f"{process} is exchanging or removing kept copies of {self.plan} (drd undo, drd "
                "done)",
                run="",
                hint=f"wait until it ends{look if self.pid is not None else '.'}",
            )
        kill = f", and end the process: `kill {self.pid}`" if self.pid is not None else ""
        raise AlreadyRunning(
            f"{process} is executing run {self.run} of {self.plan}, as root's own record shows",
            run=self.run,
            hint=f"to see its progress: `drd run show {self.run}`. To end it: `drd cancel "
            f"{self.run}`. If drd does not show this run, or shows another state, somebody "
            f"changed the catalogue without drd: find out who{kill}.",
        )


@dataclass
class _Held:
    fd: int | None
    times: int = 1


class Carriers:
    """The plans on whose targets this process works, and those on which other processes of root
    work. A lock is held until each `take` of its plan was released."""

    def __init__(self, work_dir: Path, warn: Warn) -> None:
        self._directory = ledgers(work_dir)
        self._warn = warn
        self._mutex = threading.Lock()
        self._held: dict[str, _Held] = {}

    def take(self, plan: str, run: str = "") -> Callable[[], None]:
        """Record that this process works on the plan's targets; return what ends that. Raises
        AlreadyRunning while another process of root's does, SandboxUnavailable if others could
        change the record.
        """
        with self._mutex:
            held = self._held.get(plan)
            if held is None:
                self._held[plan] = held = _Held(self._locked(plan))
            else:
                held.times += 1
            if run and held.fd is not None:
                _write(self._path(plan), Carrier(plan, run, os.getpid()))
        left = [held]

        def release() -> None:
            with self._mutex, suppress(IndexError):
                left.pop().times -= 1
                if held.times == 0:
                    del self._held[plan]
                    if held.fd is not None:
                        os.close(held.fd)

        return release

    def of_plan(self, plan: str) -> Carrier | None:
        """Return the other process of root that works on the plan's targets."""
        with self._mutex:
            return None if plan in self._held else _carrier(self._path(plan), plan)

    def runs(self) -> dict[str, Carrier]:
        """Return the runs that living processes of root's carry out."""
        with rights.root(Purpose.NOTES):
            files = sorted(self._directory.glob(f"*{_SUFFIX}"))
        carriers = (_carrier(file, "") for file in files)
        return {c.run: c for c in carriers if c is not None and c.run}

    def _locked(self, plan: str) -> int | None:
        path = self._path(plan)
        try:
            with rights.root(Purpose.NOTES):
                make_ledgers(self._directory)
                fd = os.open(path, _OPEN | os.O_RDONLY | os.O_CREAT, 0o600)
        except OSError as error:
            self._warn(
                f"cannot write {path}: {error.strerror}. So other commands of root cannot see "
                f"that this command runs: start no other command for {plan} as root before this "
                "command has ended"
            )
            return None
        try:
            while not _flock(fd, fcntl.LOCK_EX, _GLANCES_S):
                if (other := _carrier(path, plan)) is not None:
                    other.refuse()
            _write(path, Carrier(plan, "", os.getpid()))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _path(self, plan: str) -> Path:
        name = blake2b(plan.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        return self._directory / f"{name}{_SUFFIX}"


@contextmanager
def carried(carriers: Carriers, plan: str) -> Iterator[None]:
    """Work on the plan's targets in the body. Raises AlreadyRunning."""
    release = carriers.take(plan)
    try:
        yield
    finally:
        release()


def _carrier(path: Path, plan: str) -> Carrier | None:
    """Return who has locked the file; None if nobody has."""
    try:
        with rights.root(Purpose.NOTES):
            fd = os.open(path, _OPEN | os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if _flock(fd, fcntl.LOCK_SH):
            return None
        known = json.loads(os.pread(fd, _LARGEST, 0) or b"{}")
        return Carrier(known.get("plan", plan), known.get("run", ""), known.get("pid"))
    except ValueError:
        return Carrier(plan)
    finally:
        os.close(fd)


def _write(path: Path, carrier: Carrier) -> None:
    """Write who holds the lock. On a full disk the lock alone has to do."""
    words = {"plan": carrier.plan, "run": carrier.run, "pid": carrier.pid}
    with suppress(OSError), rights.root(Purpose.NOTES):
        fd = os.open(path, _OPEN | os.O_WRONLY | os.O_TRUNC)
        with os.fdopen(fd, "wb") as file:
            file.write(json.dumps(words).encode("ascii"))


def _flock(fd: int, how: int, within_s: float = 0.0) -> bool:
    limit = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= limit:
                return False
            time.sleep(0.01)
        else:
            return True
