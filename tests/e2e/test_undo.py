"""What a recovery replaced is set aside, comes back, and goes when the operator is done."""

from __future__ import annotations

import errno
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drd.cli.main import main
from drd.kinds.kept_files import Beside
from tests.e2e.site import Site, make_sqlite
from tests.e2e.test_in_place import orders

OVER = ("recover", "shop", "--in-place", "--overwrite", "--yes")


@pytest.fixture
def site(stored: Site) -> Site:
    """A backup, and then 500 orders and a line that are not in it."""
    make_sqlite(stored.base / "shop.db", rows=500)
    (stored.base / "etc" / "app.conf").write_text("listen 9090;\n")
    return stored


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
    assert f"when everything works, remove the kept copies for good: drd done {run}\n" in told
    assert f"now at     db: {site.base}/shop.db\n" in told
    assert now(site) == NEW
    assert f"db: {kept}" in site.drd("run", "show", run).out
    doctored = site.drd("doctor", "shop", "--json", code=None).json["items"]
    assert any(kept in item["detail"] for item in doctored)
    listed = site.drd("undo").out
    assert f"run {run}, a recovery of shop" in listed
    assert f"to put the old data back: drd undo {run}" in listed
    dry = site.drd("undo", run, "--dry-run").out
    assert "would be put back  db" in dry
    assert now(site) == NEW
    assert (
        "an undo needs your confirmation, but drd has no terminal to ask you"
        in site.drd("undo", run, code=2).err
    )
    undone = site.drd("undo", run, "--by", "anna", "--yes", "--json").json
    assert {a["holds"] for a in undone["aside"]} == {"recovered"}
    assert now(site) == OLD
    assert "undo" in site.drd("run", "show", run).out
    shown = site.drd("run", "show", run, "--json").json
    assert (shown["now_at"], shown["next"]) == ([], [])
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
    assert "no longer exist" in site.drd("undo", run, code=2).err, "it is said first"
    assert now(site) == NEW
    assert not [p for p in site.base.rglob("*") if "drd_" in p.name]
    site.assert_clean()


@pytest.mark.faults
def test_a_recovery_that_was_refused_has_nothing_to_undo(site: Site) -> None:
    gone = site.base / "away"
    (site.base / "etc").rename(gone)
    (site.base / "etc").write_text("a file where a directory has to be")
    site.drd(*OVER, code=1)
    told = site.drd("undo", recovery(site), "--yes", code=2)
    assert "stopped before it replaced anything: there is nothing to undo" in told.err


def test_a_recovery_to_an_empty_target_names_what_it_restored_instead_of_an_undo(
    site: Site,
) -> None:
    site.drd("recover", "shop", "--target", "standby", "--yes")
    told = site.drd("undo", recovery(site), "--yes", code=2).err
    assert (
        f"recovery {recovery(site)} of shop replaced nothing, so there is nothing to undo" in told
    )
    assert (
        f"HINT: if nobody needs the data that the run restored, remove it: {site.base}/back/"
        in told
    )
    assert f"{site.base}/back/shop.db" in told


def test_an_undo_names_what_the_recovery_restored_where_nothing_was(site: Site) -> None:
    shutil.rmtree(site.base / "etc")
    site.drd(*OVER)
    dry = site.drd("undo", recovery(site), "--dry-run", "--json").json
    assert dry["not_undone"] == [{"component": "conf", "places": [f"{site.base}/etc"]}]
    undone = " ".join(site.drd("undo", recovery(site), "--yes").out.split())
    assert f"not undone conf: the recovery did not keep earlier data of {site.base}/etc," in undone
    assert now(site) == (OLD[0], NEW[1])


def test_kept_copies_are_in_no_backup_and_no_check(site: Site) -> None:
    site.drd(*OVER)
    site.drd("recover", "shop", "--in-place", "--overwrite", "--no-undo", "--yes")
    assert len([p for p in site.base.iterdir() if "_before" in p.name]) == 2
    first = recovery(site)
    refused = site.drd("undo", first, "--yes", code=2).err
    assert (
        f"run {first} of shop has no kept copies, because it was a recovery with --no-" in refused
    )


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


