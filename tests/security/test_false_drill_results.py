"""A drill that failed was cleared by any other drill, by another scenario's or with an older point,
and a drill passed that had compared nothing: no table, no file, a torn tree, one component of two.
A plan is as good as its worst scenario, and a drill proves only what it restored and compared."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.copies import copied_site, offsite_of, write_plan
from tests.e2e.site import SMALL, Site, small_site

TWO_SCENARIOS = SMALL.replace(
    "drill: {{every: 7d}}", "drill: {{every: 7d, scenarios: [database-loss, region-loss]}}"
)
TREE = """
components:
  conf: {{kind: files, paths: [{base}/etc]{more}}}
checks:
  - {{name: configuration, kind: files, component: conf}}
"""


def plan_of(site: Site) -> dict[str, Any]:
    (plan,) = site.drd("status", "--json", code=None).json["plans"]
    return dict(plan)


def reasons(site: Site) -> str:
    return "\n".join(plan_of(site)["reasons"])


def test_failed_scenario_is_not_cleared_by_another_one(short_tmp: Path) -> None:
    site = copied_site(short_tmp, TWO_SCENARIOS)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    assert site.drd("drill", "shop", "--json").json["scenario"] == "database-loss"
    assert plan_of(site)["verdict"] == "unknown", "region-loss was never drilled"
    assert "region-loss" in reasons(site)
    assert site.drd("drill", "shop", "--json").json["scenario"] == "region-loss"
    assert (plan_of(site)["verdict"], plan_of(site)["readiness"]) == ("met", "ready")

    shutil.rmtree(offsite_of(site) / "data")
    site.drd("drill", "shop", "--scenario", "region-loss", code=4)
    assert plan_of(site)["verdict"] == "breached"
    site.drd("drill", "shop", "--scenario", "database-loss")
    plan = plan_of(site)
    assert (plan["verdict"], plan["readiness"]) == ("breached", "not ready")
    assert "drill of region-loss failed" in reasons(site)
    assert site.drd("status", "--nagios", code=2).out.startswith("DRD CRITICAL")
    [copy] = [r for r in plan["repositories"] if r["copy_of"]]
    assert copy["state"] == "damaged"


def test_plan_whose_drills_all_take_a_random_point_begins_with_the_newest(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    site.plan(
        SMALL.format(base=short_tmp).replace(
            "every: 7d}", "every: 7d, restore_point: {random_within: 30d, each: 1}}"
        )
    )
    for _ in range(2):
        site.drd("backup", "shop")
    newest, old = (p["point"] for p in site.points())

    def drilled() -> str:
        return str(site.drd("drill", "shop", "--json").json["point"])

    assert drilled() == newest
    assert drilled() in (newest, old)


def test_older_point_does_not_clear_what_a_newer_one_failed(stored: Site) -> None:
    (old,) = stored.points()
    with sqlite3.connect(stored.base / "shop.db") as connection:
        connection.execute("insert into orders (id) select max(id) + 1 from orders")
    stored.drd("backup", "shop")
    newer = next(p for p in stored.points() if p["point"] != old["point"])
    stored.drd("drill", "shop")
    assert plan_of(stored)["verdict"] == "met"

    snapshot = next(c["snapshot"] for c in newer["components"] if c["component"] == "db")
    stored.restic("forget", snapshot)
    stored.drd("drill", "shop", "--point", newer["point"], code=4)
    assert plan_of(stored)["verdict"] == "breached"
    stored.drd("drill", "shop", "--point", old["point"])
    assert plan_of(stored)["verdict"] == "breached"

    stored.drd("backup", "shop")
    stored.drd("drill", "shop")
    assert plan_of(stored)["verdict"] == "at_risk", (
        "a snapshot is missing, and nobody has seen to it"
    )
    stored.drd("points", "forget", newer["point"], "--reason", "removed by hand")
    assert plan_of(stored)["verdict"] == "met", reasons(stored)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("pragma user_version = 7", "the restored data has no table"),
        ("create table orders (id integer primary key)", "there is no row"),
    ],
)
def test_database_without_tables_or_rows_proves_nothing(
    short_tmp: Path, statement: str, said: str
) -> None:
    site = small_site(short_tmp)
    (short_tmp / "shop.db").unlink()
    with sqlite3.connect(short_tmp / "shop.db") as connection:
        connection.execute(statement)
    plan = short_tmp / "plans/shop.yaml"
    text = plan.read_text()
    check = ("orders are there", "expect:")
    kept = [n for n in text.splitlines() if not any(words in n for words in check)]
    plan.write_text("\n".join(kept) + "\n")
    site.drd("backup", "shop")
    site.drd("drill", "shop", code=5)
    assert plan_of(site)["verdict"] == "unknown"
    assert f"db not compared: {said}" in reasons(site)

    plan.write_text(plan.read_text().replace("/shop.db}", "/shop.db, may_be_empty: true}", 1))
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    assert plan_of(site)["verdict"] == "met", reasons(site)


def tree_site(base: Path, more: str = "") -> Site:
    site = small_site(base)
    shutil.rmtree(base / "etc")
    (base / "etc").mkdir()
    site.plan(TREE.format(base=base, more=more))
    return site


def test_empty_directory_proves_nothing_unless_the_plan_says_so(short_tmp: Path) -> None:
    site = tree_site(short_tmp)
    site.drd("backup", "shop")
    site.drd("drill", "shop", code=5)
    assert plan_of(site)["verdict"] == "unknown"
    assert "the component was empty at backup too" in reasons(site)

    site.plan(TREE.format(base=short_tmp, more=", may_be_empty: true"))
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    assert plan_of(site)["verdict"] == "met", reasons(site)


def test_tree_that_changed_while_it_was_read_is_not_compared(short_tmp: Path) -> None:
    site = tree_site(short_tmp)
    (short_tmp / "etc/steady").write_bytes(b"x" * 1000)
    hot, over = short_tmp / "etc/hot", threading.Event()

    def writer() -> None:
        with hot.open("r+b", buffering=0) as file:
            while not over.is_set():
                file.seek(0)
                file.write(os.urandom(3_000_000))

    hot.write_bytes(b"0" * 3_000_000)
    thread = threading.Thread(target=writer)
    thread.start()
    try:
        site.drd("backup", "shop")
    finally:
        over.set()
        thread.join()
    site.drd("drill", "shop", code=5)
    assert plan_of(site)["verdict"] == "unknown"
    assert "the stored files may be inconsistent" in reasons(site)

    site.drd("backup", "shop")
    site.drd("drill", "shop")
    assert plan_of(site)["verdict"] == "met", reasons(site)


@pytest.mark.parametrize("may_be_empty", [False, True])
def test_an_empty_component_is_not_proven_by_another_check(
    short_tmp: Path, *, may_be_empty: bool
) -> None:
    """A volume that was not mounted and a database without rows were met by `select 1` and a
    command."""
    site = small_site(short_tmp)
    for name in ("shop.db", "etc"):
        (shutil.rmtree if name == "etc" else os.unlink)(short_tmp / name)
    with sqlite3.connect(short_tmp / "shop.db") as connection:
        connection.execute("create table orders (id)")
    (short_tmp / "etc").mkdir()
    also = ", may_be_empty: true" if may_be_empty else ""
    site.plan(f"""
