"""Functions for drd's own servers, which run in a sandbox as another user: give this user a
directory, and end the servers, also after drd was killed.
"""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drd import process
from drd.errors import SandboxUnavailable
from drd.process import rights

SOCKET_LIMIT = 107
"""The longest path of a Unix socket in bytes (sun_path)."""


def give(path: Path, user: str | None, *, within: int | None = None) -> None:
    """Give a file to the user of the server; a link itself, not what it leads to. `within` is the
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
    """Find the servers that work in a directory, also those in containers, which know it by another
    name. `is_server` gets the command line of a process."""
    found = Working([], [])
    try:
        place = directory.stat()
    except OSError:
        return found
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if not entry.name.isdigit() or not is_server((entry / "cmdline").read_bytes()):
                continue
            try:
                if os.path.samestat((entry / "cwd").stat(), place):
                    found.here.append(int(entry.name))
            except PermissionError:
                if _may_write(entry.stat().st_uid, place):
                    found.perhaps.append(int(entry.name))
    for pids in found:
        pids.sort(key=lambda pid: (process.process_start_time(pid) or 0, pid))
    return found


def _may_write(user: int, place: os.stat_result) -> bool:
    return user in (0, place.st_uid) or bool(place.st_mode & 0o022)
