"""A person finds what to recover: the contents of a point as a list, and as mounted files."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.copies import copied_site
from tests.e2e.site import Site, small_site


def mounts() -> str:
    return Path("/proc/mounts").read_text()


def test_point_is_listed_without_the_repository_except_for_times(stored: Site) -> None:
    (point,) = stored.drd("points", "shop", "--json").json["points"]
    etc = f"{stored.base}/etc"
    Path(etc, "app.conf").chmod(0o600)

    told = stored.drd("ls", "shop", "--json").json
    assert (told["plan"], told["point"]) == ("shop", point["point"])
    by_name = {c["component"]: c for c in told["components"]}
    (orders,) = [i for i in by_name["db"]["items"] if i["name"] == "orders"]
    assert (orders["kind"], orders["rows"]) == ("table", 1000)

    (conf,) = stored.drd("ls", point["point"][:6], f"{etc}/app.conf", "--json").json["components"]
    (item,) = conf["items"]
    file = Path(etc, "app.conf").stat()
    assert (item["name"], item["size_bytes"]) == (f"{etc}/app.conf", file.st_size)
    assert item["changed"].startswith(
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(file.st_mtime))
    )
    assert item["mode"] != "0600", "the mode is that of the point"

    (named,) = stored.drd("ls", "shop", point["point"], "conf", "--json").json["components"]
    assert (named["component"], named["within"]) == ("conf", etc), "a component instead of a path"
    (named,) = stored.drd("ls", "shop", "conf", "--json").json["components"]
    assert named["component"] == "conf", "of the newest point, since no point has this id"
    assert (
        "The newest restore point does not contain"
        in stored.drd("ls", "shop", "nosuch", code=13).err
    )
    wrong = stored.drd("ls", "shop", "latest", f"{etc}/ap.conf", code=2).err
    assert f"HINT: did you mean {etc}/app.conf" in wrong
    assert "app.conf" in stored.drd("ls", "shop", "--before", "0s", etc).out
    stored.drd("ls", "shop", "--before", "3650d", code=13)

    shutil.move(stored.repository, f"{stored.repository}.gone")
    without = stored.drd("ls", "shop", "latest", etc)
    assert "app.conf" in without.out
    assert "the times of the files are unknown" in without.err


def test_a_component_without_a_fingerprint_says_how_to_see_its_tables(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    file = site.base / "plans/shop.yaml"
    text = file.read_text().replace("shop.db}", "shop.db, fingerprint: off}", 1)
    file.write_text("\n".join(line for line in text.splitlines() if "kind: rows" not in line))
    site.drd("backup", "shop")
    (point,) = site.points()
    told = site.drd("ls", "shop").out
    assert (
        "db (sqlite): drd does not know the tables of component db: the restore point does "
        "not contain a fingerprint of this component\n  HINT: mount the restore point with "
        f"`drd mount shop {point['point']} DIRECTORY`, then list its tables with `sqlite3 "
        "FILE .tables`. To list the tables of later restore points with drd, set "
        "`fingerprint: counts` for this component in the plan.\n"
    ) in told
    assert "app.conf" in told, "the other component is listed"


def test_a_component_with_the_name_of_a_table_is_listed_beside_it(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    file = site.base / "plans/shop.yaml"
    text = re.sub(r"\bdb:", "orders:", file.read_text())
    file.write_text(text.replace("component: db", "component: orders"))
    site.drd("backup", "shop")
    whole = site.drd("ls", "shop", "--component", "orders", "--json").json["components"]
    (table,) = [i for i in whole[0]["items"] if i["name"] == "orders"]
    both = site.drd("ls", "shop", "orders", "--json").json["components"]
    assert both == [*whole, {**whole[0], "within": both[1]["within"], "items": [table]}]
    of_component = site.drd("ls", "shop", "latest", "orders", "--component", "orders", "--json")
    assert of_component.json["components"] == both[1:], "the table alone"


def test_points_with_a_component_are_listed_with_its_size(stored: Site) -> None:
    stored.drd("backup", "shop", "--component", "db")
    with_db = stored.drd("points", "shop", "--component", "db", "--json").json["points"]
    every = stored.drd("points", "shop", "--json").json["points"]
    assert len(with_db) == len(every) == 2
    (conf,) = stored.drd("points", "shop", "--component", "conf", "--json").json["points"]
    sizes = {c["component"]: c["bytes"] for c in conf["components"]}
    assert conf["size_bytes"] == sizes["conf"] < sum(sizes.values())
    refused = stored.drd("points", "shop", "--component", "nope", code=2)
    assert "components of the restore points: conf, db" in refused.err


def _mounted(site: Site, into: Path, *words: str) -> object:
    child = site.start("mount", "shop", *words, str(into))
    for _ in range(300):
        if f" {into.resolve()} " in mounts() and list(into.iterdir()):
            break
        time.sleep(0.1)
    return child


needs_fuse = pytest.mark.skipif(
    not (Path("/dev/fuse").exists() and shutil.which("fusermount3")), reason="needs FUSE"
)


@needs_fuse
@pytest.mark.parametrize("in_use", [False, True])
def test_mount_shows_one_point_until_ctrl_c(in_use: bool, stored: Site) -> None:
    stored.drd("backup", "shop")
    into = stored.base / "look"
    into.mkdir()
    child = _mounted(stored, into)
    shown = list(into.iterdir())
    assert len(shown) == 2, "one directory for each component of one point"
    (conf,) = into.glob(f"*{stored.base}/etc/app.conf")
    assert conf.read_bytes() == (stored.base / "etc" / "app.conf").read_bytes()
    with pytest.raises(OSError, match="Read-only"):
        conf.write_text("x")
    held = os.open(into, os.O_RDONLY) if in_use else None
    os.kill(child.pid, signal.SIGINT)  # type: ignore[attr-defined]
    child.wait(60)  # type: ignore[attr-defined]
    assert f" {into} " not in mounts()
    assert list(into.iterdir()) == []
    if held is not None:
        os.close(held)
    stored.assert_clean()


@needs_fuse
def test_mount_reads_from_the_repository_that_a_recovery_would_choose(short_tmp: Path) -> None:
    """Another repository is where the first one was, so only the copy is what it should be."""
    site = copied_site(short_tmp)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    site.without_repository()
    site.restic("init")
    into = site.base / "look"
    into.mkdir()
    child = _mounted(site, into)
    (conf,) = into.glob(f"*{site.base}/etc/app.conf")
    assert conf.read_bytes() == (site.base / "etc" / "app.conf").read_bytes()
    os.kill(child.pid, signal.SIGINT)  # type: ignore[attr-defined]
    out, _ = child.communicate(timeout=60)  # type: ignore[attr-defined]
    assert b", from repository offsite\n" in out
    site.assert_clean()


@needs_fuse
def test_mount_reads_from_the_repository_that_a_person_names(short_tmp: Path) -> None:
    site = copied_site(short_tmp)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    into = site.base / "look"
    into.mkdir()
    child = _mounted(site, into, "--repository", "offsite")
    os.kill(child.pid, signal.SIGINT)  # type: ignore[attr-defined]
    out, _ = child.communicate(timeout=60)  # type: ignore[attr-defined]
    assert b", from repository offsite\n" in out
    refused = site.drd("mount", "shop", str(into), "--repository", "offsit", code=2).err
    assert "plan shop has no repository 'offsit'" in refused
    site.drd("backup", "shop")
    newest, *_ = site.drd("points", "shop", "--json").json["points"]
    words = ("mount", "shop", newest["point"], str(into), "--repository", "offsite")
    assert "offsite" in site.drd(*words, code=13).err, "the copy does not have this point yet"
    site.assert_clean()


@needs_fuse
def test_mount_behind_a_link_that_is_killed_in_use_says_how_to_remove_it(stored: Site) -> None:
    place, into = stored.base / "look", stored.base / "link"
    place.mkdir()
    into.symlink_to(place)
    child = _mounted(stored, into)
    held = os.open(place, os.O_RDONLY)
    try:
        os.kill(child.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        child.wait(60)  # type: ignore[attr-defined]
        for _ in range(100):
            refused = stored.drd("mount", "shop", str(into), code=1).err
            if "killed" in refused:
                break
            time.sleep(0.1)
        assert "the process that served this mount was killed" in refused
        assert f"HINT: unmount what is left: umount --lazy {into}" in refused
    finally:
        os.close(held)
        subprocess.run(["fusermount3", "-u", "-z", place], check=True)
    assert list(place.iterdir()) == []


def test_mount_without_fuse_or_into_a_filled_directory_is_refused(stored: Site) -> None:
    (stored.base / "bin").mkdir()
    (stored.base / "bin" / "restic").symlink_to(str(shutil.which("restic")))
    into = stored.base / "look"
    into.mkdir()
    stored.environment["PATH"] = f"{stored.base}/bin"
    refused = stored.drd("mount", "shop", str(into), code=1).err
    assert "HINT: apt-get install fuse3" in refused or "HINT: load the kernel module" in refused
