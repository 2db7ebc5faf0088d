"""Find and end the processes that a killed drd left running."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from drd.presence import process_start_time
from drd.process import rights
from drd.process.numbers import pids

RUN = "DRD_RUN"
STATE = "DRD_STATE_ID"
MARKS = (RUN, STATE)
"""The environment variables of a mark."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark in the environment of each process that works for a run. `run` is public: it is in a
    row, which the state's owner can write, and in arguments, which everyone can read. `state`
    distinguishes the runs of this state from all others (`state_id`), so that no row leads to the
    processes of another state.
    """

    run: str
    state: str

    def environment(self) -> Mapping[str, str]:
        return {RUN: self.run, **({STATE: self.state} if self.state else {})}


def state_id(directory: Path) -> str:
    """Return the id of the state in a directory. It contains the id of the user for whom this
    process acts, so that the state of another user never has the same id, wherever a path leads.
    Empty when there is no directory."""
    try:
        info = directory.stat()
    except OSError:
        return ""
    owner = rights.acts_for()
    return f"{os.geteuid() if owner is None else owner.uid}-{info.st_dev:x}-{info.st_ino:x}"


def process_alive(pid: int, start_time: int | None) -> bool:
    """Return whether the process that had this start time still runs (a zombie does not)."""
    now = process_start_time(pid)
    return now is not None and (start_time is None or now == start_time)


def unreaped(program: str) -> frozenset[int]:
    """Pids of dead processes of a program that their parents have not reaped yet."""
    pids = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            head, _, rest = (entry / "stat").read_bytes().rpartition(b")")
            name = head.partition(b"(")[2]
            if rest.split()[0] == b"Z" and name == program.encode()[:15]:  # the kernel truncates it
                pids.add(int(entry.name))
    return frozenset(pids)


@rights.as_root(rights.Purpose.PROCESSES)
def end_process(pid: int, *, ask: signal.Signals = signal.SIGTERM, grace_s: float = 5.0) -> None:
    """Ask a process that is not a child of this one to end, then kill it; return when it is
    gone."""
    born = process_start_time(pid)
    for number, patience in ((ask, grace_s), (signal.SIGKILL, 5.0)):
        if born is None or not process_alive(pid, born):
            return
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
        limit = time.monotonic() + patience
        while process_alive(pid, born) and time.monotonic() < limit:
            time.sleep(0.02)


@rights.as_root(rights.Purpose.PROCESSES)
def is_marked(pid: int, variable: str, value: str) -> bool:
    """Return whether the process was started with `variable=value`; processes of other users cannot
    be read."""
    return f"{variable}={value}".encode() in _environment(pid)


@rights.as_root(rights.Purpose.PROCESSES)
def works_for(pid: int, mark: Mark, *, roots: bool = False) -> bool:
    """Return whether a process carries the mark. False for processes of other users, which this
    process may not read.

    An earlier drd started its processes without the id of a state. When root acts for the state's
    owner, such a process must belong to the owner, who could end it anyway. With `roots`, a process
    of root's counts as well.
    """
    around = _environment(pid)
    if f"{RUN}={mark.run}".encode() not in around:
        return False
    states = {v.partition(b"=")[2] for v in around if v.startswith(f"{STATE}=".encode())}
    if states and states != {mark.state.encode()}:
        return False
    owner = rights.acts_for()
    if owner is None:
        return True
    users = _users(pid)
    return (roots or 0 not in users) if states else users == {owner.uid}


def _environment(pid: int) -> frozenset[bytes]:
    with suppress(OSError):
        return frozenset(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    return frozenset()


def _users(pid: int) -> frozenset[int]:
    """Return the users whose rights a process has or can take; root when that cannot be read."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_bytes().splitlines():
            if line.startswith(b"Uid:"):
                return frozenset(map(int, line.split()[1:4]))
    return frozenset({0})


@rights.as_root(rights.Purpose.PROCESSES)
def kill_marked(mark: Mark, *, roots: bool = False, grace_s: float = 3.0) -> list[int]:
    """End every other process that works for a run (see `works_for`); returns their pids.

    TERM first, so that restic removes its lock; KILL for processes that do not end within
    `grace_s`, which they all share.
    """
    with ExitStack() as stack:
        processes = _open_marked(mark, stack, roots=roots)
        _signal(processes.values(), signal.SIGCONT)
        _signal(processes.values(), signal.SIGTERM)
        _wait(processes.values(), grace_s)
        # Processes that these started meanwhile have the mark as well.
        late = processes | _open_marked(mark, stack, roots=roots)
        _signal(late.values(), signal.SIGKILL)
        _wait(late.values(), 1.0)
    return list(processes)


def _open_marked(mark: Mark, stack: ExitStack, *, roots: bool) -> dict[int, int]:
    """Return the processes that carry the mark, by pid, each with a descriptor. A signal through
    the descriptor reaches the process that was checked, never a later one with the same pid.
    """
    processes = {}
    for pid in pids():
        if pid == os.getpid() or not works_for(pid, mark, roots=roots):
            continue
        with suppress(OSError):
            fd = os.pidfd_open(pid)
            stack.callback(os.close, fd)
            if works_for(pid, mark, roots=roots):
                processes[pid] = fd
    return processes


def _signal(processes: Iterable[int], number: signal.Signals) -> None:
    for fd in processes:
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(fd, number)


def _wait(processes: Iterable[int], limit_s: float) -> None:
    """Wait until all have ended, or until the time is over."""
    limit = time.monotonic() + limit_s
    for fd in processes:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(max(0.0, limit - time.monotonic()) * 1000)
