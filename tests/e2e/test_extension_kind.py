"""A kind of a package of its own, with the real drd: no file of drd knows of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from drd.registry import KINDS
from tests.e2e.site import Site, make_tree
from tests.extension_support import EXAMPLES, install_example

LINES = 80

PLAN = """
components:
  todo: {{kind: notes, path: {base}/todo.txt}}
targets:
  standby: {{todo: {{path: {base}/back/todo.txt}}}}
checks:
  - {{name: all lines are back, kind: rows, component: todo}}
  - name: it can be read
    kind: command
    component: todo
    run: [sh, -c, 'grep -q milk "$DRD_PATH"']
runbook:
  - {{name: data, restore: all}}
  - {{name: compare, check: all}}
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_example(tmp_path_factory.mktemp("packages"), "drd-notes")


def _site(directory: Path, packages: Path, name: str) -> Site:
    made = Site(directory / "site", environment={"PYTHONPATH": os.fspath(packages)})
    with (made.base / "drd.yaml").open("a") as settings:
        settings.write(f"extensions: [{name}]\n")
    return made


@pytest.fixture
def site(short_tmp: Path, packages: Path) -> Site:
    made = _site(short_tmp, packages, "drd-notes")
    (made.base / "todo.txt").write_text("buy milk\ncall home\n")
    (made.base / "back").mkdir()
    made.plan(PLAN.format(base=made.base))
    return made


RECOVER = ("recover", "shop", "--target", "standby", "--yes")


def test_the_example_is_small_and_not_named_elsewhere() -> None:
    assert len((EXAMPLES / "drd-notes/drd_notes.py").read_text().splitlines()) <= LINES
    assert "notes" not in KINDS


def test_backup_drill_and_recovery_of_an_extension_kind(site: Site) -> None:
    site.drd("plan", "check", "shop")
    site.drd("doctor", "shop", code=None)
    site.drd("backup", "shop")
    drilled = site.drd("drill", "shop", "--json").json
    assert drilled["result"] == "passed"
    assert {c["name"]: c["verdict"] for c in drilled["checks"]} == {
        "all lines are back": "passed",
        "it can be read": "passed",
    }
    (site.base / "todo.txt").unlink()
    site.drd(*RECOVER)
    assert (site.base / "back/todo.txt").read_text() == "buy milk\ncall home\n"
    site.assert_clean()


@pytest.mark.parametrize("moment", ["before:restore todo", "undone:restore todo", "after:data"])
def test_a_killed_recovery_of_an_extension_kind_is_resumed(site: Site, moment: str) -> None:
    site.drd("backup", "shop")
    site.killed_at(moment, *RECOVER)
    (run,) = (r["run"] for r in site.runs() if r["kind"] == "recovery")
    site.drd("resume", run, "--yes")
    assert (site.base / "back/todo.txt").read_text() == "buy milk\ncall home\n"
    assert sorted(p.name for p in (site.base / "back").iterdir()) == ["todo.txt"]
    site.assert_clean()


def refused(site: Site, *words: str) -> str:
    found = site.drd(*words, code=2).err
    assert not [p for p in (site.base / "work").iterdir() if p.name != "templates"]
    return found


def test_a_refusal_names_the_ability_that_the_kind_lacks(site: Site) -> None:
    site.drd("backup", "shop")
    target = site.base / "back/todo.txt"
    target.write_text("theirs")
    asked = (
        (("--table", "t", "--into", "x"), "kind notes cannot restore single tables"),
        (("--path", "/a"), "kind notes cannot restore single paths"),
        (("--into", "x"), "kind notes cannot be restored under another name"),
        (("--as-owner",), "kind notes cannot be restored with its owner's rights"),
        (("--overwrite",), "kind notes cannot keep what a recovery replaces"),
    )
    for words, said in asked:
        assert said in refused(site, *RECOVER, *words)
    assert "kind notes cannot be restored in place" in refused(
        site, "recover", "shop", "--in-place", "--overwrite", "--yes"
    )
    assert target.read_text() == "theirs"
    assert not [r for r in site.runs() if r["kind"] == "recovery"]

    site.drd(*RECOVER, "--overwrite", "--no-undo")
    (run,) = (r["run"] for r in site.runs() if r["kind"] == "recovery")
    assert "kind notes cannot keep what a recovery replaces" in refused(site, "undo", run, "--yes")


def test_a_plan_with_sql_for_a_kind_without_it_is_refused(site: Site) -> None:
    sql = "checks:\n  - {name: n, kind: sql, component: todo, query: select 1, expect: 1}\n"
    plan = PLAN.format(base=site.base)
    site.plan(plan[: plan.index("checks:")] + sql)
    said = site.drd("plan", "check", "shop", code=2)
    assert "a sql check cannot read component todo, which is of kind notes" in said.out + said.err


def test_without_the_extension_the_plan_says_what_is_missing(site: Site) -> None:
    settings = site.base / "drd.yaml"
    settings.write_text(settings.read_text().replace("extensions: [drd-notes]\n", ""))
    said = site.drd("plan", "check", "shop", code=2)
    assert 'unknown kind "notes"' in said.out + said.err


