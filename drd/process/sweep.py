"""Finding and ending what a killed drd left running."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from drd.process import rights


def process_start_time(pid: int) -> int | None:
    """Clock ticks after boot at which `pid` started, or None when there is no such process.

    With the pid it names a process for ever: pids are used again, pairs are not.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def process_alive(pid: int, start_time: int | None) -> bool:
    """Whether the process that had this start time still runs (a zombie does not)."""
    now = process_start_time(pid)
    return now is not None and (start_time is None or now == start_time)


def unreaped(program: str) -> frozenset[int]:
    """Pids of dead processes of a program of which their parents have not taken note yet."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            head, _, rest = (entry / "stat").read_bytes().rpartition(b")")
            name = head.partition(b"(")[2]
            if rest.split()[0] == b"Z" and name == program.encode()[:15]:  # the kernel cuts it
                found.add(int(entry.name))
    return frozenset(found)


@rights.as_root(rights.Purpose.PROCESSES)
def end_process(pid: int, *, ask: signal.Signals = signal.SIGTERM, grace_s: float = 5.0) -> None:
    """Ask a process that is no child of ours to end, then kill it; returns when it is gone."""
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
    """Whether it was started with `variable=value`; of other users' processes nobody can tell."""
    with suppress(OSError):
        return f"{variable}={value}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(
            b"\0"
        )
    return False


@rights.as_root(rights.Purpose.PROCESSES)
def marked(variable: str, value: str) -> list[int]:
    """Pids of the processes that `is_marked` knows, except our own."""
    pids = (int(e.name) for e in Path("/proc").iterdir() if e.name.isdigit())
    return [pid for pid in pids if pid != os.getpid() and is_marked(pid, variable, value)]


@rights.as_root(rights.Purpose.PROCESSES)
def kill_marked(variable: str, value: str, *, grace_s: float = 3.0) -> list[int]:
    """End every process that carries the mark in its environment; returns their pids.

    TERM first, so that restic removes its lock; KILL for what does not listen within `grace_s`,
    which all of them have at the same time.
    """
    born = {pid: process_start_time(pid) for pid in marked(variable, value)}
    for pid in born:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)
    limit = time.monotonic() + grace_s
    while any(process_alive(*one) for one in born.items()) and time.monotonic() < limit:
        time.sleep(0.02)
    # What these started meanwhile has the mark as well.
    for pid in {*born, *marked(variable, value)}:
        end_process(pid, ask=signal.SIGKILL, grace_s=1.0)
    return list(born)
