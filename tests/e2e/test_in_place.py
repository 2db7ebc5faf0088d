"""Recovering over production itself: only when that was said, and with the same code."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.site import Site, make_sqlite, small_site


@pytest.fixture
def site(stored: Site) -> Site:
    return stored


def orders(path: Path) -> int:
    # Closed at once: what is open in another process is not replaced.
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(connection.execute("select count(*) from orders").fetchone()[0])


def test_recover_needs_a_target(site: Site) -> None:
    refused = site.drd("recover", "shop", "--yes", code=2)
    assert "no target given" in refused.err
    assert "--target NAME (the targets of shop: standby), or --in-place" in refused.err


def test_in_place_recovery_restores_lost_data(site: Site) -> None:
    tree, kept = site.base / "etc", site.base / "kept"
    shutil.copytree(tree, kept, symlinks=True)
    (site.base / "shop.db").unlink()
    shutil.rmtree(tree)
    told = site.drd("recover", "shop", "--in-place", "--yes", "--json").json
    assert told["result"] == "passed"
    assert told["target"] == "in-place"
    assert orders(site.base / "shop.db") == 1000
    subprocess.run(["diff", "-r", "--no-dereference", kept, tree], check=True)
    assert (tree / "app.conf").stat().st_mode & 0o777 == 0o640
    site.assert_clean()


def test_filled_production_is_replaced_only_with_overwrite(site: Site) -> None:
    make_sqlite(site.base / "shop.db", rows=500)
    (site.base / "etc" / "app.conf").write_text("listen 6666;\n")
    refused = site.drd("recover", "shop", "--in-place", "--yes", code=1)
    assert "this recovery would overwrite the production data of db" in refused.err
    assert "(2 tables and views)" in refused.err
    assert "--overwrite" in refused.err
    assert orders(site.base / "shop.db") == 1500
    dry = site.drd("recover", "shop", "--in-place", "--overwrite", "--dry-run").out
    assert "into its original place: PRODUCTION" in dry
    assert "overwrites the data of production, and keeps the old data until `drd done`" in dry
    site.drd("recover", "shop", "--in-place", "--overwrite", "--yes")
    assert orders(site.base / "shop.db") == 1000
    assert (site.base / "etc" / "app.conf").read_text() == "listen 8080;\n"
    site.assert_clean()


HOLDS = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1])
print(held.execute("select count(*) from orders").fetchone(), flush=True)
sys.stdin.read()
"""

WRITES = """
runbook:
  - {name: back, restore: all}
  - {name: live, sql: {component: db, query: insert into orders default values}}
  - {name: look, check: all}
"""


def test_a_live_application_is_named_before_and_its_rows_look_like_no_damage(site: Site) -> None:
    """A step stands for the application that writes as soon as the database is back."""
    file = site.base / "plans" / "shop.yaml"
    file.write_text(file.read_text() + WRITES)
    words = [sys.executable, "-c", HOLDS, str(site.base / "shop.db")]
    over = ("recover", "shop", "--in-place", "--overwrite")
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline()
            dry = site.drd(*over, "--dry-run", "--json").json["findings"]
            (seen,) = [f for f in dry if f["code"] == "in-use" and str(holder.pid) in f["evidence"]]
            assert (seen["subject"], seen["severity"]) == ("db", "warning")
            assert "add steps `stop` and `start`" in seen["remedy"]
            done = site.drd(*over, "--yes", "--json", code=4).json
            (rows,) = [c for c in done["checks"] if c["verdict"] == "failed"]
            assert rows["observed"] == (
                "orders has 1,001 rows, 1 row more than at the backup: does the application write "
                "already?"
            )
            codes = [task["code"] for task in done["next"]]
            assert codes == ["checks", "restart", "application", "kit", "done"]
            assert "that is no reason to undo" in done["next"][0]["text"]
            assert f"(process {holder.pid})" in done["next"][1]["text"]
            places = {p["component"]: p["places"] for p in done["now_at"]}
            assert places == {"db": [f"{site.base}/shop.db"], "conf": [f"{site.base}/etc"]}
            assert (done["within_rto"], done["rto_s"]) == (True, 1800)
        finally:
            holder.kill()
    shown = site.drd("run", "show", done["run"], "--json").json
    assert {k: shown[k] for k in ("now_at", "in_use", "next", "rta_s", "rto_s", "within_rto")} == {
        k: done[k] for k in ("now_at", "in_use", "next", "rta_s", "rto_s", "within_rto")
    }
    told = site.drd("run", "show", done["run"]).out
    assert f"now at     db: {site.base}/shop.db\n" in told
    assert f"remove the kept copies for good: drd done {done['run']}\n" in told