OTHER = """
components:
  conf: {{kind: files, paths: [{base}/etc]}}
targets:
  standby: {{conf: {{path: {base}/back/etc}}}}
checks:
  - {{name: all files are back, kind: files, component: conf}}
"""


def _of(site: Site, plan: str) -> dict[str, Any]:
    plans = site.drd("status", "--json", code=None).json["plans"]
    return next(p for p in plans if p["plan"] == plan)


def test_a_missing_package_stops_only_the_plans_that_use_it(
    short_tmp: Path, tmp_path: Path
) -> None:
    packages = install_example(tmp_path / "packages", "drd-notes")
    site = _site(short_tmp, packages, "drd-notes")
    (site.base / "todo.txt").write_text("buy milk\ncall home\n")
    (site.base / "back").mkdir()
    make_tree(site.base / "etc")
    site.plan(PLAN.format(base=site.base))
    site.plan(OTHER.format(base=site.base), name="other")
    for plan in ("shop", "other"):
        site.drd("backup", plan)
        site.drd("drill", plan)
    proven = {name: _of(site, name)["readiness"] for name in ("shop", "other")}
    digests = site.catalogue("select name, digest from plans order by name")

    packages.rename(tmp_path / "away")
    packages.mkdir()
    site.drd("backup", "other")
    site.drd("drill", "other")
    site.drd("recover", "other", "--target", "standby", "--yes")
    (back,) = (site.base / "back").rglob("app.conf")
    assert back.read_text() == "listen 8080;\n"
    assert site.drd("status", "--json", code=None).json["missing_packages"] == ["drd-notes"]
    shown = site.drd("status", code=None).out
    assert "the package drd-notes of drd.yaml is not installed" in shown
    without = _of(site, "shop")
    assert (without["verdict"], without["readiness"]) == ("unknown", "not ready")
    site.drd("status", "shop", code=3)
    missing = "the plan uses package drd-notes, which is not installed in "
    assert any(missing in reason for reason in _of(site, "shop")["reasons"])
    assert (_of(site, "other")["reasons"], _of(site, "other")["readiness"]) == (
        [],
        proven["other"],
    )
    (found,) = (
        item
        for item in site.drd("doctor", "other", "--json").json["items"]
        if item["severity"] != "ok" and item["code"] == "extension"
    )
    assert (found["subject"], found["severity"]) == ("drd-notes", "warning")
    assert found["text"].startswith("the package drd-notes is not installed; ")
    refused_with = (
        f'{site.base}/plans/shop.yaml:11: components.todo.kind: unknown kind "notes": an extension '
        "may add it, but the package drd-notes is not installed"
    )
    for words in (
        ("backup",),
        ("drill",),
        ("recover", "--target", "standby", "--yes"),
        ("doctor",),
    ):
        assert refused_with in site.drd(words[0], "shop", *words[1:], code=2).err

    packages.rmdir()
    (tmp_path / "away").rename(packages)
    site.drd("backup", "shop")
    assert site.catalogue("select name, digest from plans order by name") == digests
    assert {name: _of(site, name)["readiness"] for name in ("shop", "other")} == proven
    assert _of(site, "shop")["reasons"] == []


def test_status_notices_that_a_package_has_another_version(short_tmp: Path, tmp_path: Path) -> None:
    packages = install_example(tmp_path / "packages", "drd-notes")
    site = _site(short_tmp, packages, "drd-notes")
    (site.base / "todo.txt").write_text("buy milk\ncall home\n")
    site.plan(PLAN.format(base=site.base))
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    install_example(packages, "drd-notes", version="1.7.3")
    assert _of(site, "shop")["reasons"] == []
    install_example(packages, "drd-notes", version="2.0.0")
    changed = (
        "the plan uses package drd-notes, which now has version 2.0.0, but had version 1 "
        "when drd loaded the plan"
    )
    assert any(changed in reason for reason in _of(site, "shop")["reasons"])


CARDS = """
components:
  friends: {{kind: cards, path: {base}/friends}}
targets:
  standby: {{friends: {{path: {base}/back/friends}}}}
checks:
  - {{name: all cards are back, kind: rows, component: friends}}
"""


def test_the_example_of_a_directory_is_drilled_and_comes_back(
    short_tmp: Path, tmp_path: Path
) -> None:
    site = _site(short_tmp, install_example(tmp_path / "packages", "drd-cards"), "drd-cards")
    source, back = site.base / "friends", site.base / "back/friends"
    source.mkdir()
    (source / "anna").write_text("Oslo\n")
    (source / "ben").write_text("Rome\n")
    (source / "ben").chmod(0o640)
    back.mkdir(parents=True)
    began = site.drd(
        "plan", "new", "--output", "-", "--no-postgres", "--kind", "cards", str(source)
    )
    assert "kind: cards" in began.out
    site.plan(CARDS.format(base=site.base))
    site.drd("backup", "shop")
    drilled = site.drd("drill", "shop", "--json").json
    assert [c["verdict"] for c in drilled["checks"]] == ["passed"]
    site.drd(*RECOVER)
    assert {p.name: p.read_text() for p in back.iterdir()} == {"anna": "Oslo\n", "ben": "Rome\n"}
    assert (back / "ben").stat().st_mode & 0o777 == 0o640
    assert [p.name for p in back.parent.iterdir()] == ["friends"]
    site.assert_clean()
