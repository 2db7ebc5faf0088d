"""Functions for drd's own servers, which run in a sandbox as another user: give this user a
directory, and end the servers, also after drd was killed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from drd import process
from drd.errors import SandboxUnavailable
from drd.exhaustion import place_of
from drd.model.finding import Finding
from drd.model.units import format_size
from drd.ports import Workplace
from drd.process import rights

SOCKET_LIMIT = 107
"""The longest path of a Unix socket in bytes (sun_path)."""
_LOG_READ = 1 << 20
_PREFIX = "drd-"
_MORE_ROOM = "free space, or set work_dir to a larger disk."
_NO_SPACE = "free space on this disk, then try again. A drill uses the disk of `work_dir`."


class ServerLog:
    """The log of a server. It is read by the descriptor with which it was made: code in the data
    may later have replaced the file of this name."""

    def __init__(self) -> None:
        self._file: int | None = None

    def open(self, path: Path) -> int:
        """Make the file, and return its descriptor."""
        self.close()
        how = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, how, 0o600)
        return self._file

    def text(self) -> str:
        """Return the end of the log."""
        if self._file is None:
            return ""
        size = os.fstat(self._file).st_size
        data = os.pread(self._file, _LOG_READ, max(0, size - _LOG_READ))
        return data.decode("utf-8", "replace")

    def last_lines(self) -> str:
        return " | ".join(self.text().splitlines()[-3:]) or "no log"

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def make_base(
    base: Path,
    socket: str,
    user: str | None,
    refusal: str,
    *,
    passage: Callable[[Path, str], None] | None = None,
) -> Path:
    """Make the directory of a server that runs as `user`; return the directory for its `socket`, by
    its real name. `passage` replaces `require_passage`. Raises SandboxUnavailable; with the words
    of `refusal` if the server would run as root."""
    if os.geteuid() == 0 and user is None:
        raise SandboxUnavailable(refusal, hint="set run_as in drd.yaml to another user.")
    base.mkdir(mode=0o700, parents=True)
    give(base, user)
    # `base` may be a path through a descriptor of this process, by which no other user gets there.
    there = Path(os.path.realpath(base))
    if user is not None:
        (passage or require_passage)(there, user)
    if len(os.fsencode(f"{there}/{socket}")) <= SOCKET_LIMIT:
        return there
    short = Path(tempfile.mkdtemp(prefix=_PREFIX))
    give(short, user)
    # The sweep of a killed drd finds it by this.
    (base / "sockets").symlink_to(short)
    return short


def end_server(base: Path, program: bytes, *, ask: signal.Signals) -> list[int]:
    """End the processes of a server's directory, remove it and its sockets; return the pids. The
    content of the directory belongs to the server's user, who may have run code of the data: so no
    link in it is followed."""
    data = base.parent.resolve() / base.name / "data"
    pids = end_servers(data, program, ask=ask)
    sockets = base / "sockets"
    with suppress(OSError):
        place, user = sockets.readlink(), base.lstat().st_uid
        ours = place.name.startswith(_PREFIX) and place.parent == Path(tempfile.gettempdir())
        # The server's user could have put another link there: nothing goes but its own.
        if ours and place.lstat().st_uid == user and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(base, ignore_errors=True)
    return pids


def fence_failures(place: Workplace) -> str:
    """Return why the fence of a server could not be set up; empty if it could."""
    box = place.sandbox
    return "; ".join(box.failures()) if box is not None else ""


def fence_failure(place: Workplace) -> str:
    """Return the words about a server whose fence failed; empty if it did not fail."""
    failures = fence_failures(place)
    return f"its fence could not be set up: {failures}" if failures else ""


def room(component: str, place: Workplace, needed: int) -> Finding:
    """Check whether the workplace's disk has space for about so many bytes."""
    free = shutil.disk_usage(place.directory).free
    fits = free > needed
    return Finding(
        "room",
        "ok" if fits else "error",
        component,
        f"{format_size(free)} free in {place.directory}, {format_size(needed)} needed",
        "" if fits else _MORE_ROOM,
    )