components:
  db: {{kind: sqlite, path: {short_tmp}/shop.db{also}}}
  conf: {{kind: files, paths: [{short_tmp}/etc]{also}}}
checks:
  - {{name: one, kind: sql, component: db, query: "select 1", expect: "== 1"}}
  - {{name: it lists, kind: command, component: conf, run: [/bin/true]}}
""")
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    plan = plan_of(site)
    if may_be_empty:
        assert (plan["verdict"], plan["readiness"]) == ("met", "ready"), reasons(site)
        return
    assert (plan["verdict"], plan["readiness"]) == ("at_risk", "not ready")
    for component, what in (
        ("db", "no row in any table"),
        ("conf", "the component was empty at backup too"),
    ):
        assert f"{component} not compared: " in reasons(site)
        assert what in reasons(site)


def test_component_that_the_runbook_leaves_out_is_not_proven(short_tmp: Path) -> None:
    runbook = """
runbook:
  - {restore: [db]}
  - {check: [row counts]}
"""
    site = copied_site(short_tmp)
    write_plan(site, SMALL.replace("drill: {{every: 7d}}", ""), more=runbook)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    told = site.drd("drill", "shop", "--json", code=None).json
    [left_out] = told["unproven"]
    assert left_out["component"] == "conf"
    assert left_out["why"].startswith("not restored")
    plan = plan_of(site)
    assert (plan["verdict"], plan["readiness"]) == ("at_risk", "not ready")
    assert "conf not restored" in reasons(site)
    assert "restore: conf" in reasons(site), "another drill would leave it out again"
    assert [p["proven_by"] for p in site.points()] == [None]

    left_out = runbook + "  - {name: files, restore: [conf], rehearse: skip, reason: too large}\n"
    write_plan(site, SMALL.replace("drill: {{every: 7d}}", ""), more=left_out)
    site.drd("drill", "shop")
    assert plan_of(site)["verdict"] == "met", reasons(site)


def test_restored_component_that_no_check_compares_is_not_proven(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    plan = short_tmp / "plans/shop.yaml"
    kept = [line for line in plan.read_text().splitlines() if "kind: files, component" not in line]
    plan.write_text("\n".join(kept) + "\n")
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    plan_now = plan_of(site)
    assert (plan_now["verdict"], plan_now["readiness"]) == ("at_risk", "not ready")
    assert "conf not compared with the backup, because no check read its data" in reasons(site)
    assert json.dumps(plan_now["drill"]["scenarios"][0]["unproven"]) != "[]"