def test_a_point_of_restored_data_is_marked_and_after_the_undo_no_default(site: Site) -> None:
    first = site.points()[0]["point"]

    def lost_since() -> str:
        [status] = site.drd("status", "shop", "--json", code=None).json["plans"]
        return str(status["points"]["newest"])

    site.killed_at("undone:restore db,restore conf", *OVER)
    run = recovery(site)
    made = site.drd("backup", "shop", "--json")
    between = made.json["point"]
    assert (
        f"recovery {run} is not finished and has already restored db, conf, or a part" in made.err
    )
    of_another_host = site.base / "other.yaml"
    text = (site.base / "drd.yaml").read_text().replace("/state/", "/other/")
    of_another_host.write_text(text)
    other = ("--config", str(of_another_host))
    site.drd(*other, "catalogue", "rebuild", "shop")
    assert f"complete, made during recovery {run}" in site.drd(*other, "points", "shop").out
    planned = site.drd(*other, *OVER[:-1], "--dry-run")
    assert f"drd leaves out restore point {between}: recovery {run} was unfinished" in planned.err
    assert f"recovery of point {first}" in planned.out
    assert f"{between}  " in (listed := site.drd("points", "shop").out)
    assert f"complete, made during recovery {run}" in listed
    site.drd("undo", run, "--yes")
    listed = site.drd("points", "shop").out.splitlines()
    assert [x.split()[0] for x in listed if f"complete, data of undone recovery {run}" in x] == [
        between
    ]
    assert lost_since() == first, "the live data is in no newer point"
    noted = site.drd("status", "shop", code=None).out
    assert f"the undo of recovery {run} put back" in " ".join(noted.split())
    assert "drd backup shop" in noted
    told = site.points()[0]["restored"]
    assert (told["run"], told["undone"]) == (run, True)
    assert "db" in told["components"]
    restored = f"recovery {run} had restored {', '.join(told['components'])} when this point was"

    dry = ("recover", "shop", "--in-place", "--overwrite", "--dry-run")
    planned = site.drd(*dry)
    assert f"shop: recovery of point {first} " in planned.out
    assert f"drd leaves out restore point {between}: {restored}" in planned.out + planned.err
    chosen = " ".join(site.drd(*dry, "--point", between).out.split())
    assert f"note {restored} made. Somebody undid the recovery later" in chosen
    assert site.drd("drill", "shop", "--json").json["point"] == first

    last = site.drd("backup", "shop", "--json").json["point"]
    planned = site.drd(*dry)
    assert f"shop: recovery of point {last} " in planned.out
    assert "leaves out" not in planned.out + planned.err
    assert site.points()[0]["restored"] is None
    assert lost_since() == last
    assert "put back" not in site.drd("status", "shop", code=None).out


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
    assert f"was missing already  db: {kept}" in let_go
    assert "set aside" not in site.drd("run", "show", run).out


def test_forgetting_a_plan_names_the_kept_copies_that_stay(site: Site) -> None:
    site.drd(*OVER)
    run = recovery(site)
    (site.base / "plans/shop.yaml").unlink()
    told = site.drd("plan", "forget", "shop", "--yes", "--json")
    copy = f"{site.base}/shop.db.drd_{run}_before"
    assert f"recovery {run} keeps {copy}, a copy of db. drd does not delete this copy" in told.err
    assert copy in told.json["kept"]
    assert Path(copy).exists()


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
            for more in ((), ("--dry-run",)):
                refused = site.drd(*OVER, *more, code=1)
                assert (
                    f"(process {holder.pid}): this program must end before drd replaces the "
                    "file\n     drd changed no data.\nHINT: stop the programs that use the "
                    "data before the recovery, and start them again afterwards. Or add "
                    "steps `stop` and `start` to the runbook of the plan, which do this\n"
                ) in refused.err

            assert orders(site.base / "shop.db") == 1500
        finally:
            holder.kill()
    site.drd("resume", recovery(site))
    assert now(site) == NEW


