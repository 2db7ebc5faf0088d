"""The demo ends what it started, also when it is interrupted; and orders come back to the last
second. What else it shows is tested elsewhere."""

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


_FEWER = """
import sys
from demo import data, run
rows = data._ROWS.replace("series(1, 100000)", "series(1, 1000)")
assert rows != data._ROWS
data._ROWS = rows
"""
SMALL_DEMO = _FEWER + "sys.exit(run.main())"
"""`python -m demo.run` with fewer orders, to which the test does not come."""
LAST_ACT = f"""{_FEWER}
run._Demo.play = lambda demo: demo.recover_to_the_second(demo.live)
sys.exit(run.main())
"""
"""Only the act about point in time: the first server has the orders then."""


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


@pytest.mark.timeout(900)  # it waits for what a daemon does on a busy machine
def test_orders_come_back_up_to_the_last_second() -> None:
    done = subprocess.run(
        [sys.executable, "-u", "-c", LAST_ACT],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "KEEP": ""},
        check=False,
    )
    told = done.stdout
    assert done.returncode == 0, told
    # Some of the 1,000 are new: 20 orders arrive before the statement, and each of them is there.
    gone = re.search(
        r"^  ([\d,]+) orders are gone\. The newest of them, (\d+), was", told, re.MULTILINE
    )
    assert gone, told
    assert int(gone[1].replace(",", "")) >= 1020
    assert re.search(rf"^  orders +{gone[1]}  equal$", told, re.MULTILINE), told
    assert re.search(rf"^  the newest order +{gone[2]}  equal$", told, re.MULTILINE), told
    assert re.search(r"^  md5 of all orders +[0-9a-f]{16}  equal$", told, re.MULTILINE), told
    at = re.search(r"^  (\d\d:\d\d:\d\d\.\d{6})  truncate orders cascade;$", told, re.MULTILINE)
    assert at, told
    recover = (
        rf"^\$ drd recover orders-server --target spare --before (\S+T{at[1]}Z) --lost-at \1 --yes$"
    )
    assert re.search(recover, told, re.MULTILINE), told
    home = re.search(r"/tmp/drd-\w+", told)
    assert home, told
    assert not Path(home[0]).exists()
    assert not processes(home[0])
