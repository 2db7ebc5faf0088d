"""Every kind of step: done once, with what it found out, and refused where it cannot be done."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drd.kinds.sqlite.inspector import SqliteInspector
from drd.process.background import noted
from drd.registry import ACTIONS
from drd.testing.actions import ActionCase, ActionContract
from tests.extension_support import example
from tests.notify_support import http_receiver

Ends = Callable[[Callable[[], object]], None]
"""What is called when the test is over."""


def case(kind: str, settings: Any, directory: Path, *rest: Any, **more: Any) -> ActionCase:
    found = ACTIONS[kind].settings.model_validate(settings)
    return ActionCase(ACTIONS[kind], found, directory, *rest, **more)


def start(directory: Path, ends: Ends) -> ActionCase:
    words = ["sh", "-c", f"test ! -e {directory}/gone && exec sleep 300"]

    def effect() -> object:
        started = noted(directory, "it")
        return started.pid if started is not None and started.is_alive() else None

    found = case("start", {"command": words}, directory, effect, (directory / "gone").touch)
    ends(lambda: subprocess.run(["kill", str(effect())], check=True) if effect() else None)
    return found


def stop(directory: Path, _: Ends) -> ActionCase:
    runs = directory / "runs"
    runs.touch()
    # It ends what another one has begun, and does not mind when that has ended already.
    words = ["sh", "-c", f"test ! -e {directory}/gone && rm -f {runs}"]
    return case("stop", {"command": words}, directory, runs.exists, (directory / "gone").touch)


def command(directory: Path, _: Ends) -> ActionCase:
    done = directory / "done"
    words = ["sh", "-c", f"test ! -e {directory}/gone && touch {done}"]
    return case("command", {"run": words}, directory, done.exists, (directory / "gone").touch)


def http(directory: Path, ends: Ends) -> ActionCase:
    receiving = http_receiver()
    receiver = receiving.__enter__()
    ends(lambda: receiving.__exit__(None, None, None))
    settings = {"url": receiver.url(), "method": "POST", "body": "of ${plan}"}

    def effect() -> object:
        """The other side tells a repetition by its key."""
        return {got.headers["Idempotency-Key"] for got in receiver.got}

    return case("http", settings, directory, effect, lambda: receiver.always(500))


def database(directory: Path) -> Path:
    path = directory / "it.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (id TEXT)")
        connection.execute("INSERT INTO users VALUES ('anna')")
        connection.commit()
    return path


def asked(path: Path, query: str) -> Any:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def sql(directory: Path, _: Ends) -> ActionCase:
    path = database(directory)
    settings = {"component": "db", "query": "update users set id = ${plan}"}
    return case(
        "sql",
        settings,
        directory,
        lambda: asked(path, "select id from users"),
        lambda: asked(path, "drop table users"),
        inspectors={"db": SqliteInspector(path)},
    )


def erasures(directory: Path, _: Ends) -> ActionCase:
    """`erasures` of a plan stands for the settings of the step."""
    from drd.actions.erasures import ErasuresSettings

    path, register = database(directory), directory / "register"
    register.write_text("2026-03-02T12:00:00Z anna\n")
    settings = ErasuresSettings.model_validate(
        {
            "component": "db",
            "register": {"file": str(register)},
            "replay": {"sql": "delete from users where id in (select id from drd_erased)"},
            "check": {"sql": "select count(*) from users where id in (select id from drd_erased)"},
        }
    )
    return ActionCase(
        ACTIONS["erasures"],
        settings,
        directory,
        lambda: asked(path, "select id from users"),
        register.unlink,
        {"db": SqliteInspector(path)},
    )


def note(directory: Path, _: Ends) -> ActionCase:
    """That of the example package."""
    kind = example("drd-example", "drd_example.note").SPEC
    file = directory / "notes"

    def impossible() -> None:
        file.unlink(missing_ok=True)
        file.mkdir()

    settings = kind.settings.model_validate({"file": str(file), "line": "${plan} is back"})
    effect = lambda: file.read_text() if file.exists() else ""  # noqa: E731
    return ActionCase(kind, settings, directory, effect, impossible)


def await_file(directory: Path, _: Ends) -> ActionCase:
    """That of the example package: it changes nothing."""
    kind = example("drd-example", "drd_example.await_file").SPEC
    file = directory / "ready"
    file.touch()
    settings = kind.settings.model_validate({"file": str(file)})
    return ActionCase(kind, settings, directory, None, file.unlink, timeout_s=0.3)


CASES: dict[str, Callable[[Path, Ends], ActionCase]] = {
    "start": start,
    "stop": stop,
    "command": command,
    "http": http,
    "sql": sql,
    "erasures": erasures,
    "note": note,
    "await_file": await_file,
}


class TestActions(ActionContract):
    @pytest.fixture(params=sorted(CASES))
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> ActionCase:
        return CASES[request.param](tmp_path, request.addfinalizer)


def test_every_kind_of_step_is_held_to_the_contract() -> None:
    assert CASES.keys() == {*ACTIONS.names, "note", "await_file"}


def test_a_case_that_shows_no_effect_says_what_to_give(tmp_path: Path) -> None:
    waits = replace(await_file(tmp_path, print), effect=lambda: "nothing")
    with pytest.raises(AssertionError, match="or be None if the step changes nothing"):
        ActionContract().test_run_takes_effect_and_returns_its_results(waits)