@contextmanager
def holding(database: Path) -> Iterator[int]:
    words = [sys.executable, "-c", IN_USE, str(database)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline()
            yield holder.pid
        finally:
            holder.kill()


def test_an_undo_checks_all_places_before_the_first_change(site: Site) -> None:
    plan = site.base / "plans" / "shop.yaml"
    db, conf = (
        line for line in plan.read_text().splitlines() if line.startswith(("  db:", "  conf:"))
    )
    plan.write_text(plan.read_text().replace(f"{db}\n{conf}", f"{conf}\n{db}"))
    site.drd(*OVER)
    run = recovery(site)
    with holding(site.base / "shop.db") as pid:
        for words in (("undo", run, "--yes"), ("undo", run, "--dry-run")):
            refused = site.drd(*words, code=1)
            assert (
                f"drd: {site.base}/shop.db is in use by python (process {pid}), which would "
                "continue to use the old file\n     drd changed no data.\nHINT: stop python "
                f"(process {pid}) first, and start this program again afterwards.\n"
            ) in refused.err.replace("python3", "python")
            assert now(site) == NEW
        site.drd("undo", run, "--component", "conf", "--yes")
        assert now(site) == (NEW[0], OLD[1])
    site.drd("undo", run, "--yes")
    assert now(site) == OLD
    with holding(site.base / "shop.db"):
        assert "is in use by" in site.drd("undo", run, "--redo", "--yes", code=1).err
        assert now(site) == OLD


def test_a_half_done_undo_says_what_each_place_has(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.drd(*OVER)
    run = recovery(site)
    monkeypatch.setenv("DRD_CONFIG", site.env()["DRD_CONFIG"])
    with monkeypatch.context() as broken:
        moved = Beside._move

        def move(self: Beside, old: Path, new: Path) -> None:
            if self.target.name == "etc":
                raise OSError(errno.EIO, "Input/output error", str(old))
            moved(self, old, new)

        broken.setattr(Beside, "_move", move)
        assert main(["undo", run, "--yes"]) == 1
    told = capsys.readouterr().err
    etc = site.base / "etc"
    assert told == (
        f"drd: cannot exchange the present data at {etc} and its kept copy: {etc}: "
        f"Input/output error\n  the undo of run {run} is only half done:\n  db: "
        f"{site.base}/shop.db has the data from before the recovery\n  conf: {etc} has the "
        "data that the recovery restored\nHINT: run the command as a user with the right to "
        f"write there, for instance root.\n      to finish: drd undo {run}\n"
    )
    with holding(site.base / "shop.db"):
        site.drd("undo", run, "--yes")  # nothing is left to do at the database
    assert now(site) == OLD


READING = "import sys; held = open(sys.argv[1]); print(1, flush=True); sys.stdin.read()"


def test_those_who_go_on_with_a_kept_copy_are_named_and_it_is_not_removed(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.drd(*OVER)
    run, database = recovery(site), site.base / "shop.db"
    site.drd("incident", "open", "strange orders", "--plan", "shop")
    words = [sys.executable, "-c", READING, str(database)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline()
            dry = site.drd("undo", run, "--dry-run")
            by = re.escape(f"(process {program.pid})")
            warned = rf"warning: component db: {database} is in use by python3? {by}: .*before the"
            assert re.search(warned, dry.err, re.DOTALL)
            assert now(site) == NEW
            undone = site.drd("undo", run, "--yes")
            kept = f"{database}.drd_{run}_after"
            assert re.search(warned, undone.err, re.DOTALL)
            assert re.search(rf"in use     db: {kept}, by python3? {by}", undone.out)
            assert re.search(rf"1\. db: restart python3? {by}, because", undone.out)
            refused = site.drd("done", run, "--yes", code=2).err
            assert re.search(rf"{kept} is in use by python3? {by}: what a program", refused)
            assert f"then: drd done {run}" in refused
            assert f"{kept} is in use by" in site.drd("done", run, "--dry-run").err
            assert Path(kept).exists()
        finally:
            program.kill()
    monkeypatch.setenv("DRD_CONFIG", site.env()["DRD_CONFIG"])
    # For root on the state of drd's user, no row says of which plan a run is.
    monkeypatch.setattr("drd.catalogue.decisions.plan_of_row", lambda _: "")
    assert main(["undo", run, "--redo", "--yes"]) == 0
    assert "in use" not in capsys.readouterr().out
    assert main(["done", run, "--yes"]) == 0
    assert not Path(kept).exists()
    shown = " ".join(site.drd("incident", "show", "1").out.split())
    for said in ("undo of recovery", "redo of recovery", "done of recovery"):
        assert f"{said} {run} of shop: " in shown, shown


def test_a_recovery_over_production_asks_for_a_backup_until_there_is_one(site: Site) -> None:
    site.drd("backup", "shop")
    oldest = str(site.points()[-1]["point"])

    def asked() -> list[str]:
        tasks = site.drd("run", "show", recovery(site), "--json").json["next"]
        return [task["command"] for task in tasks if task["code"] == "backup"]

    site.drd(*OVER, "--point", oldest)
    assert now(site) == NEW
    assert asked() == ["drd backup shop"]
    site.drd("backup", "shop")
    assert asked() == []
    site.drd(*OVER)  # the newest point: nothing is behind it, but can drd read what it restored?
    assert asked() == ["drd backup shop"]
    site.drd("backup", "shop")
    assert asked() == []
