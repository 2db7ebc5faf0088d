"""The demo ends what it started, also when it is interrupted. What it shows is tested elsewhere."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def processes(home: str) -> list[str]:
    """Command lines of living processes that have the demo's directory in them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if home in words:
            found.append(words)
    return found


def has_begun(demo: subprocess.Popen[str]) -> bool:
    """Whether the command in front has loaded modules of drd: a Ctrl-C during the start of the
    interpreter is the interpreter's."""
    try:
        for child in Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split():
            if "pydantic_core" in Path(f"/proc/{child}/maps").read_text():
                return True
    except OSError:
        pass
    return False


SMALL_DEMO = """
import runpy
from demo import data
rows = data._ROWS.replace("series(1, 100000)", "series(1, 1000)")
assert rows != data._ROWS
data._ROWS = rows
runpy.run_module("demo.run", run_name="__main__")
"""
"""`python -m demo.run` with fewer orders, to which the test does not come."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(number: signal.Signals) -> None:
    """Interrupted while the first `drd` command runs: by then all servers are up."""
    demo = subprocess.Popen(
        [sys.executable, "-u", "-c", SMALL_DEMO],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "KEEP": ""},
        start_new_session=True,
    )
    try:
        assert demo.stdout is not None
        told = ""
        for line in demo.stdout:
            told += line
            if line.startswith("$ drd doctor"):
                break
        home = re.search(r"/tmp/drd-\w+", told)
        assert home, told
        assert len(processes(home[0])) >= 3
        if number == signal.SIGINT:  # a terminal's Ctrl-C reaches the command in front as well
            deadline = time.monotonic() + 30
            while not has_begun(demo):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            os.killpg(demo.pid, number)
        else:
            demo.send_signal(number)
        rest = demo.stdout.read()
        assert demo.wait(30) == 128 + number, rest
    finally:
        demo.kill()
        demo.wait()
    assert "ended; nothing of it is left" in rest
    assert "Traceback" not in rest
    assert not Path(home[0]).exists()
    deadline = time.monotonic() + 30
    while (left := processes(home[0])) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
