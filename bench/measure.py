"""Run commands and measure them; two commands alternate, so that a busy machine is fair to both."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

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
    kernel's own mark, without the children that it started."""

    seconds: float
    peak_bytes: int
    output: str


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
    begun = time.perf_counter()
    child = subprocess.Popen(
        tied_to_us(argv, death_signal="TERM") if tied else argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
    )
    peak = _Peak(child.pid) if memory else None
    try:
        out, err = child.communicate()
    except BaseException:
        child.terminate()
        child.wait()
        raise
    seconds = time.perf_counter() - begun
    if child.returncode not in exits:
        raise BenchFailed(
            f"{' '.join(argv)[:300]}: exit {child.returncode}\n{(err or out).decode()[-2000:]}"
        )
    return Run(seconds, peak.result() if peak else 0, out.decode())


def write_secret(path: Path, text: str) -> None:
    """Write a file that only we can read: drd accepts no other."""
    path.touch(0o600)
    path.write_text(text)


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


def seconds(runs: Sequence[Run]) -> float:
    """Return the median in seconds."""
    return median(r.seconds for r in runs)
