"""Measure `drd status` from a cold start while a large incident is open, against `python3 -c pass`.

The incident is made by drd's own commands, in this process; a daemon runs, as on every host.
"""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from bench import measure
from bench.status import ALLOWED_RATIO
from bench.table import Row
from drd.cli.main import main

_ENTRIES = 1_000
_CLOCKS = 50
_TIMES = 21
_START_WITHIN_S = 60


def rows(home: Path) -> list[Row]:
    """Measure a cold start with one incident of 1,000 entries and 50 clocks."""
    home.mkdir(parents=True)
    config = home / "drd.yaml"
    (home / "plans").mkdir()
    config.write_text("state: sqlite:///state/drd.db\nplans: plans\n")
    entries, clocks = _open_incident(config)
    environment = {**measure.environment(), "DRD_CONFIG": str(config)}
    python = [sys.executable, "-c", "pass"]
    status = [str(Path(sys.executable).with_name("drd")), "status"]

    def drd() -> measure.Run:
        return measure.run(status, environment, exits=(0, 3), tied=False)

    def bare() -> measure.Run:
        return measure.run(python, measure.environment(), tied=False)

    with _daemon(home, environment):
        if "incident 1" not in drd().output:
            raise measure.BenchFailed("drd status does not show the open incident")
        bare()  # so that nobody pays for cold files
        left, right = measure.in_turn(drd, bare, _TIMES)
    ours, plain = measure.seconds(left), measure.seconds(right)
    return [
        Row(f"status, incident of {entries:,} entries, {clocks} clocks, against python -c pass",
            f"{ours * 1000:.1f} ms", f"{plain * 1000:.1f} ms", ours / plain,
            f"<= {ALLOWED_RATIO}x", ours / plain <= ALLOWED_RATIO),
    ]  # fmt: skip


@contextmanager
def _daemon(home: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a daemon for as long as the body runs."""
    argv = [str(Path(sys.executable).with_name("drd")), "daemon"]
    log = home / "daemon.log"
    with log.open("wb") as file:
        process = subprocess.Popen(argv, stderr=file, env=dict(environment))
    try:
        limit = time.monotonic() + _START_WITHIN_S
        while "daemon.started" not in log.read_text():
            if process.poll() is not None or time.monotonic() > limit:
                raise measure.BenchFailed(f"no daemon:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _open_incident(config: Path) -> tuple[int, int]:
    """Open an incident with decided reports and notes. Return the number of its entries and of the
    reports that are decided to be due."""
    _drd(config, "incident", "open", "A leaked key", "--by", "bench")
    _drd(config, "incident", "anchor", "1", "aware", "now")
    proposed = json.loads(_drd(config, "incident", "obligation", "1", "--all", "--json"))
    for clock in proposed["clocks"][:_CLOCKS]:
        words = ("--applies", "--reason", "bench", "--by", "bench")
        _drd(config, "incident", "obligation", "1", clock["id"], *words)
    for number in range(_ENTRIES):
        _drd(config, "incident", "log", "1", f"note {number}", "--by", "bench")
    shown = json.loads(_drd(config, "incident", "obligation", "1", "--json"))
    applies = [clock for clock in shown["clocks"] if clock["state"] != "undecided"]
    return _ENTRIES, len(applies)


def _drd(config: Path, *words: str) -> str:
    """Run a command of drd here, and return what it printed."""
    with redirect_stdout(io.StringIO()) as printed:
        code = main([*words, "--config", str(config)])
    if code:
        raise measure.BenchFailed(f"drd {' '.join(words)} ended with {code}")
    return printed.getvalue()
