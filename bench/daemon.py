"""Measure the daemon with 10, 1,000 and 10,000 plans, whose runs do nothing: its own cost.

Three components each, every 15 minutes. The baseline is the smallest number of plans, measured
before in the same run.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench import measure, nothing
from bench.crowd import Crowd
from bench.table import Row, mb

SETTLE_S = 60.0
"""The time from its start until the daemon has done overdue work and is idle."""
START_WITHIN_S = 300.0
STATUS_TIMES = 5

_PROMISED_AT = 1_000
_ALLOWED_CPU = 0.03
_ALLOWED_MEMORY = 150 * 1000 * 1000
_ALLOWED_TICK_S = 1.0
_ALLOWED_LATE_S = 1.0
_ALLOWED_STATUS_S = {1_000: 0.15, 10_000: 1.0}
"""The target for `drd status` from the summary, by the number of plans."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. `cpu` is a share of one core. `ticks_s` and `late_s` are of the measured
    time alone; a tick counts if it started or settled something.
    """

    plans: int
    start_s: float
    cpu: float
    memory_bytes: int
    ticks_s: Sequence[float]
    late_s: Sequence[float]
    status_s: float


def rows(home: Path, counts: Sequence[int], seconds: float) -> list[Row]:
    """Run a daemon for each number of plans, and measure it for so many seconds."""
    pure = [sys.executable, "-c", "pass"]
    python_s = _median_s(pure, measure.environment())
    found: list[Row] = []
    base: Figures | None = None
    for count in counts:
        measured = _measured(Crowd(home / f"crowd{count}", count), seconds)
        base = base or measured
        found += _rows(measured, base, python_s)
    return found


def _rows(now: Figures, base: Figures, python_s: float) -> list[Row]:
    promised = now.plans == _PROMISED_AT
    allowed = _ALLOWED_STATUS_S.get(now.plans)
    beside = f"{base.plans} plans: "

    def row(
        what: str, ours: str, theirs: str, ratio: float | None, *, target: str, met: bool
    ) -> Row:
        return Row(f"  {what}", ours, theirs, ratio, target if promised else "",
                   met if promised else None)  # fmt: skip

    tick_s = max(now.ticks_s, default=0.0)
    late_s = median(now.late_s) if now.late_s else None
    return [
        Row(f"daemon, {now.plans:,} plans: its start", f"{now.start_s:.1f} s",
            f"{beside}{base.start_s:.1f} s", now.start_s / base.start_s, "", None),
        row("CPU, of one core", f"{now.cpu:.2%}", f"{beside}{base.cpu:.2%}", now.cpu / base.cpu,
            target=f"< {_ALLOWED_CPU:.0%}", met=now.cpu < _ALLOWED_CPU),
        row("memory, at its most", mb(now.memory_bytes), f"{beside}{mb(base.memory_bytes)}",
            now.memory_bytes / base.memory_bytes, target=f"< {mb(_ALLOWED_MEMORY)}",
            met=now.memory_bytes < _ALLOWED_MEMORY),
        row(f"longest of {len(now.ticks_s)} ticks that started something",
            f"{tick_s * 1000:.0f} ms" if now.ticks_s else "", "", None,
            target=f"< {_ALLOWED_TICK_S:.0f} s", met=0 < tick_s < _ALLOWED_TICK_S),
        row(f"late, median of {len(now.late_s)} starts",
            f"{late_s:.2f} s, at most {max(now.late_s):.1f} s" if late_s is not None else "",
            "", None, target=f"<= {_ALLOWED_LATE_S:.0f} s",
            met=late_s is not None and late_s <= _ALLOWED_LATE_S),
        Row("  drd status, against python -c pass", f"{now.status_s * 1000:.0f} ms",
            f"{python_s * 1000:.0f} ms", now.status_s / python_s,
            f"<= {allowed} s" if allowed else "", now.status_s <= allowed if allowed else None),
    ]  # fmt: skip


def _measured(crowd: Crowd, seconds: float) -> Figures:
    from drd.config.plan_file import load_plan

    crowd.look_after()
    socket = crowd.home / "runs"
    plan = load_plan(crowd.home / f"plans/{crowd.names()[0]}.yaml").plan
    with nothing.served(socket, crowd.url, plan), _Running(crowd, socket) as running:
        time.sleep(SETTLE_S)
        since, before = datetime.now(UTC), running.cpu_s()
        began = time.monotonic()
        time.sleep(seconds)
        share = (running.cpu_s() - before) / (time.monotonic() - began)
        until = datetime.now(UTC)
        memory = running.peak_bytes()
        # While the daemon is at work.
        status_s = _median_s(
            [str(Path(sys.executable).with_name("drd")), "status"], crowd.environment
        )
    return Figures(
        crowd.count,
        running.start_s,
        share,
        memory,
        [
            e["took_s"]
            for e in running.events("tick")
            if e["did"] and since <= _time(e["timestamp"]) < until
        ],
        _late(crowd, since, until),
        status_s,
    )


def _median_s(argv: Sequence[str], environment: Mapping[str, str]) -> float:
    return measure.seconds(
        [measure.run(argv, environment, exits=(0, 3), tied=False) for _ in range(STATUS_TIMES)]
    )


def _late(crowd: Crowd, since: datetime, until: datetime) -> list[float]:
    """Return the seconds from when runs were due until they began."""
    with closing(sqlite3.connect(crowd.home / "state/drd.db")) as catalogue:
        pairs = catalogue.execute(
            "select due_at, started_at from runs where started_at is not null and due_at not null"
        ).fetchall()
    times = [(_time(due), _time(started)) for due, started in pairs]
    return [(began - due).total_seconds() for due, began in times if since <= began < until]


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class _Running:
    """A daemon for as long as the body runs."""

    def __init__(self, crowd: Crowd, socket: Path) -> None:
        self._log = crowd.home / "daemon.log"
        self._argv, self._environment = nothing.daemon_argv(socket), crowd.environment
        self.start_s = 0.0

    def __enter__(self) -> _Running:
        began = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._argv, stderr=log, env=dict(self._environment), start_new_session=True
            )
        try:
            while not self.events("daemon.started"):
                if self._process.poll() is not None or time.monotonic() - began > START_WITHIN_S:
                    raise measure.BenchFailed(f"no daemon:\n{self._log.read_text()[-2000:]}")
                time.sleep(0.05)
        except BaseException:
            self._end()
            raise
        self.start_s = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = (json.loads(x) for x in self._log.read_text().splitlines() if x.startswith("{"))
        return [event for event in lines if event["event"] == name]

    def cpu_s(self) -> float:
        """The daemon's CPU seconds, without the processes that it started."""
        after_name = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
