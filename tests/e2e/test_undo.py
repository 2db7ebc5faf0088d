"""What a recovery replaced is set aside, comes back, and goes when the operator is done."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.site import Site, make_sqlite, small_site
from tests.e2e.test_in_place import orders

OVER = ("recover", "shop", "--in-place", "--overwrite", "--yes")


@pytest.fixture
def site(short_tmp: Path) -> Site:
    """A backup, and then 500 orders and a line that are not in it."""
    site = small_site(short_tmp)
    site.drd("backup", "shop")
    make_sqlite(site.base / "shop.db", rows=500)
    (site.base / "etc" / "app.conf").write_text("listen 9090;\n")
    return site


def recovery(site: Site) -> str:
    return str(next(r["run"] for r in site.runs() if r["kind"] == "recovery"))


def now(site: Site) -> tuple[int, str]:
    return orders(site.base / "shop.db"), (site.base / "etc" / "app.conf").read_text()


OLD, NEW = (1500, "listen 9090;\n"), (1000, "listen 8080;\n")


def test_undo_restores_the_kept_copy_and_done_removes_it(site: Site) -> None:
    told = site.drd(*OVER).out
    run = recovery(site)
    kept = f"{site.base}/shop.db.drd_{run}_before"
    assert f"kept copy  db: {kept} (" in told
    assert f"to put the old data back: drd undo {run}\n" in told
    assert f"to remove the kept copies for good: drd done {run}\n" in told
    assert now(site) == NEW
    assert f"db: {kept}" in site.drd("run", "show", run).out
    doctored = site.drd("doctor", "shop", "--json", code=None).json["items"]
    assert any(kept in item["detail"] for item in doctored)
    dry = site.drd("undo", run, "--dry-run").out
    assert "would be put back           db" in dry
    assert now(site) == NEW
    assert (
        "an undo needs a confirmation, but there is no terminal on which drd could ask"
        in site.drd("undo", run, code=2).err
    )
    undone = site.drd("undo", run, "--by", "anna", "--yes", "--json").json
    assert {a["holds"] for a in undone["aside"]} == {"recovered"}
    assert now(site) == OLD
    assert "undo" in site.drd("run", "show", run).out
    site.drd("undo", run, "--redo", "--component", "conf", "--yes")
    assert now(site) == (OLD[0], NEW[1])
    site.drd("undo", run, "--redo", "--yes")
    assert now(site) == NEW
    asked = site.drd("done", run, "--dry-run").out
    assert f"would remove  db: {kept}" in asked
    site.drd("done", run, "--by", "anna", "--yes")
    assert f"there are no kept copies of run {run}" in site.drd("done", run, "--yes").out
    shown = site.drd("run", "show", run).out
    assert "by anna" in shown
    assert "set aside" not in shown
    assert "has no kept copies" in site.drd("undo", run, code=2).err, "it is said first"
    assert now(site) == NEW
    assert not [p for p in site.base.rglob("*") if "drd_" in p.name]
    site.assert_clean()


@pytest.mark.faults
def test_kept_copies_are_in_no_backup_and_no_check(site: Site) -> None:
    site.drd(*OVER)
    site.drd("recover", "shop", "--in-place", "--overwrite", "--no-undo", "--yes")
    assert len([p for p in site.base.iterdir() if "_before" in p.name]) == 2
    first = recovery(site)
    assert "no kept copies" in site.drd("undo", first, "--yes", code=2).err


@pytest.mark.faults
def test_the_last_recovery_is_undone_first(site: Site) -> None:
    site.drd(*OVER)
    first = recovery(site)
    site.drd(*OVER)
    second = recovery(site)
    refused = site.drd("undo", first, "--yes", code=2)
    assert f"drd undo {second}" in refused.err
    site.drd("undo", second, "--yes")
    site.drd("undo", first, "--yes")
    assert now(site) == OLD
    site.drd("done", first, "--yes")
    site.drd("done", second, "--yes")
    assert now(site) == OLD
    site.assert_clean()


@pytest.mark.parametrize(
    "moment", ["undone:restore db", pytest.param("after:restore", marks=pytest.mark.faults)]
)
def test_a_killed_recovery_can_be_undone_and_is_not_resumed(site: Site, moment: str) -> None:
    site.killed_at(moment, *OVER)
    run = recovery(site)
    site.drd("undo", run, "--yes")
    assert now(site) == OLD
    assert "was undone" in site.drd("resume", run, code=2).err
    site.drd("done", run, "--yes")
    assert now(site) == OLD
    assert not [p for p in site.base.rglob("*") if "drd_" in p.name]
    site.assert_clean()


def test_a_moved_kept_copy_is_reported_by_name(site: Site) -> None:
    site.drd(*OVER)
    run = recovery(site)
    kept = site.base / f"shop.db.drd_{run}_before"
    kept.rename(site.base / "elsewhere.db")
    refused = site.drd("undo", run, "--yes", code=1)
    assert f"{kept}, the copy of db that run {run} kept, is missing" in refused.err
    assert now(site) == NEW
    site.drd("undo", run, "--component", "conf", "--yes")
    assert now(site) == (NEW[0], OLD[1])
    let_go = site.drd("done", run, "--yes").out
    assert f"already missing  db: {kept}" in let_go
    assert "set aside" not in site.drd("run", "show", run).out


@pytest.mark.faults
def test_undo_works_from_the_catalogue_alone(site: Site) -> None:
    site.drd(*OVER)
    run = recovery(site)
    shutil.rmtree(site.base / "work")
    (site.base / "work").mkdir()
    (site.base / "plans" / "shop.yaml").unlink()
    site.drd("undo", run, "--yes")
    assert now(site) == OLD


IN_USE = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1])
held.execute("pragma journal_mode = wal")
held.execute("select count(*) from orders").fetchone()
print("reading", flush=True)
sys.stdin.read()
"""


def test_a_database_in_use_is_not_replaced(site: Site) -> None:
    words = [sys.executable, "-c", IN_USE, str(site.base / "shop.db")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline()
            refused = site.drd(*OVER, code=1)
            assert (
                f"(process {holder.pid}), which must end before drd replaces the file"
                in refused.err
            )
            assert orders(site.base / "shop.db") == 1500
        finally:
            holder.kill()
    site.drd("resume", recovery(site))
    assert now(site) == NEW
