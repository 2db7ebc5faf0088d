"""Run commands and measure them; two commands alternate, so that a busy machine is fair to both.
How long they wait for a processor is not fair: read their processor time beside the seconds."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from typing import IO

from tests.servers.child import tied_to_us

_LOOK_EVERY_S = 0.02


def environment() -> dict[str, str]:
    """Return our environment, without variables that would redirect the programs, or make every
    start of Python compile all that it imports.
    """
    elsewhere = ("PG", "AWS_", "RESTIC_", "PYTHONDONTWRITE")
    return {k: v for k, v in os.environ.items() if not k.startswith(elsewhere)}


class BenchFailed(Exception):
    """A command that was to be measured did not do its work."""


@dataclass(frozen=True, slots=True)
class Run:
    """One finished command. `peak_bytes` is the resident peak of its first process alone, by the
    kernel's own mark, without the children that it started. `cpu_s` has the processor time of all
    that it started, also of servers in the background; None if the kernel does not count it for us.
    `own_cpu_s` is the part of the first process alone.
    """

    seconds: float
    peak_bytes: int
    output: str
    cpu_s: float | None = None
    own_cpu_s: float = 0.0


def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    exits: Sequence[int] = (0,),
    memory: bool = False,
    tied: bool = True,
) -> Run:
    """Run a command to its end. Raises BenchFailed for an unexpected exit code. `tied` ends it with
    this process; very short commands are not tied, since that starts one more program. `memory`
    measures the peak, in a thread.
    """
    group = _Group()
    with TemporaryFile() as out, TemporaryFile() as err:
        begun = time.perf_counter()
        child = subprocess.Popen(
            tied_to_us(argv, death_signal="TERM") if tied else argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=dict(environment),
            preexec_fn=group.enter,  # noqa: PLW1509 - it writes one byte to an open file
        )
        peak = _Peak(child.pid) if memory else None
        try:
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            own_cpu_s = _own_cpu_s(child.pid)
            child.wait()
        except BaseException:
            child.terminate()
            child.wait()
            group.close()
            raise
        seconds = time.perf_counter() - begun
        cpu_s = group.close()
        said, complained = (_all_of(file) for file in (out, err))
    if child.returncode not in exits:
        raise BenchFailed(
            f"{' '.join(argv)[:300]}: exit {child.returncode}\n{(complained or said)[-2000:]}"
        )
    return Run(seconds, peak.result() if peak else 0, said, cpu_s, own_cpu_s)


def _own_cpu_s(pid: int) -> float:
    """Return the processor time of a process that has ended and that nobody has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _all_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def write_secret(path: Path, text: str) -> None:
    """Write a file that only we can read: drd accepts no other."""
    path.touch(0o600)
    path.write_text(text)


class _Group:
    """A control group for one command, whose processor time the kernel counts. Without the right to
    make one, nothing is counted."""

    _TOPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))

    def __init__(self) -> None:
        self._place: Path | None = None
        self._door = -1
        for top in self._TOPS:
            place = top / f"drd-bench-{os.getpid()}-{time.monotonic_ns()}"
            with suppress(OSError):
                if (top / "cgroup.procs").is_file():
                    place.mkdir()
                    self._door = os.open(place / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
                    self._place = place
                    return

    def enter(self) -> None:
        """Move the calling process into the group: the child, before it becomes the command."""
        if self._door >= 0:
            os.write(self._door, b"0")

    def close(self) -> float | None:
        """Return the seconds so far. A group in which something still runs stays until it ends."""
        if self._place is None:
            return None
        os.close(self._door)
        said = dict(line.split() for line in (self._place / "cpu.stat").read_text().splitlines())
        with suppress(OSError):
            self._place.rmdir()
        return int(said["usage_usec"]) / 1e6


class _Peak:
    """Reads a process's VmHWM, which only rises, until it is gone."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._peak = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while True:
            try:
                text = self._status.read_text()
            except OSError:
                return
            if "VmHWM:" not in text:  # a zombie has no memory
                return
            self._peak = int(text.split("VmHWM:")[1].split()[0]) * 1024
            time.sleep(_LOOK_EVERY_S)

    def result(self) -> int:
        self._thread.join(1)
        return self._peak


def in_turn(
    ours: Callable[[], Run], theirs: Callable[[], Run], times: int
) -> tuple[list[Run], list[Run]]:
    """Run both, alternating and with the order reversed each time, so that neither always goes
    first.
    """
    left: list[Run] = []
    right: list[Run] = []
    for turn in range(times):
        pair = [(ours, left), (theirs, right)]
        for measured, results in pair if turn % 2 == 0 else reversed(pair):
            results.append(measured())
    return left, right


def cpu_seconds(runs: Sequence[Run]) -> float | None:
    """Return the median of the processor time in seconds; None if it was not counted."""
    counted = [r.cpu_s for r in runs if r.cpu_s is not None]
    return median(counted) if counted else None


def cpu_of_programs(runs: Sequence[Run]) -> float | None:
    """Return the median of the processor time of all that the commands have started, without the
    commands themselves; None if it was not counted."""
    counted = [r.cpu_s - r.own_cpu_s for r in runs if r.cpu_s is not None]
    return median(counted) if counted else None


def rta(run: Run) -> float:
    """Return the RTA that a drill or a recovery has printed, in seconds."""
    return float(json.loads(run.output)["rta_s"])


def seconds(runs: Sequence[Run]) -> float:
    """Return the median in seconds."""
    return median(r.seconds for r in runs)