def room_for_copy(component: str, place: Workplace, needed: int) -> Finding:
    """Check whether the workplace's disk has space for the copy of a whole server."""
    free = shutil.disk_usage(place.directory).free
    text = (
        f"a backup first copies the whole server to {place.directory}: this needs "
        f"{format_size(needed)}; {format_size(free)} are free"
    )
    if free > needed:
        return Finding("room", "ok", component, text)
    remedy = "free space there, or set work_dir in drd.yaml to a larger disk."
    return Finding("room", "error", component, text, remedy)


def no_space(directory: Path) -> SandboxUnavailable:
    """Return the error for a full disk below a workplace, or below the files of a recovery."""
    return SandboxUnavailable(
        f"no space left on the disk of {place_of(directory)} for drd's server and its data",
        hint=_NO_SPACE,
    )


@contextmanager
def interruptible(cancel: Callable[[], object]) -> Iterator[None]:
    """When drd is cancelled, call `cancel`, which ends the server's work, until the body ends;
    raise Cancelled then. What `cancel` raises is ignored."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            if process.cancelled():
                with suppress(Exception):
                    cancel()

    watcher = threading.Thread(target=watch, name="drd-watch-query", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        process.check_cancelled()


def give(path: Path, user: str | None, *, within: int | None = None) -> None:
    """Give a file to the user of the server. If it is a link, give the link itself. `within` is the
    open directory of a path that is only a name."""
    if user is None:
        return
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise SandboxUnavailable(
            f"user {user}, who should run the sandbox's server, does not exist",
            hint="create this user, or set run_as in drd.yaml to an existing user.",
        ) from None
    os.chown(path, account.pw_uid, account.pw_gid, dir_fd=within, follow_symlinks=False)


def require_passage(base: Path, user: str) -> None:
    """Require that the server's user can enter its directory; the error names the first parent that
    prevents it. Raises SandboxUnavailable.
    """
    if _passes(base, user):
        return
    for directory in (*reversed(base.parents), base):
        if not _passes(directory, user):
            raise SandboxUnavailable(
                f"user {user}, who runs the sandbox's server, cannot enter {directory}",
                hint=f"let this user enter the directory: chmod o+x {directory}; or set "
                "`work_dir` to a directory that this user can reach.",
            )


def _passes(directory: Path, user: str) -> bool:
    command = process.Command(["test", "-x", str(directory.absolute())], user=user, deadline_s=10.0)
    return process.run(command).exit_code == 0


def end_servers(data: Path, program: bytes, *, ask: signal.Signals) -> list[int]:
    """End the server processes that work in a data directory; return their pids, the oldest first.
    They are recognised by their program and working directory: no recorded pid is trusted.
    """
    pids = processes_in(data, program)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)  # one that was stopped does not listen
        process.end_process(pid, ask=ask)
    return pids


def processes_in(data: Path, program: bytes) -> list[int]:
    """Return the processes of a program that work in a directory, the oldest first."""
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            if program in words and (entry / "cwd").readlink() == data:
                pids.append(int(entry.name))
    return sorted(pids, key=lambda pid: (process.process_start_time(pid) or 0, pid))


class Working(NamedTuple):
    """Process numbers of servers. Those of `here` work in a directory. Those of `perhaps` may work
    there: drd may not see where they work, and their users could write there."""

    here: list[int]
    perhaps: list[int]

    @property
    def first(self) -> int | None:
        return next(iter([*self.here, *self.perhaps]), None)


@rights.as_root(rights.Purpose.PROCESSES)
def servers_in(directory: Path, is_server: Callable[[bytes], bool]) -> Working:
    """Find the servers that work in a directory, also servers in containers, where the directory
    has another name. `is_server` gets the command line of a process."""
    processes = Working([], [])
    try:
        place = directory.stat()
    except OSError:
        return processes
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if not entry.name.isdigit() or not is_server((entry / "cmdline").read_bytes()):
                continue
            try:
                if os.path.samestat((entry / "cwd").stat(), place):
                    processes.here.append(int(entry.name))
            except PermissionError:
                if _may_write(entry.stat().st_uid, place):
                    processes.perhaps.append(int(entry.name))
    for pids in processes:
        pids.sort(key=lambda pid: (process.process_start_time(pid) or 0, pid))
    return processes


def _may_write(user: int, place: os.stat_result) -> bool:
    return user in (0, place.st_uid) or bool(place.st_mode & 0o022)
