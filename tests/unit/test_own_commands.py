"""Commands of drd that drd itself starts, with root's rights for some."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd import process
from drd.daemon import anchoring, receivers, workers
from drd.errors import StepFailed
from drd.flows.playbooks.own_commands import OwnCommand
from drd.flows.playbooks.values import Values
from drd.model.runbook import Step

_EVIL = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working directory whose modules have the names of drd's."""
    package = tmp_path / "drd"
    package.mkdir()
    (package / "__init__.py").write_text(_EVIL)
    (package / "__main__.py").write_text(_EVIL)
    monkeypatch.chdir(tmp_path)
    return package


def test_a_step_never_runs_a_module_of_the_working_directory(evil: Path) -> None:
    book = cast("Any", SimpleNamespace(name="copy"))
    command, step = OwnCommand(Values(book, {}), None, "4f2a"), Step("copy", "backup")
    assert command._answer(step, ["playbook", "list", "--json"])["playbooks"]
    with pytest.raises(StepFailed, match=r"ended with exit code 2: .*none\.yaml"):
        command._answer(step, ["backup", "shop", "--json", "--config=/none.yaml"])
    assert not (evil / "ran").exists()


@pytest.mark.parametrize(
    ("told", "says", "shown"),
    [
        ({"checks": []}, "is inconclusive: no check proved the data", "drd run show 4f2a9c01"),
        (
            {"checks": [{"name": "rows", "verdict": "failed"}, {"name": "x", "verdict": "passed"}]},
            "is inconclusive: failed checks: rows",
            "drd run show 4f2a9c01",
        ),
        ({"fact": "the disk is full", "run": None}, "5: the disk is full", "drd runs shop"),
    ],
)
def test_a_drill_that_did_not_pass_says_why_and_where_to_look(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], says: str, shown: str
) -> None:
    whole = {"result": "inconclusive", "fact": None, "run": "4f2a9c01", **told}
    done = SimpleNamespace(exit_code=5, stdout=json.dumps(whole).encode(), says=[])
    monkeypatch.setattr(process, "run", lambda _: done)
    book = cast("Any", SimpleNamespace(name="copy"))
    command, step = OwnCommand(Values(book, {}), None, "4f2a"), Step("copy", "recover")
    with pytest.raises(StepFailed) as raised:
        command._answer(step, ["drill", "shop", "--json"])
    assert says in raised.value.message
    assert raised.value.hint == f"to see the run of this command: {shown}"


@pytest.mark.parametrize("program", [workers.PROGRAM, anchoring._PROGRAM, receivers.PROGRAM])
def test_the_daemon_never_starts_a_module_of_its_directory(
    evil: Path, program: Sequence[str]
) -> None:
    subprocess.run([*program, "--help"], stdout=subprocess.DEVNULL, check=True)
    assert not (evil / "ran").exists()
