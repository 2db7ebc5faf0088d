"""One object below `snapshots/` that nobody can read stopped bootstrap, rebuild, recoveries from a copy and
backups of files: a flipped byte, or garbage that takes no password to write. A listing gives what can be
read and names the rest with the way to remove it; only what deletes refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.errors import RepositoryDamaged
from drd.flows import holdings
from drd.ports import Tree
from tests.e2e.kit_site import Machine
from tests.e2e.site import PASSWORD, Site, small_site
from tests.repository_support import founded, new_bucket, s3_repository, shell
from tests.servers import S3Server

GARBAGE = "a" * 64
EMPTY = "b" * 64


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = small_site(short_tmp)
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    site.drd("backup", "shop")
    site.drd("backup", "shop")
    return site


def spoil(site: Site) -> str:
    """Garbage, an empty object, and a flipped byte in the oldest manifest; its id."""
    snapshots = Path(site.repository) / "snapshots"
    (snapshots / GARBAGE).write_bytes(b"garbage")
    (snapshots / EMPTY).write_bytes(b"")
    (oldest,) = site.catalogue(
        "select r.manifest from points p join point_repositories r on r.point = p.id"
        " order by p.data_time limit 1"
    )[0]
    file = snapshots / str(oldest)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(data)
    return str(oldest)


@pytest.mark.parametrize("cache", ["warm", "cold"])
def test_all_but_deleting_goes_on(site: Site, cache: str) -> None:
    oldest = spoil(site)
    if cache == "cold":
        import shutil

        shutil.rmtree(site.base / "cache")
    (newest, _) = (p["point"] for p in site.points())
    site.drd("drill", "shop")
    site.drd("recover", "shop", "--target", "standby", "--point", newest, "--yes")
    rebuilt = site.drd("catalogue", "rebuild", "shop", code=1)
    for what in (GARBAGE, EMPTY, oldest):
        assert what[:8] in rebuilt.out + rebuilt.err
    assert f"rm -f -- {site.repository}/snapshots/{GARBAGE}" in rebuilt.err
    site.drd("backup", "shop")
    for verb in ("retention", "prune"):
        refused = site.drd(verb, "shop", code=1)
        assert "cannot be read" in refused.err
        assert f"rm -f -- {site.repository}/snapshots/" in refused.err
    assert "retention is paused: 3 snapshots in primary cannot be read" in status(site)
    for what in (GARBAGE, EMPTY, oldest):
        (Path(site.repository) / "snapshots" / what).unlink()
    site.drd("retention", "shop")  # the healthy twin
    assert "cannot be read" not in status(site)


def test_garbage_hides_nothing_that_was_removed(site: Site) -> None:
    """A listing with something unreadable in it was believed to say nothing at all."""
    snapshots = Path(site.repository) / "snapshots"
    (snapshots / GARBAGE).write_bytes(b"garbage")
    site.drd("doctor", "shop")
    assert "no longer lists" not in status(site), "what cannot be read is not missing"
    (newest, _) = site.points()
    (snapshots / newest["components"][0]["snapshot"]).unlink()
    told = site.drd("doctor", "shop", code=None)
    assert f"no longer lists all snapshots of restore point {newest['point']}" in told.out
    assert "no longer lists all snapshots of 1 restore point" in status(site)


def status(site: Site) -> str:
    (plan,) = site.drd("status", "--json", code=None).json["plans"]
    return "\n".join(plan["reasons"])


def test_a_new_host_begins_with_what_is_sound(site: Site) -> None:
    spoil(site)
    machine = Machine(site.base / "root")
    password = machine.root.parent / "password"
    password.write_text(PASSWORD)
    told = machine.drd(
        "bootstrap", "--repository", site.repository, "--password-file", str(password),
        "--root", str(machine.root), "--accept-commands",
    )  # fmt: skip
    assert GARBAGE[:8] in told.err
    machine.after("recover", "shop", "--target", "standby", "--yes")


def test_garbage_under_object_lock_keeps_nothing_but_deleting_from_going_on(
    s3: S3Server, tmp_path: Path
) -> None:
    bucket = new_bucket(s3, object_lock=True)
    repository = founded(s3_repository(s3, tmp_path, url=s3.repository(bucket, "p")), s3)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("one")
    what = Tree((str(tree),), (), expected_bytes=3)
    repository.store(what, host="shop", tags=["drd"])
    s3.client().put_object(Bucket=bucket, Key=f"p/snapshots/{GARBAGE}", Body=b"garbage")
    stream = repository.store(shell("echo x"), host="shop", tags=["drd"]).snapshot
    second = repository.store(what, host="shop", tags=["drd"]).snapshot
    listing = repository.snapshots(fresh=True)
    assert {s.id for s in listing} >= {stream, second}
    assert set(listing.unreadable) == {GARBAGE}
    into = tmp_path / "into"
    into.mkdir()
    repository.restore(second, into)
    removal = repository.removal(GARBAGE)
    assert removal.endswith(f"s3 rm s3://{bucket}/p/snapshots/{GARBAGE}")
    with pytest.raises(RepositoryDamaged):
        holdings.whole(repository, listing)
    # What the hint says: a marker hides it from whoever lists, locked or not.
    s3.client().delete_object(Bucket=bucket, Key=f"p/snapshots/{GARBAGE}")
    assert not repository.snapshots(fresh=True).unreadable


def test_garbage_is_told_by_a_verification_and_costs_no_sound_point(site: Site) -> None:
    site.drd("drill", "shop")
    (Path(site.repository) / "snapshots" / GARBAGE).write_bytes(b"garbage")
    told = site.drd("verify", "shop", code=1)
    assert f"rm -f -- {site.repository}/snapshots/{GARBAGE}" in told.out + told.err
    assert "cannot come back whole" not in told.out + told.err
    (plan,) = site.drd("status", "--json", code=None).json["plans"]
    assert plan["verdict"] == "met", plan["reasons"]
    (Path(site.repository) / "snapshots" / GARBAGE).unlink()
    site.drd("verify", "shop")
