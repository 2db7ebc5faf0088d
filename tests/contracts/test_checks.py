"""Every kind of check: passes on a healthy restore, fails on a damaged one, never guesses.

A check joins by one entry in `CASES`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from drd.checks import check_for
from drd.checks.command import CommandCheck
from drd.checks.documents import DocumentsCheck
from drd.checks.files import FilesCheck
from drd.checks.rows import RowsCheck
from drd.checks.settings import CheckSettings
from drd.checks.sql import SqlCheck
from drd.errors import NotSupported
from drd.kinds.files.inspect import FilesInspector
from drd.kinds.http.saved import fingerprint_of
from drd.kinds.one_file import FileInspector
from drd.kinds.sqlite.inspector import SqliteInspector
from drd.model.plan import CheckSpec
from drd.model.run import CheckResult, CheckVerdict
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint, TreeFingerprint
from drd.ports import CheckContext
from drd.registry import CHECKS
from drd.testing.checks import AT, CheckCase, CheckContract, context
from tests.extension_support import example

PASSED, FAILED, NOT_RUN = CheckVerdict.PASSED, CheckVerdict.FAILED, CheckVerdict.NOT_RUN


def of(settings: CheckSettings, *rest: Any) -> CheckCase:
    return CheckCase(CHECKS[settings.kind], settings, *rest)


def database(directory: Path) -> tuple[Path, ComponentSnapshot]:
    path = directory / "it.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (at TEXT)")
        connection.execute(
            "INSERT INTO orders VALUES (?)", ((AT - timedelta(seconds=8)).isoformat(),)
        )
        connection.commit()
    like = DatabaseFingerprint("digest")
    fingerprint = SqliteInspector(path).fingerprint(like, 60)
    return path, ComponentSnapshot(
        "it", "sqlite", "captured", AT, "s", fingerprint=fingerprint, observations={"the check": 1}
    )


def drop_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE orders")
        connection.commit()


def sql(directory: Path) -> CheckCase:
    path, snapshot = database(directory)
    settings = SqlCheck(
        kind="sql",
        name="the check",
        component="it",
        query="select max(at) from orders",
        expect="within rpo",
    )
    return of(settings, snapshot, SqliteInspector(path), lambda: drop_table(path))


def rows(directory: Path) -> CheckCase:
    path, snapshot = database(directory)
    settings = RowsCheck(kind="rows", name="the check", component="it")
    return of(settings, snapshot, SqliteInspector(path), lambda: drop_table(path))


def files(directory: Path) -> CheckCase:
    (directory / "tree" / "etc").mkdir(parents=True)
    conf = directory / "tree" / "etc" / "conf"
    conf.write_text("x")
    inspector = FilesInspector(directory / "tree")
    like = TreeFingerprint({})
    snapshot = ComponentSnapshot(
        "it", "files", "captured", AT, "s", fingerprint=inspector.fingerprint(like, 60)
    )
    settings = FilesCheck(kind="files", name="the check", component="it")
    return of(settings, snapshot, inspector, conf.unlink)


class Documents(FileInspector):
    """The documents of an API in one file."""

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        return fingerprint_of(json.loads(self._path.read_bytes()))


def documents(directory: Path) -> CheckCase:
    file = directory / "documents"
    file.write_text('{"web": {"port": 80}}')
    inspector = Documents(file)
    seen = inspector.fingerprint(TreeFingerprint({}), 60)
    snapshot = ComponentSnapshot("it", "http", "captured", AT, "s", fingerprint=seen)
    settings = DocumentsCheck(kind="documents", name="the check", component="it")
    return of(settings, snapshot, inspector, lambda: file.write_text("{}"))


def command(directory: Path) -> CheckCase:
    path, snapshot = database(directory)
    words = ["sh", "-c", 'test -s "$DRD_PATH" || { echo it is gone; exit 3; }']
    settings = CommandCheck(kind="command", name="the check", component="it", run=words)
    return of(settings, snapshot, SqliteInspector(path), path.unlink)


def contains(directory: Path) -> CheckCase:
    """That of the example package."""
    kind = example("drd-example", "drd_example.contains").SPEC
    (directory / "tree/etc").mkdir(parents=True)
    motd = directory / "tree/etc/motd"
    motd.write_text("we are open\n")
    given = {"kind": "contains", "name": "the check", "component": "it"}
    settings = kind.settings.model_validate({**given, "path": "/etc/motd", "text": "open"})
    snapshot = ComponentSnapshot("it", "files", "captured", AT, "s")
    inspector = FilesInspector(directory / "tree")
    return CheckCase(kind, settings, snapshot, inspector, lambda: motd.write_text("closed"))


CASES: dict[str, Callable[[Path], CheckCase]] = {
    "sql": sql,
    "rows": rows,
    "files": files,
    "documents": documents,
    "command": command,
    "contains": contains,
}


class TestChecks(CheckContract):
    @pytest.fixture(params=sorted(CASES))
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> CheckCase:
        return CASES[request.param](tmp_path)


def test_every_kind_of_check_is_held_to_the_contract() -> None:
    assert CASES.keys() == {*CHECKS.names, "contains"}
    with pytest.raises(NotSupported, match="http"):
        check_for("http")


# --- sql ------------------------------------------------------------------------------------


def ask(directory: Path, query: str, expect: str, **more: Any) -> CheckResult:
    path, snapshot = database(directory)
    settings = SqlCheck.model_validate(
        {"kind": "sql", "name": "n", "component": "it", "query": query, "expect": expect, **more}
    )
    (own,) = of(settings, snapshot, SqliteInspector(path), lambda: None).run()
    return own


def test_sql_shows_how_far_before_the_data_time(tmp_path: Path) -> None:
    own = ask(tmp_path, "select max(at) from orders", "within rpo")
    assert (own.observed, own.expected) == ("8s before the data time", "within the RPO of 15m")


@pytest.mark.parametrize("query", ["selekt", "select 1, 2", "select at from nowhere", "-- nothing"])
def test_sql_that_the_database_refuses_is_failed(query: str, tmp_path: Path) -> None:
    own = ask(tmp_path, query, "> 0")
    assert own.verdict is FAILED
    assert len(own.observed) <= 80


def test_sql_of_no_row_is_null_and_fails(tmp_path: Path) -> None:
    own = ask(tmp_path, "select at from orders where 0", "> 0")
    assert (own.verdict, own.observed) == (FAILED, "NULL")


def test_sql_that_takes_too_long_is_not_run(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT max(n) FROM s"
    begun = time.monotonic()
    own = ask(tmp_path, endless, "> 0", timeout="0.2s")
    assert own.verdict is NOT_RUN
    assert "did not finish within" in own.observed
    assert time.monotonic() - begun < 10


def test_sql_of_a_database_that_cannot_be_opened_is_not_run(tmp_path: Path) -> None:
    case = sql(tmp_path)
    (tmp_path / "it.db").rename(tmp_path / "elsewhere")
    (own,) = case.run()
    assert own.verdict is NOT_RUN


@pytest.mark.parametrize(
    ("observations", "last", "verdict"),
    [
        ({"the check": 1}, {"the check": "500"}, PASSED),
        ({"the check": 500}, {"the check": "1"}, FAILED),
        ({}, {"the check": "1"}, PASSED),
        ({}, {}, NOT_RUN),
    ],
)
def test_a_share_is_of_the_sources_answer_before_that_of_an_earlier_drill(
    observations: dict[str, int], last: dict[str, str], verdict: CheckVerdict, tmp_path: Path
) -> None:
    path, _ = database(tmp_path)
    settings = SqlCheck(
        kind="sql",
        name="the check",
        component="it",
        query="select count(*) from orders",
        expect="within 10%",
    )
    snapshot = ComponentSnapshot("it", "sqlite", "captured", AT, observations=observations)
    case = of(settings, snapshot, SqliteInspector(path), lambda: None)
    (own,) = case.run(last_observed=last)
    assert own.verdict is verdict


def test_a_number_is_observed_for_people_and_as_a_figure(tmp_path: Path) -> None:
    path, _ = database(tmp_path)
    snapshot = ComponentSnapshot("it", "sqlite", "captured", AT)
    seen = {}
    for query, expect in (
        ("select 5000", "> 10"),
        ("select 'a'", "a"),
        ("select 3", "within 50% of 2"),
    ):
        settings = SqlCheck(kind="sql", name="c", component="it", query=query, expect=expect)
        (own,) = of(settings, snapshot, SqliteInspector(path), lambda: None).run()
        assert own.verdict is PASSED
        seen[query] = own.observed, own.figure, own.bound
    assert seen == {
        "select 5000": ("5,000", "5000", True),
        "select 'a'": ("a", None, True),
        "select 3": ("3", "3", False),
    }


def test_a_time_is_measured_from_the_components_own_data_time(tmp_path: Path) -> None:
    path, _ = database(tmp_path)
    settings = sql_of(tmp_path).settings
    late = ComponentSnapshot("it", "sqlite", "captured", AT + timedelta(hours=1))
    (own,) = of(settings, late, SqliteInspector(path), lambda: None).run()
    assert own.verdict is FAILED
    assert own.observed == "1h before the data time"


def sql_of(directory: Path) -> CheckCase:
    (directory / "other").mkdir()
    return sql(directory / "other")


# --- command --------------------------------------------------------------------------------


def run_command(
    directory: Path, *words: str, component: str | None = "it", timeout: str = "10s"
) -> CheckResult:
    path, snapshot = database(directory)
    settings = CommandCheck.model_validate(
        {
            "kind": "command",
            "name": "n",
            "component": component,
            "run": list(words),
            "timeout": timeout,
        }
    )
    spec = CheckSpec("n", "command", component, settings)
    around: CheckContext = context({"it": SqliteInspector(path)}, snapshot, directory=directory)
    (own,) = check_for("command").run(spec, around)
    return own


def test_a_command_gets_its_directory_and_component(tmp_path: Path) -> None:
    own = run_command(
        tmp_path,
        "sh",
        "-c",
        f'test "$(pwd)" = {tmp_path} && test "$DRD_PATH" = {tmp_path}/it.db && '
        'test "$DRD_POINT $DRD_PLAN $DRD_DATA_TIME" = "7c1e orders 2026-03-01T12:00:00Z"',
    )
    assert (own.verdict, own.observed, own.expected) == (PASSED, "exit 0", "exit 0")


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"data_time": AT + timedelta(hours=1)}, "2026-03-01T13:00:00Z"),
        ({"data_time": None}, "2026-03-01T12:00:00Z"),
        ({"component": "other", "data_time": AT + timedelta(hours=1)}, "2026-03-01T12:00:00Z"),
    ],
)
def test_a_command_gets_the_data_time_of_its_component(
    tmp_path: Path, known: dict[str, Any], told: str
) -> None:
    path, snapshot = database(tmp_path)
    settings = CommandCheck(
        kind="command",
        name="n",
        component="it",
        run=["sh", "-c", f'test "$DRD_DATA_TIME" = {told}'],
    )
    around = context({"it": SqliteInspector(path)}, replace(snapshot, **known))
    [own] = check_for("command").run(CheckSpec("n", "command", "it", settings), around)
    assert own.verdict is PASSED


def test_a_command_of_what_was_not_restored_is_not_run(tmp_path: Path) -> None:
    settings = CommandCheck(kind="command", name="n", component="it", run=["true"])
    _, snapshot = database(tmp_path)
    [own] = check_for("command").run(
        CheckSpec("n", "command", "it", settings), context({}, snapshot)
    )
    assert (own.verdict, own.observed) == (NOT_RUN, "it was not restored")
    assert own.looked_at_data


def test_a_command_sees_nothing_else_of_drds_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    own = run_command(tmp_path, "sh", "-c", "! env | grep -q hush")
    assert own.verdict is PASSED


def test_a_commands_output_is_quoted_and_bounded(tmp_path: Path) -> None:
    own = run_command(
        tmp_path, "sh", "-c", "echo first; echo why >&2; printf 'x%.0s' $(seq 500) >&2; exit 7"
    )
    assert own.verdict is FAILED
    assert own.observed.startswith("exit 7: xxx")
    assert len(own.observed) <= 80


def test_a_command_that_dies_of_a_signal_is_failed(tmp_path: Path) -> None:
    own = run_command(tmp_path, "sh", "-c", "kill -TERM $$")
    assert (own.verdict, own.observed) == (FAILED, "was killed by SIGTERM")


@pytest.mark.parametrize("script", ["kill -9 $$", "sh -c 'kill -9 $$'; exit $?"])
def test_a_command_killed_for_lack_of_memory_is_not_run(tmp_path: Path, script: str) -> None:
    own = run_command(tmp_path, "sh", "-c", script)
    assert own.verdict is NOT_RUN
    assert "perhaps because memory ran out" in own.observed


def test_a_command_that_takes_too_long_is_failed_and_ended(tmp_path: Path) -> None:
    begun = time.monotonic()
    own = run_command(tmp_path, "sleep", "60", timeout="0.2s")
    assert own.verdict is FAILED
    assert "did not finish within 0.2s" in own.observed
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("program", ["no-such-program", "./no-such", "/dev/null"])
def test_a_command_that_cannot_be_started_is_not_run(program: str, tmp_path: Path) -> None:
    own = run_command(tmp_path, program)
    assert own.verdict is NOT_RUN
    assert program in own.observed


def test_a_relative_command_is_looked_for_where_it_starts(tmp_path: Path) -> None:
    script = tmp_path / "mine"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    assert run_command(tmp_path, "./mine").verdict is PASSED


def test_a_command_of_no_component_has_not_looked_at_data(tmp_path: Path) -> None:
    own = run_command(tmp_path, "sh", "-c", 'test -z "$DRD_PATH"', component=None)
    assert own.verdict is PASSED
    assert not own.looked_at_data


# --- files ----------------------------------------------------------------------------------


def test_files_without_root_leave_ownership_to_a_part(tmp_path: Path) -> None:
    own, part = files(tmp_path).run(is_root=False)
    assert own.verdict is PASSED
    assert (part.name, part.verdict, part.part) == ("the check: ownership", NOT_RUN, True)


def test_files_name_five_differences_and_count_the_rest(tmp_path: Path) -> None:
    case = files(tmp_path)
    for n in range(9):
        (tmp_path / "tree" / "etc" / f"extra{n}").touch()
    own = case.run(is_root=os.geteuid() == 0)[0]
    assert own.observed.startswith("9 entries differ: /etc/extra0: did not exist at backup; ")
    assert own.observed.endswith("; and 4 more")


def test_files_without_a_fingerprint_are_not_run(tmp_path: Path) -> None:
    case = files(tmp_path)
    case.snapshot = ComponentSnapshot("it", "files", "captured", AT)
    (own,) = case.run()
    assert own.verdict is NOT_RUN
