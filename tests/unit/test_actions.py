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
from drd.actions.ready import Ready
from drd.actions.sql import SqlSettings
from drd.actions.start import StartSettings
from drd.actions.stop import StopSettings
from drd.errors import StepFailed
from drd.model.runbook import Step, Undo
from drd.ports.action import ActionContext
from drd.process.listeners import last_line
from drd.registry import ACTIONS

UNDO = Undo(("no-such-undo",))
NO_TOOL = "program no-such-tool is not installed on this host"
NO_UNDO = "program no-such-undo is not installed on this host"


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


SYSTEMCTL = """#!/bin/sh
echo "$@" >>"$0.asked"
case " $* " in *" show "*)
    case "$5$4" in
        *gone*) echo LoadState=not-found; echo ActiveState=inactive ;;
        *off*) echo LoadState=masked; echo ActiveState=inactive; echo Type=simple ;;
        *dies*) echo LoadState=loaded; echo ActiveState=failed; echo Result=exit-code ;;
        *loops*)
            echo LoadState=loaded; echo ActiveState=active; echo Type=simple
            echo "NRestarts=$(wc -l <"$0.asked")" ;;
        *) echo LoadState=loaded; echo ActiveState=active; echo Type=simple; echo NRestarts=3 ;;
    esac ;;
esac
"""


def test_a_unit_that_this_host_lacks_is_named_and_needs_no_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def looked(kind: str, settings: object) -> list[tuple[str, str]]:
        found = action_for(kind).preflight(Step("s", kind, settings=settings))
        assert all((f.code, f.severity) == ("systemd-unit", "warning") for f in found)
        return [(f.text, f.remedy) for f in found]

    there = "tick.service"
    assert (
        looked("start", StartSettings(unit=there)) == looked("stop", StopSettings(unit=there)) == []
    )
    ((text, remedy),) = looked("start", StartSettings(unit="gone.service"))
    assert text == "gone.service does not exist on this host, so the step cannot start it"
    assert remedy.startswith("install gone.service before that step: its package, or its file in ")
    assert looked("start", StartSettings(unit="off.service")) == [
        (
            "systemd does not start off.service, because the unit is masked",
            "systemctl unmask off.service",
        )
    ]
    nothing = "gone.service does not exist on this host, so there is nothing to stop"
    assert looked("stop", StopSettings(unit="gone.service")) == [
        (nothing, "if the unit has another name here, correct `unit` in the plan")
    ]

    def context(kind: str, settings: object) -> ActionContext:
        return ActionContext(
            step=Step("s", kind, settings=settings),
            key="run/s",
            value=lambda name: name,
            environment={},
            inspectors=pytest.fail,
            directory=tmp_path,
            stays=True,
        )

    stopped = action_for("stop").run(context("stop", StopSettings(unit="gone.service")))
    assert stopped == {"stopped": True, "down": [], "says": nothing}
    with pytest.raises(StepFailed, match=r"gone\.service does not exist on this host") as caught:
        action_for("start").run(context("start", StartSettings(unit="gone.service")))
    assert "install gone.service" in caught.value.hint
    action_for("stop").run(context("stop", StopSettings(unit=there)))
    with pytest.raises(
        StepFailed, match=r"dies\.service ended right after its start \(exit-code"
    ) as died:
        action_for("start").run(context("start", StartSettings(unit="dies.service")))
    assert died.value.hint.startswith("see why: `journalctl -u dies.service -n 20`")
    with pytest.raises(StepFailed, match=r"loops\.service ends right after its start, and systemd"):
        action_for("start").run(context("start", StartSettings(unit="loops.service")))
    assert action_for("start").run(context("start", StartSettings(unit=there)))["pid"] is None
    asked = (tmp_path / "systemctl.asked").read_text().splitlines()
    assert [a for a in asked if not a.startswith("show")] == [
        "stop -- tick.service",
        "start -- dies.service",
        "start -- loops.service",
        "start -- tick.service",
    ]
