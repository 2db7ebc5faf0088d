"""One object below `snapshots/` that nobody can read stopped bootstrap, rebuild, recoveries from a
copy and backups of files: a flipped byte, or garbage that takes no password to write. A listing
gives what can be read and names the rest with the way to remove it; only what deletes refuses. What
lay among the keys, locks and indexes stopped everything: a key of somebody's is passed over, a lock
that nobody wrote is removed, an index is named."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.errors import ForeignObjects, RepositoryDamaged
from drd.flows.repository import listings
from drd.ports import Tree
from tests.e2e.copies import copied_site, offsite_of
from tests.e2e.kit_site import Machine
from tests.e2e.prepared import prepared
from tests.e2e.site import PASSWORD, Site, small_site
from tests.repository_support import (
    founded,
    held_lock,
    local_repository,
    new_bucket,
    s3_repository,
    shell,
)
from tests.servers import S3Server

GARBAGE = "a" * 64
EMPTY = "b" * 64


def backed_up_twice(base: Path) -> Site:
    site = small_site(base)
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    site.drd("backup", "shop")
    site.drd("backup", "shop")
    return site


@pytest.fixture
def site() -> Iterator[Site]:
    with prepared(backed_up_twice) as made:
        yield made


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
def test_everything_but_deleting_continues_beside_garbage(site: Site, cache: str) -> None:
    oldest = spoil(site)
    if cache == "cold":
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
    assert f"lacks snapshots of restore point {newest['point']}" in told.out
    assert "lacks snapshots of 1 restore point" in status(site)


@pytest.mark.parametrize("where", ["source", "copy"])
def test_garbage_stops_no_copy(short_tmp: Path, where: str) -> None:
    """Garbage in the copy was taken for points that the source does not hold."""
    site = copied_site(short_tmp)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    repository = offsite_of(site) if where == "copy" else Path(site.repository)
    (repository / "snapshots" / GARBAGE).write_bytes(b"garbage")
    site.drd("backup", "shop")
    told = site.drd("copy", "shop", "--json").json
    assert [c["state"] for c in told["copies"]] == ["succeeded"], told
    held = site.drd("points", "shop", "--json").json["points"]
    assert [len(p["repositories"]) for p in held] == [2, 2], held


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
        listings.require_readable(repository, listing)
    # What the hint says: a marker hides it from whoever lists, locked or not.
    s3.client().delete_object(Bucket=bucket, Key=f"p/snapshots/{GARBAGE}")
    assert not repository.snapshots(fresh=True).unreadable


def test_garbage_is_reported_by_a_verification_and_costs_no_sound_point(site: Site) -> None:
    site.drd("drill", "shop")
    (Path(site.repository) / "snapshots" / GARBAGE).write_bytes(b"garbage")
    told = site.drd("verify", "shop", code=1)
    assert f"rm -f -- {site.repository}/snapshots/{GARBAGE}" in told.out + told.err
    assert "cannot be restored completely" not in told.out + told.err
    (plan,) = site.drd("status", "--json", code=None).json["plans"]
    assert plan["verdict"] == "met", plan["reasons"]
    (Path(site.repository) / "snapshots" / GARBAGE).unlink()
    site.drd("verify", "shop")


# What lies among the keys, locks and indexes.


def keys_of(site: Site) -> Path:
    return Path(site.repository) / "keys"


def put(directory: Path, content: bytes, name: str = "") -> str:
    """As restic names what it stores, unless it gets a name."""
    name = name or hashlib.sha256(content).hexdigest()
    (directory / name).write_bytes(content)
    return name


def foreign_key(number: int, **changed: int) -> bytes:
    """As whoever has no password makes one."""
    told = {
        "created": "2026-01-01T00:00:00Z", "username": "root", "hostname": f"host-{number}",
        "kdf": "scrypt", "N": 1024, "r": 8, "p": 1,
        "salt": base64.b64encode(b"s" * 64).decode(), "data": base64.b64encode(b"d" * 160).decode(),
    }  # fmt: skip
    return json.dumps({**told, **changed}).encode()


def foreign_keys(directory: Path, count: int, **changed: int) -> list[str]:
    """Those that restic tries before the repository's own."""
    own = min(path.name for path in directory.iterdir())
    contents = (foreign_key(number, **changed) for number in range(1_000_000))
    first = (c for c in contents if hashlib.sha256(c).hexdigest() < max(own, "1"))
    made = [put(directory, content) for content in itertools.islice(first, count)]
    for name in made:  # also where the own one is the very first
        assert name < max(own, "1")
    return made


def among_keys(directory: Path, what: str) -> list[str]:
    if what == "many":
        return foreign_keys(directory, 25)
    if what == "costly":
        return foreign_keys(directory, 1, N=1 << 22)
    return [put(directory, first_garbage(), "0" * 64 if what == "misnamed" else "")]


def first_garbage() -> bytes:
    """Whose digest comes before that of any key, as good as always."""
    contents = (b"garbage %d" % number for number in itertools.count())
    return next(c for c in contents if hashlib.sha256(c).hexdigest().startswith("000"))


