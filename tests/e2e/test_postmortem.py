"""After an incident, by the command line: the post-mortem in a file of people, and action items
that close when what they name has passed."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.site import Site, make_tree, one_tree


@pytest.fixture
def site(short_tmp: Path) -> Site:
    made = Site(short_tmp)
    make_tree(made.base / "etc")
    made.plan(one_tree(made.base / "etc", made.base / "back"))
    return made


def test_look_back_and_change_something(site: Site) -> None:
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    site.drd("incident", "open", "orders <leak>", "--plan", "shop")
    site.drd("recover", "shop", "--target", "standby", "--yes", "--incident", "1")
    line = site.drd("incident", "show", "--json").json["timeline"][-1]
    site.drd("incident", "log", "--star", str(line["entry"]))
    _add_items(site)
    site.drd("incident", "close", "--reason", "all is back")

    file = site.base / "p.md"
    assert f"wrote {file}" in site.drd("incident", "postmortem", "1", "--output", str(file)).out
    page = file.read_text()
    assert "# Post-mortem of incident 1: orders &lt;leak>" in page
    assert "within the RTO of 30m" in page
    assert "succeeded, as the last drill had predicted" in page
    assert line["text"].partition(" (run")[0] in page
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(f"mine\n{page}mine, too\n")

    site.drd("drill", "shop")
    listed = site.drd("incident", "action", "1", "--json").json["actions"]
    assert [one["done_by"] for one in listed] == [None, "drd"]
    run = listed[1]["proof"]
    assert site.drd("run", "show", run, "--json").json["kind"] == "drill"
    told = site.drd("incident", "show", "1").out
    assert "check:shop/files passed" in told
    assert "to change item" in told

    renewed = site.drd("incident", "postmortem", "1", "--output", str(file), "--json").json
    assert renewed["actions"] == listed
    now = file.read_text()
    assert (now.startswith("mine\n"), now.endswith("mine, too\n")) == (True, True)
    assert f"by run {run}" in now
    assert f"by run {run}" not in page
    file.write_text(now.replace("<!-- drd end: incident 1 head -->\n", ""))
    refused = site.drd("incident", "postmortem", "1", "--output", str(file), code=2).err
    assert f"{file}:2: " in refused

    open_item = str(listed[0]["action"])
    site.drd("incident", "action", "1", "done", open_item, code=2)
    site.drd("incident", "action", "1", "done", open_item, "--reason", "rotated by hand")
    assert "no action item is open" in site.drd("incident", "action").out
    site.drd("incident", "action", "1", "done", open_item, "--reason", "again", code=2)


def test_history_of_a_plan_says_what_changed_and_what_was_proven(site: Site) -> None:
    site.drd("backup", "shop")
    drilled = site.drd("drill", "shop", "--json").json["run"]
    file = site.base / "plans/shop.yaml"
    file.write_text(file.read_text() + "  dr: {conf: {path: /srv/dr}}\n")
    site.drd("backup", "shop")
    old, new = site.drd("plan", "history", "shop", "--json").json["versions"]
    assert [one["run"] for one in old["proven_by"]] == [drilled]
    assert (new["proven_by"], new["in_force"], new["points"]) == ([], True, 1)
    assert "+ targets.dr.conf.path: /srv/dr" in new["changes"]
    history = ("plan", "history", "shop", "--json")
    there, away = Path(site.repository), site.base / "away"
    there.rename(away)
    kept = site.drd(*history)
    assert (kept.json["versions"][1]["changes"], kept.err) == (new["changes"], ""), "it is kept"
    away.rename(there)
    with contextlib.closing(sqlite3.connect(site.base / "state/drd.db")) as catalogue, catalogue:
        assert catalogue.execute("delete from plan_versions").rowcount == 1
    assert site.drd(*history).json["versions"][1]["changes"] == new["changes"], "of manifests"
    shown = site.drd("plan", "history", "shop").out
    assert shown.index("no drill") < shown.index(f"run {drilled}")
    assert "changed    + targets.dr.conf" in shown


def _add_items(site: Site) -> None:
    add = ("incident", "action", "add", "look at the files", "--due", "14d")
    assert (
        "--owner is missing, the person who is responsible for the item"
        in site.drd(*add, code=2).err
    )
    whose = (*add, "--owner", "anna", "--verified-by")
    told = site.drd(*whose, "check:shop/fils", code=2).err
    assert "did you mean check:shop/files?" in told
    assert "there is no plan 'shp'" in site.drd(*whose, "drill:shp", code=2).err
    assert (
        "'files' does not name something that drd can verify"
        in site.drd(*whose, "files", code=2).err
    )
    told = site.drd(*whose, "finding:shop/kit", code=2).err
    assert "drd has not checked the readiness of plan shop yet" in told
    assert "so it does not know the findings of this plan" in told
    other = ("incident", "action", "1", "add", "rotate the key", "--owner", "bert", "--due", "1h")
    site.drd(*other)
    added = site.drd(*whose, "check:shop/files").out
    assert "drd closes the item when check:shop/files passes" in added
    listed = site.drd("incident", "action").out
    assert "drd closes it when check:shop/files passes" in listed
    assert listed.index("rotate the key") < listed.index("look at the files")
