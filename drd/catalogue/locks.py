"""Who owns a run: lock files, locked with flock by living processes.

The kernel unlocks a file when its process dies in any way, and never for a process that is only
stopped: neither a suspended laptop nor a clock that jumps makes a second owner.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drd import modes, process
from drd.catalogue import trouble
from drd.errors import AlreadyRunning

_POLL_S = 0.05


class HeldLock:
    """One locked file. Two holders in one process exclude each other as well. Programs that drd
    starts do not inherit the descriptor."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd: int | None = fd
        self._path = path
        self._mutex = threading.Lock()

    def release(self) -> None:
        """Unlock the file, without removing it. A second call does nothing."""
        with self._mutex:
            fd, self._fd = self._fd, None
            if fd is not None:
                os.close(fd)

    def discard(self) -> None:
        """Remove the file while it is locked, then unlock it."""
        with self._mutex:
            fd, self._fd = self._fd, None
            if fd is not None:
                with suppress(OSError):
                    self._path.unlink()
                os.close(fd)


class LockFiles:
    """The lock files in one directory. The directory is made when the first lock is taken."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def take(self, name: str) -> HeldLock | None:
        """Take the lock; None while another process has it."""
        path = self._path(name)
        while True:
            fd = self._open(path)
            try:
                locked = _flock(fd, fcntl.LOCK_EX)
                if locked and _is(fd, path):
                    return HeldLock(fd, path)
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
            if not locked:
                return None
            # The file was discarded between open and flock: try again.

    @contextmanager
    def glance(self, name: str) -> Iterator[bool | None]:
        """Return whether the lock is free; None when there is no such file. A free lock stays free
        during the body.

        The check takes a shared lock: several can check at once, and nobody takes the lock
        meanwhile.
        """
        try:
            how = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = modes.open_regular(self._path(name), how)
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            raise trouble.explain_os(error, str(self._path(name))) from error
        try:
            yield _flock(fd, fcntl.LOCK_SH)
        finally:
            os.close(fd)

    def daemon_runs(self) -> bool:
        """Return whether a daemon works with the state of these locks."""
        with self.glance(safe_name("daemon")) as is_free:
            return is_free is False

    def is_held_by(self, name: str, pid: int) -> bool:
        """Return whether the process holds the lock. False when its descriptors may not be read."""
        with suppress(OSError):
            wanted = self._path(name).lstat()
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    info = entry.stat()
                    same = (info.st_dev, info.st_ino) == (wanted.st_dev, wanted.st_ino)
                    # Any process can open the file: only the flock proves that it holds the lock.
                    if same and _locks(Path(f"/proc/{pid}/fdinfo/{entry.name}")):
                        return True
        return False

    @contextmanager
    def waiting(self, name: str, wait_s: float) -> Iterator[None]:
        """Hold the lock for the body, and remove its file afterwards.

        Raises AlreadyRunning when another process has the lock for all of `wait_s`. A cancel ends
        the waiting.
        """
        limit = time.monotonic() + wait_s
        while (held := self.take(safe_name(name))) is None:
            if time.monotonic() >= limit:
                raise AlreadyRunning(
                    f"another drd process is doing this work already (it holds the lock {name})",
                    run="",
                    hint="wait until that process ends, then try again. `drd runs` lists the runs.",
                )
            process.check_cancelled()
            time.sleep(_POLL_S)
        try:
            yield
        finally:
            held.discard()

    def names(self, prefix: str) -> list[str]:
        """The names of the existing lock files, held or not."""
        try:
            names = [entry.name for entry in os.scandir(self.directory)]
        except OSError:
            return []
        suffix = ".lock"
        return [
            n.removesuffix(suffix) for n in names if n.startswith(prefix) and n.endswith(suffix)
        ]

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.lock"

    def _open(self, path: Path) -> int:
        try:
            modes.make_private_directory(self.directory)
            return modes.open_private_file(path)
        except OSError as error:
            raise trouble.explain_os(error, str(path)) from error


def safe_name(name: str) -> str:
    """A file name for any text: readable, and different for different texts."""
    words = re.sub(r"[^a-zA-Z0-9-]+", "-", name).strip("-")[:60]
    return f"{words}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _flock(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _locks(descriptor: Path) -> bool:
    """Return whether this descriptor of a process, by its entry below /proc/PID/fdinfo, has an
    exclusive flock."""
    words = (line.split() for line in descriptor.read_text(encoding="ascii").splitlines())
    return any(w[:1] == ["lock:"] and {"FLOCK", "WRITE"} <= {*w} for w in words)


def _is(fd: int, path: Path) -> bool:
    """Return whether `fd` is still the file that `path` names."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(fd)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
