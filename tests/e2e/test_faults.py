"""What breaks around drd, and what it says and does then. Local repository, SQLite and files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.site import Site, make_sqlite, small_site


@pytest.fixture
def site(short_tmp: Path) -> Site:
    return small_site(short_tmp)


def test_every_command_exits_12_at_a_wrong_repository_password(site: Site) -> None:
    site.drd("backup", "shop")
    (site.base / "secrets/restic").write_text("another one")
    told = site.drd("backup", "shop", "--json", code=12)
    assert told.json["error"]["exit"] == 12
    assert told.json["error"]["hint"]
    assert site.runs()[0]["state"] == "failed"
    assert site.drd("drill", "shop", "--json", code=12).json["result"] == "inconclusive"
    assert len(site.points()) == 1
    site.assert_clean()


def test_emptied_repository_does_not_pass_for_a_fresh_one(site: Site) -> None:
    site.drd("backup", "shop")
    shutil.rmtree(site.repository)
    Path(site.repository).mkdir()
    told = site.drd("backup", "shop", "--json", code=10)
    assert "is empty, but repository" in told.json["error"]["message"]
    assert not list(Path(site.repository).iterdir()), "nothing was initialised"
    assert site.runs()[0]["state"] == "failed"
    site.assert_clean()


def test_replaced_repository_is_noticed(site: Site) -> None:
    site.drd("backup", "shop")
    shutil.rmtree(site.repository)
    site.restic("init")
    told = site.drd("backup", "shop", "--json", code=10)
    assert "contains a different repository" in told.json["error"]["message"]


def test_flipped_byte_in_a_pack_never_passes(site: Site) -> None:
    make_sqlite(site.base / "shop.db", rows=200_000)
    site.drd("backup", "shop")
    packs = [p for p in Path(site.repository, "data").rglob("*") if p.is_file()]
    pack = max(packs, key=lambda p: p.stat().st_size)
    pack.chmod(0o600)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 0xFF
    pack.write_bytes(data)
    told = site.drd("drill", "shop", "--json", code=None)
    assert told.code in (4, 5)
    assert told.json["result"] in ("failed", "inconclusive")
    assert site.drd("status", "--json", code=3).json["plans"][0]["verdict"] != "met"
    site.drd("recover", "shop", "--target", "standby", "--yes", code=1)
    assert not (site.base / "back/shop.db").exists(), "nothing partial is left as restored"
    site.assert_clean()


def test_a_drill_does_not_use_the_cache_of_this_host(site: Site) -> None:
    """restic answers from it for snapshots, indexes and directories that the repository lost."""
    point = site.drd("backup", "shop", "--json").json["point"]
    (listed,) = json.loads(site.restic("snapshots", "--json", "--tag", f"run:{point},manifest"))
    (Path(site.repository) / "snapshots" / listed["id"]).unlink()
    told = site.drd("drill", "shop", "--json", code=5).json
    assert told["result"] == "inconclusive"
    assert point in told["reason"]
    assert "drd did not forget it" in told["reason"]
    plan = site.drd("status", "--json", code=3).json["plans"][0]
    assert plan["verdict"] == "breached"
    assert plan["rpo"]["loses_everything"]
    site.assert_clean()


def test_every_command_notices_a_replaced_or_emptied_repository(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"  # with a claim that is not true either
    plan.write_text(plan.read_text().replace("    url:", "    protection: object-lock\n    url:"))
    site.drd("backup", "shop")
    shutil.move(site.repository, site.base / "elsewhere")
    for present, words in ((False, "does not exist"), (True, "a different repository")):
        if present:
            site.restic("init")
        bad = [i for i in site.drd("doctor", "--json", code=1).json["items"] if not i["ok"]]
        assert [i["name"] for i in bad] == ["repository primary: protection", "repository primary"]
        assert words in bad[1]["detail"]
        assert words in site.drd("catalogue", "verify", code=10).err
        assert words in site.drd("catalogue", "rebuild", code=10).err
        told = site.drd("drill", "shop", "--json", code=10).json
        assert told["result"] == "inconclusive"
    assert "a different repository" in told["reason"]
    assert len(site.points()) == 1
    site.assert_clean()


@pytest.fixture
def read_only(site: Site) -> Iterator[None]:
    """The repository with two points, mounted read-only."""
    site.drd("backup", "shop")
    site.drd("backup", "shop")
    where = site.repository
    try:
        subprocess.run(["mount", "--bind", where, where], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        pytest.skip("cannot mount here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", where], check=True)
        yield
    finally:
        subprocess.run(["umount", where], check=True)


@pytest.mark.usefixtures("read_only")
def test_repository_that_may_only_be_read_still_serves(site: Site) -> None:
    assert site.drd("drill", "shop", "--json").json["result"] == "passed"
    site.drd("recover", "shop", "--target", "standby", "--yes")
    for file in (site.base / "state").glob("drd.db*"):
        file.unlink()
    site.drd("catalogue", "rebuild")
    assert len(site.points()) == 2
    site.drd("catalogue", "verify")
    site.drd("retention", "shop", "--dry-run")
    assert "mounted read-only" in site.drd("backup", "shop", code=1).err
    assert "mounted read-only" in site.drd("retention", "shop").out  # paused: the backup failed
    site.assert_clean()


@pytest.mark.parametrize(
    ("tamper", "failing"),
    [
        ("sqlite3 $DRD_PATH 'drop table customers'", "row counts"),
        ("sqlite3 $DRD_PATH 'delete from orders where id = 7'", "row counts"),
        ("sqlite3 $DRD_PATH 'delete from orders'", "orders are there"),
        ("rm $DRD_PATH/BASE/etc/app.conf", "configuration"),
        ("echo changed >> $DRD_PATH/BASE/etc/app.conf", "configuration"),
        ("chmod 777 $DRD_PATH/BASE/etc/app.conf", "configuration"),
        ("touch $DRD_PATH/BASE/etc/extra", "configuration"),
        ("rmdir $DRD_PATH/BASE/etc/empty", "configuration"),
        ("ln -sfn nowhere $DRD_PATH/BASE/etc/current", "configuration"),
    ],
)
def test_wrongly_restored_data_fails_its_check(site: Site, tamper: str, failing: str) -> None:
    component = "db" if "sqlite3" in tamper else "conf"
    script = site.base / "tamper.sh"
    sql = tamper.replace("sqlite3 $DRD_PATH", "python3 -c \"import sqlite3,sys;"
                         "c=sqlite3.connect(sys.argv[1]);c.execute(sys.argv[2]);c.commit()\" "
                         '"$DRD_PATH"')  # fmt: skip
    script.write_text(f"#!/bin/sh\nset -e\n{sql.replace('/BASE', str(site.base))}\n")
    script.chmod(0o755)
    plan = site.base / "plans/shop.yaml"
    check = f"checks:\n  - {{name: tamper, kind: command, component: {component}, run: [{script}]}}"
    plan.write_text(plan.read_text().replace("checks:", check))
    site.drd("backup", "shop")
    told = site.drd("drill", "shop", "--json", code=4).json
    verdicts = {c["name"]: c["verdict"] for c in told["checks"]}
    assert verdicts["tamper"] == "passed", told
    assert verdicts[failing] == "failed"
    state = site.drd("status", "--json", code=3).json["plans"][0]
    assert state["drill"]["verdict"] == "breached"
    assert state["readiness"] == "not ready"


def test_a_shrunken_component_needs_confirmation(site: Site) -> None:
    make_sqlite(site.base / "shop.db", rows=50_000)
    site.drd("backup", "shop")
    (site.base / "shop.db").unlink()
    make_sqlite(site.base / "shop.db", rows=10)
    told = site.drd("backup", "shop", "--json", code=1).json
    (failed,) = (c for c in told["components"] if c["state"] == "failed")
    assert "shrank" in failed["error"]
    look, accept = failed["remedy"].split("; ")
    assert accept == "if the data was removed on purpose: drd backup shop --accept-size"
    compared = site.drd(*look.partition(": drd ")[2].split()).out
    assert "51,000 -> 10 rows" in compared
    assert not site.points()[0]["complete"]
    findings = site.drd("doctor", "shop", "--json", code=None).json["items"]
    (found,) = (f for f in findings if f["code"] == "last-backup")
    assert found["severity"] == "warning"
    assert "shrank" in found["text"]
    assert found["remedy"] == f"to see the error and its remedy: `drd run show {told['run']}`"
    assert accept in site.drd("run", "show", told["run"]).out
    site.drd("backup", "shop", "--accept-size")
    site.drd("backup", "shop")
    findings = site.drd("doctor", "shop", "--json", code=None).json["items"]
    assert "last-backup" not in {f["code"] for f in findings}


def test_files_changing_during_a_backup_do_not_fail_it(site: Site) -> None:
    # What changes is a small part of the tree, whichever moment each capture meets.
    (site.base / "etc/large").write_text("steady\n" * 1000)
    script = f"while :; do f={site.base}/etc/conf.d/x$RANDOM; echo hi > $f; rm $f; done"
    churn = subprocess.Popen(["bash", "-c", script])
    try:
        for _ in range(3):
            assert site.drd("backup", "shop", "--json").json["state"] == "succeeded"
    finally:
        churn.kill()
        churn.wait()
    assert site.drd("drill", "shop", "--json").json["result"] == "passed"


@contextmanager
def tmpfs(place: Path, size: str) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")


@needs_root
def test_sandbox_disk_full_is_inconclusive(site: Site) -> None:
    (site.base / "etc/big").write_bytes(os.urandom(8 << 20))
    site.drd("backup", "shop")
    with tmpfs(site.base / "work", "4m"):
        told = site.drd("drill", "shop", "--json", code=5).json
        assert told["result"] == "inconclusive"
        assert "space" in told["reason"]
        assert not list((site.base / "work").iterdir())
        with (site.base / "work/filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(4096))
        words = ("recover", "shop", "--target", "standby", "--yes", "--json")
        error = site.drd(*words, code=1).json["error"]
        assert "no space left" in error["message"]
        assert "free space on this disk" in error["hint"]
    assert not list((site.base / "back").iterdir())
    assert site.runs()[0]["error"].startswith("no space left")
    site.assert_clean()


@needs_root
def test_catalogue_disk_full_fails_with_the_remedy_and_loses_nothing(site: Site) -> None:
    with tmpfs(site.base / "state", "3m"):
        site.drd("backup", "shop")
        (site.base / "state/filler").write_bytes(b"")
        filler = subprocess.run(
            ["dd", "if=/dev/zero", f"of={site.base}/state/filler", "bs=4k"],
            capture_output=True, check=False,
        )  # fmt: skip
        assert b"No space left" in filler.stderr
        told = site.drd("backup", "shop", code=1)
        assert "full" in told.err
        assert "HINT" in told.err
        [state] = site.drd("status", "--json", code=3).json["plans"]
        assert state["rpo"]["verdict"] == "met", "it is read all the same"
        (site.base / "state/filler").unlink()
        site.drd("backup", "shop")
        assert all(p["complete"] for p in site.points())
        site.assert_clean()


def test_damaged_catalogue_is_named_and_rebuilt(site: Site) -> None:
    point = site.drd("backup", "shop", "--json").json["point"]
    for file in (site.base / "state").glob("drd.db-*"):
        file.unlink()
    (site.base / "state/drd.db").write_bytes(b"not a database" * 1000)
    told = site.drd("backup", "shop", code=1)
    assert "drd catalogue rebuild" in told.err
    site.drd("catalogue", "rebuild")
    assert [p["point"] for p in site.points()] == [point]
    kept = [p for p in (site.base / "state").iterdir() if "damaged" in p.name]
    assert kept, "the damaged file is kept"


def test_failing_hook_is_a_failed_run(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"
    before = "before: {command: [sh, -c, 'echo no lock to be had; exit 9']}"
    plan.write_text(plan.read_text().replace("{kind: sqlite,", f"{{kind: sqlite, {before},"))
    told = site.drd("backup", "shop", "--json", code=1).json
    assert told["state"] == "incomplete"
    assert "no lock to be had" in told["components"][0]["error"]
    assert site.runs()[0]["state"] == "incomplete"


def test_broken_plan_keeps_its_old_figures(site: Site) -> None:
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("components:", "componets:"))
    told = site.drd("backup", "shop", code=2)
    assert "shop.yaml:" in told.err
    assert 'did you mean "components"' in told.err
    state = site.drd("status", "--json", code=None).json["plans"][0]
    assert (state["state"], state["readiness"]) == ("at risk", "ready")
    assert state["rpo"]["exposure_s"] is not None
    assert site.points()