@pytest.mark.parametrize("moment", ["before:restore conf", "undone:restore conf"])
def test_a_killed_in_place_recovery_is_resumed(site: Site, moment: str) -> None:
    make_sqlite(site.base / "shop.db", rows=500)
    words = ("recover", "shop", "--in-place", "--overwrite", "--yes")
    site.killed_at(moment, *words)
    run = next(r["run"] for r in site.runs() if r["kind"] == "recovery")
    told = site.drd("resume", run, "--json").json
    assert told["result"] == "passed"
    assert told["target"] == "in-place"
    assert orders(site.base / "shop.db") == 1000
    site.assert_clean()


RUNBOOK = """\
runbook:
  - {{name: back, restore: all}}
  - name: say
    when: {{target: in-place}}
    command: {{run: [/bin/sh, -c, 'echo "$DRD_TARGET" "$1" > {base}/said', sh, "${{target}}"]}}
    rehearse: skip
    reason: is about production
  - {{name: look, check: all}}
"""


def test_steps_can_be_limited_to_in_place_recoveries(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    with (site.base / "plans" / "shop.yaml").open("a") as plan:
        plan.write(RUNBOOK.format(base=site.base))
    site.drd("backup", "shop")
    site.drd("recover", "shop", "--target", "standby", "--yes")
    assert not (site.base / "said").exists()
    site.drd("recover", "shop", "--in-place", "--overwrite", "--yes")
    assert (site.base / "said").read_text() == "in-place in-place\n"


# --- a target that is production --------------------------------------------------------------

NAMED = """
components:
  db: {{kind: sqlite, path: {base}/shop.db}}
  other: {{kind: sqlite, path: {base}/other.db}}
  conf: {{kind: files, paths: [{base}/etc]}}
targets:
  itself: {{db: {{path: {base}/link.db}}, conf: {{path: {base}/back}}}}
  swapped: {{db: {{path: {base}/other.db}}}}
  within: {{conf: {{path: {base}/etc/back}}}}
  around: {{conf: {{path: {base}}}}}
  beside: {{conf: {{path: {base}/etc-back}}}}
"""


def test_a_target_that_is_production_is_refused_before_anything_is_touched(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    make_sqlite(site.base / "other.db")
    (site.base / "link.db").symlink_to(site.base / "shop.db")
    site.plan(NAMED.format(base=site.base))
    site.drd("backup", "shop")
    make_sqlite(site.base / "shop.db", rows=5)
    for target, over in (
        ("itself", f"db would be restored over {site.base}/shop.db"),
        ("swapped", f"db would be restored over {site.base}/other.db, the source of other"),
        ("within", f"conf would be restored over {site.base}/etc"),
        ("around", f"conf would be restored over {site.base}/etc"),
    ):
        last = "--dry-run" if target == "swapped" else "--yes"
        words = ("recover", "shop", "--target", target, "--overwrite", last)
        refused = site.drd(*words, code=1)
        assert f"target {target} is production itself: {over}" in refused.err
        assert f"--target {target} --in-place" in refused.err
    assert orders(site.base / "shop.db") == 1005
    assert not (site.base / "back").exists() or not list((site.base / "back").iterdir())
    ended = site.drd("recover", "shop", "--target", "beside", "--yes", code=5).out
    assert "checks inconclusive (they prove nothing); recovered in " in ended
    assert "note       not restored: db, other (target beside has no place for db, other)" in ended
    assert "until the start" not in ended
    assert re.search(r"  took       waiting \S+, fetch \S+, restore \S+, checks \S+", ended), ended
    words = ("recover", "shop", "--target", "itself", "--in-place", "--overwrite", "--yes")
    dry = site.drd(*words[:-1], "--dry-run").out
    assert "into target itself: PRODUCTION" in dry
    assert re.search(r"  expected   \S+: the last recovery took this long", dry), dry
    site.drd(*words, code=5)  # no check looks at data
    assert orders(site.base / "shop.db") == 1000
    found = {
        f["name"]: f
        for f in site.drd("readiness", "shop", "--json", code=None).json["plans"][0]["findings"]
    }
    assert found["target itself: db: production"]["severity"] == "warning"
    assert "target beside: conf: production" not in found
    warned = site.drd("plan", "check", "shop").out
    assert "targets.swapped.db: this place is the source of component other" in warned
    site.assert_clean()


def test_a_component_that_was_lost_alone_is_restored_alone_by_the_printed_commands(
    stored: Site,
) -> None:
    (stored.base / "shop.db").unlink()
    failed = stored.drd("backup", "shop", code=1)
    alone = "drd recover shop --in-place --component db --dry-run"
    assert f"if this data was lost, {alone} shows how to restore it. Otherwise" in failed.err
    assert alone in stored.drd("doctor", "shop", code=1).out.replace("\n", " ")
    refused = stored.drd("recover", "shop", "--in-place", "--dry-run", code=1).err
    assert "--component conf --into NEW." in refused
    assert "To restore only db: add --component db." in refused
    stored.drd(*alone.split()[1:])
    stored.drd("recover", "shop", "--in-place", "--component", "db", "--yes")
    assert orders(stored.base / "shop.db") == 1000
