"""A table-top exercise at a terminal: killed, continued, and its result."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

OWN = """\
exercise: friday
title: Friday
about: A mail.
injects:
  - name: mail
    at: 0m
    tell: A mail came.
    questions:
      - {name: call, ask: Whom do you call?, words: [lead]}
      - {name: paper, ask: Where is the number?}
"""
DRD = [str(Path(sys.executable).with_name("drd"))]


def play(config: Path, words: list[str], talk: list[tuple[bytes, str]], *, kill: bool) -> bytes:
    """Play at a terminal: wait for each text, and type the line. Return what was shown."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["DRD_CONFIG"] = str(config)
        os.execv(DRD[0], [*DRD, "exercise", "run", *words])
    said = heard = b""
    try:
        for text, line in talk:
            while text not in heard:
                part = os.read(terminal, 1000)
                heard, said = heard + part, said + part
            heard = heard.partition(text)[2]
            if kill and (text, line) == talk[-1]:
                os.kill(child, signal.SIGKILL)
                break
            os.write(terminal, line.encode() + b"\n")
        while part := os.read(terminal, 1000):
            said += part
    except OSError:  # the terminal is closed when everybody is gone
        pass
    finally:
        os.close(terminal)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if kill else 0), said
    return said


def test_a_kill_loses_no_answer_that_was_recorded(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "plans").mkdir()
    (tmp_path / "own/friday.yaml").write_text(OWN)
    config = tmp_path / "drd.yaml"
    config.write_text("state: sqlite:///state/drd.db\nplans: plans\nexercises: own\n")
    begun = [(b"> ", "@anna the lead"), (b"recorded", "")]
    shown = play(config, ["friday", "--by", "bert"], begun, kill=True)
    number = shown.split(b"exercise ")[1].split(b":")[0].decode()
    rest = [(b"Where is the number?", "on paper"), (b"change > ", "")]
    play(config, ["--resume", number], rest, kill=False)
    environment = {**os.environ, "DRD_CONFIG": str(config)}
    told = subprocess.run(
        [*DRD, "exercise", "report", number, "--json"],
        capture_output=True,
        check=True,
        env=environment,
    )
    found = json.loads(told.stdout)
    assert found["passed"] is True
    answers = {i["name"]: (i["answer"]["text"], i["answer"]["by"]) for i in found["items"]}
    assert answers["call"] == ("the lead", "anna")
    assert answers["paper"][0] == "on paper"
