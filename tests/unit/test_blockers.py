"""All that stands in the way of a recovery is told at once, each with its remedy."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from drd.config.plan_file import plan_of_text
from drd.errors import (
    DrdError,
    RepositoryMissing,
    TargetError,
    TargetNotEmpty,
    UsageError,
    WrongKey,
)
from drd.flows.restore.blockers import Blockers
from drd.kinds.data_directory import ServerFiles
from drd.kinds.mariadb.physical.target import FILES as MARIADB
from drd.kinds.open_files import in_the_way
from drd.kinds.postgres.physical.target import FILES as POSTGRES
from drd.ports import Finding
from drd.process.open_files import FileUser


def _raises(error: Exception) -> list[Finding]:
    raise error


def test_one_error_stays_what_it_is() -> None:
    found = Blockers()
    assert found.collect(lambda: [Finding("a", "ok", "", "fine")])
    found.refuse()
    found.collect(lambda: _raises(WrongKey("the password does not open it", hint="look")))
    with pytest.raises(WrongKey) as caught:
        found.refuse()
    assert caught.value.untouched
    assert not WrongKey("of something else").untouched


def test_the_script_of_rights_is_named_with_the_kind_where_the_plan_needs_it(
    tmp_path: Path,
) -> None:
    both = """\
plan: shop
owner: me
objectives: {rpo: 1h, rto: 1h}
components:
  a: {kind: mariadb, dsn: mariadb:///a}
  b: {kind: postgres, dsn: postgresql:///b}
repositories: {primary: {url: /srv/r, password: {env: PW}}}
"""
    remedy = "run the script that `drd doctor PLAN --grants` prints."
    for text, words in (
        (both, "drd doctor shop --grants --kind mariadb"),
        (
            both.replace("  b: {kind: postgres, dsn: postgresql:///b}\n", ""),
            "drd doctor shop --grants",
        ),
    ):
        found = Blockers(plan=plan_of_text(text, tmp_path / "shop.yaml"))
        found.collect(lambda: [Finding("target", "error", "a", "refused", remedy)], "a")
        with pytest.raises(TargetError) as caught:
            found.refuse()
        assert caught.value.hint == f"run the script that `{words}` prints."


def test_several_are_reported_together_and_a_remedy_once() -> None:
    found = Blockers()
    found.collect(lambda: _raises(TargetNotEmpty("orders is not empty", hint="--overwrite")))
    found.collect(lambda: [Finding("room", "error", "", "no room in /srv", "make room")], "db")
    found.collect(lambda: _raises(TargetNotEmpty("conf is not empty", hint="--overwrite")))
    with pytest.raises(TargetError) as caught:
        found.refuse()
    assert caught.value.message.splitlines() == [
        "3 problems block this recovery:",
        "  orders is not empty",
        "  db: no room in /srv",
        "  conf is not empty",
    ]
    assert caught.value.hint.split("\n") == ["--overwrite", "db: make room"]


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([TargetNotEmpty("a"), WrongKey("b"), RepositoryMissing("c")], 12),
        ([RepositoryMissing("a"), TargetNotEmpty("b")], 10),
        ([TargetNotEmpty("a"), UsageError("b")], 2),
        ([TargetNotEmpty("a"), TargetError("b")], 1),
    ],
)
def test_of_several_the_most_specific_exit_code_counts(errors: list[DrdError], code: int) -> None:
    found = Blockers()
    for error in errors:
        found.collect(partial(_raises, error))
    with pytest.raises(TargetError) as caught:
        found.refuse()
    assert caught.value.exit_code == code
    assert TargetError.exit_code == 1


def test_a_remedy_for_several_components_has_no_name() -> None:
    found = Blockers()
    for name in ("db", "conf"):
        found.collect(lambda: [Finding("room", "error", "", "no room", "make room")], name)
    found.collect(lambda: [Finding("right", "error", "", "no right", "chmod")], "db")
    found.collect(lambda: [Finding("other", "error", "", "odd")], "db")
    with pytest.raises(TargetError) as caught:
        found.refuse()
    assert caught.value.hint.split("\n") == ["make room", "db: chmod"]
    alone = Blockers()
    alone.collect(lambda: [Finding("room", "error", "", "no room", "make room")], "db")
    alone.collect(lambda: [Finding("odd", "error", "", "odd")], "conf")
    with pytest.raises(TargetError) as caught:
        alone.refuse()
    assert caught.value.hint == "make room"


def test_all_units_in_the_way_of_an_undo_are_in_one_command() -> None:
    found = Blockers("undo")
    for name, unit in (("audit", "shop.service"), ("billing", "postgresql@17-main.service")):
        user = FileUser(412, "server", unit)
        found.kept(partial(_raises, in_the_way(f"{name}'s data is used", user)), name)
    found.kept(partial(_raises, in_the_way("used, too", FileUser(7, "redis", "shop.service"))), "s")
    found.kept(partial(_raises, in_the_way("used by hand", FileUser(9, "vi", ""))), "conf")
    with pytest.raises(TargetError) as caught:
        found.refuse()
    units = "shop.service postgresql@17-main.service"
    assert caught.value.hint.splitlines() == [
        f"stop these units first: systemctl stop {units}. Afterwards: systemctl start {units}",
        "conf: stop vi (process 9) first, and start this program again afterwards.",
    ]


@pytest.mark.parametrize("files", [MARIADB, POSTGRES], ids=lambda files: files.title)
def test_a_server_in_the_way_of_an_undo_is_named_with_its_unit(
    files: ServerFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = FileUser(412, "serverd", f"{files.user}.service")
    monkeypatch.setattr(FileUser, "of", lambda _: user)
    runs = replace(files, running=lambda _: 412)
    with pytest.raises(TargetError, match=r"server runs in .*: serverd \(process 41") as caught:
        runs.require_stopped_for_exchange(tmp_path)
    assert caught.value.units == (f"{files.user}.service",)
    with pytest.raises(TargetError, match="server runs in") as caught:
        runs.require_stopped(tmp_path)
    assert caught.value.hint.startswith("stop the server first (in a runbook"), (
        "a recovery has steps"
    )