@pytest.mark.parametrize("what", ["many", "garbage", "misnamed", "costly"])
def test_garbage_beside_the_keys_stops_nothing(site: Site, what: str) -> None:
    names = among_keys(keys_of(site), what)
    shutil.rmtree(site.base / "cache")  # nothing is remembered of the time before
    begun = time.monotonic()
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    site.drd("recover", "shop", "--target", "standby", "--yes")
    site.drd("retention", "shop")
    site.drd("verify", "shop")
    assert time.monotonic() - begun < 120
    items = site.drd("doctor", "shop", "--json").json["items"]
    (told,) = [i for i in items if i["name"] == "repository primary: keys"]
    assert any(f"rm -f -- {keys_of(site)}/{name}" in told["hint"] for name in names)
    for name in names:
        (keys_of(site) / name).unlink()
    items = site.drd("doctor", "shop", "--json").json["items"]
    assert not [i for i in items if i["name"] == "repository primary: keys"], "the healthy twin"


@pytest.mark.parametrize("what", ["many", "garbage"])
def test_a_new_host_finds_the_key_that_its_password_opens(site: Site, what: str) -> None:
    among_keys(keys_of(site), what)
    machine = Machine(site.base / "root")
    password = machine.root.parent / "password"
    password.write_text(PASSWORD)
    machine.drd(
        "bootstrap", "--repository", site.repository, "--password-file", str(password),
        "--root", str(machine.root),
    )  # fmt: skip
    machine.after("recover", "shop", "--target", "standby", "--yes")


def test_a_wrong_password_is_a_wrong_password_beside_foreign_keys(site: Site) -> None:
    foreign_keys(keys_of(site), 3)
    site.secret("restic", "another")
    site.drd("backup", "shop", code=12)


@pytest.mark.parametrize("content", [b"garbage", b"g" * 300], ids=["short", "long"])
def test_garbage_among_the_indexes_is_named_with_its_removal(site: Site, content: bytes) -> None:
    name = put(Path(site.repository) / "index", content)
    removal = f"rm -f -- {site.repository}/index/{name}"
    for words in (("backup", "shop"), ("recover", "shop", "--target", "standby", "--yes")):
        told = site.drd(*words, code=1)
        assert removal in told.err
    told = site.drd("doctor", "shop", code=1)
    assert removal in told.out
    (Path(site.repository) / "index" / name).unlink()
    site.drd("backup", "shop")
    site.drd("doctor", "shop")


@pytest.mark.parametrize("content", [b"garbage", b"g" * 300], ids=["short", "long"])
def test_a_lock_that_nobody_with_the_key_wrote_is_removed(site: Site, content: bytes) -> None:
    locks = Path(site.repository) / "locks"
    name = put(locks, content)
    told = site.drd("doctor", "shop", code=1)
    assert f"rm -f -- {locks}/{name}" in told.out
    site.drd("backup", "shop")
    assert not (locks / name).exists()
    site.drd("doctor", "shop")


def test_a_lock_that_may_be_damaged_is_named_and_recoveries_go_on(site: Site) -> None:
    locks = Path(site.repository) / "locks"
    name = put(locks, b"g" * 300, "1" * 64)
    site.drd("recover", "shop", "--target", "standby", "--yes")
    told = site.drd("backup", "shop", code=1)
    assert f"rm -f -- {locks}/{name}" in told.err
    assert (locks / name).exists()
    an_hour_ago = time.time() - 3600
    os.utime(locks / name, (an_hour_ago, an_hour_ago))
    site.drd("backup", "shop")
    assert not (locks / name).exists(), "a stale one counts for nothing"


def test_a_lock_that_is_held_is_left_alone(tmp_path: Path) -> None:
    """The healthy twin: restic's own, which are there while it works."""
    repository = founded(local_repository(tmp_path))
    with held_lock(repository):
        held = repository.runner.session.place.locks()
        put(tmp_path / "repository/locks", b"garbage")
        repository.store(shell("echo x"), host="shop", tags=["drd"])
        assert repository.runner.session.place.locks() == held


def test_garbage_in_a_bucket_is_passed_over_or_named(s3: S3Server, tmp_path: Path) -> None:
    bucket = new_bucket(s3)
    url = s3.repository(bucket, "p")
    repository = founded(s3_repository(s3, tmp_path, url=url), s3)
    stored = repository.store(shell("echo x"), host="shop", tags=["drd"])

    def put_there(below: str, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        s3.client().put_object(Bucket=bucket, Key=f"p/{below}/{name}", Body=content)
        return name

    put_there("keys", first_garbage())
    put_there("keys", b"garbage of another sort")
    put_there("locks", b"garbage")
    fresh = s3_repository(s3, tmp_path / "fresh", url=url)
    into = tmp_path / "into"
    into.mkdir()
    fresh.restore(stored.snapshot, into)
    fresh.store(shell("echo y"), host="shop", tags=["drd"])
    name = put_there("index", b"garbage")
    with pytest.raises(ForeignObjects) as caught:
        fresh.store(shell("echo z"), host="shop", tags=["drd"])
    assert f"s3 rm s3://{bucket}/p/index/{name}" in caught.value.hint
