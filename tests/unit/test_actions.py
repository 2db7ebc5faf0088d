"""What the steps of a runbook would miss on this host, told before anything begins."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd import masking
from drd.actions import action_for
from drd.actions.command import CommandSettings
from drd.actions.erasures import ErasuresSettings
from drd.actions.http import HttpSettings
from drd.actions.launch import last_line
from drd.actions.sql import SqlSettings
from drd.actions.start import Ready, StartSettings
from drd.actions.stop import StopSettings
from drd.errors import StepFailed
from drd.model.runbook import Step, Undo
from drd.ports.action import ActionContext
from drd.registry import ACTIONS

UNDO = Undo(("no-such-undo",))
NO_TOOL = "there is no program no-such-tool on this host"
NO_UNDO = "there is no program no-such-undo on this host"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield int(one.getsockname()[1])


def told(kind: str, settings: object, *, action: str = "") -> list[str]:
    step = Step("s", kind, settings=settings, rollback=UNDO, stand_in=("no-such-tool",))
    found = action_for(action or kind).preflight(step)
    assert all(f.severity == "warning" and f.remedy for f in found)
    return [f.text for f in found]


def test_programs_that_are_missing_are_named() -> None:
    assert told("command", CommandSettings(run=["no-such-tool"])) == [NO_TOOL, NO_UNDO]
    assert told("command", CommandSettings(run=["${steps.a.output}"])) == [NO_UNDO]
    assert told("start", StartSettings(command=["sh"])) == [NO_UNDO]
    assert told("stop", StopSettings(command=["no-such-tool"])) == [NO_TOOL, NO_UNDO]
    assert told("http", HttpSettings(url="http://x/")) == [NO_UNDO]
    assert told("sql", SqlSettings(component="db", query="select 1")) == [NO_UNDO]
    assert told("sql", None, action="simulate") == [NO_TOOL]
    assert told("sql", None, action="rollback") == [NO_UNDO]


def test_a_register_of_erasures_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    register = tmp_path / "register"
    one = {"component": "db", "replay": {"sql": "x"}, "check": {"command": ["no-such-tool"]}}

    def found(**where: object) -> list[str]:
        settings = ErasuresSettings.model_validate({**one, "register": where})
        looked = action_for("erasures").preflight(Step("erasures", "erasures", settings=settings))
        assert not any(f.severity != "error" for f in looked)
        return [f.text for f in looked]

    unreadable = f"cannot read the list of erased people {register}"
    assert found(file=str(register)) == [unreadable, NO_TOOL]
    register.touch()
    assert found(file=str(register)) == [NO_TOOL]
    assert found(command=["no-such-tool"]) == [NO_TOOL, NO_TOOL]
    assert found(command=["sh"]) == [NO_TOOL]


def test_a_port_that_is_taken_is_named(taken: int) -> None:
    words = f"another process listens on port {taken} of this host"
    assert told("start", StartSettings(command=["sh"], port=taken)) == [words, NO_UNDO]


def test_every_action_has_a_preflight() -> None:
    assert all(
        callable(action_for(kind).preflight) for kind in (*ACTIONS.names, "simulate", "rollback")
    )


def test_nothing_is_started_where_something_else_would_answer(taken: int, tmp_path: Path) -> None:
    ready = Ready(http="/")
    settings = StartSettings(command=["touch", f"{tmp_path}/begun"], port=taken, ready=ready)
    context = ActionContext(
        step=Step("serve", "start", settings=settings),
        key="run/serve",
        value=lambda name: name,
        environment={},
        inspectors=pytest.fail,
        directory=tmp_path,
        stays=True,
    )
    with pytest.raises(StepFailed, match=f"another process listens on port {taken}"):
        action_for("start").run(context)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("before", [0, 295, 299, 70_000])
def test_last_words_of_a_program_hold_no_part_of_a_secret(tmp_path: Path, before: int) -> None:
    secret = f"s3cr3t-{'0123456789' * 8}"
    masking.mask(secret)
    said = f"first\n{'.' * before}{secret}{'.' * (65_536 - 40) if before > 1000 else ''}\n"
    (tmp_path / "app.log").write_text(said)
    shown = last_line(tmp_path / "app.log")
    assert not any(secret[at : at + 8] in shown for at in range(len(secret) - 8))
    assert before > 1000 or shown.startswith("." * before + "***"[: 300 - before])
