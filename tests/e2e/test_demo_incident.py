"""The demo of an incident tells what drd does, from the report to the closed clocks."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo import incident
from demo.narration import DemoFailed
from tests import warm


class Forked:
    """As the demo's shell, but drd is forked from a process that has imported it already."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self.environment, self.directory = dict(environment), directory

    def show(self, *words: str, exits: int = 0) -> None:
        print("$", shlex.join(words), flush=True)
        code, out = self._run(words)
        print(out, flush=True)
        if code != exits:
            raise DemoFailed(f"{words}: exit code {code}")

    def output(self, script: str) -> str:
        code, out = self._run(shlex.split(script))
        assert code == 0, out
        return out

    @contextmanager
    def beside(self, *words: str) -> Iterator[None]:
        print("$", shlex.join(words), flush=True)
        child = warm.start(words[1:], env=self.environment)
        yield
        assert child.wait(120) == 0

    def _run(self, words: list[str] | tuple[str, ...]) -> tuple[int, str]:
        if words[0] == "drd":
            done = warm.run(words[1:], env=self.environment, timeout=120)
        else:
            done = subprocess.run(words, capture_output=True, check=False, timeout=60)
        return done.returncode, done.stdout.decode() + done.stderr.decode()


def test_the_demo_of_an_incident_ends_with_closed_clocks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(incident, "Shell", Forked)
    monkeypatch.setattr(incident, "ignore_signals", lambda: None)
    with monkeypatch.context() as signals:
        signals.setattr("demo.narration.signal.signal", lambda *_: None)
        code = incident.main()
    out = capsys.readouterr().out
    assert code == 0, out
    assert "5,000 people (counted)" in out
    assert "nobody has approved" in out
    assert "customers of orders by mail to customers@example.com: accepted" in out
    assert "root cause: a partner published the key with test data; evidence" in out
    assert "The gateway answers 401 to the leaked key." in out
    assert "re-secure" in out
    assert "# " in out
    [item] = re.findall(r"\$ drd incident action 1\n(.*?)\n\$ ", out, re.DOTALL)
    assert "done" in item
    last = out[out.rindex("$ drd incident obligation") :]
    for name in ("eu-gdpr-33", "eu-gdpr-34", "eu-gdpr-33-5"):
        assert f"{name}:" in last
    assert "UNDECIDED" not in last.partition("$ drd incident close")[0]
    assert "was open for" in last
