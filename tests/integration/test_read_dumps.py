"""A packed dump of another tool counts once a listing has read it to its end, one time."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drd.catalogue.summary import read_facts
from drd.cli.main import main
from drd.flows.host.doctor import examine
from drd.flows.repository import read_dumps
from drd.flows.repository.adopted import list_copies
from drd.flows.repository.read_dumps import BEFORE_A_CHOICE, IN_BACKGROUND, ReadingTime
from drd.flows.upkeep.listing import listing
from drd.model.adopted import copy_name
from drd.model.copy_names import READ, TO_READ
from drd.model.plan import Plan
from drd.model.snapshot import RestorePoint
from drd.ports.adopted import ReadToEnd
from drd.repositories.adopted import cut_off, packers
from drd.repositories.adopted.repository import AdoptedRepository
from drd.secrets import resolve
from tests.integration.test_adopt_bucket import Bucket, give_keys
from tests.integration.test_adopted import Site
from tests.servers import S3Server
from tests.unit.test_cut_off import zstd

PACK = {"gz": gzip.compress, "zst": zstd, "xz": lzma.compress, "bz2": bz2.compress}
SQL = b"-- PostgreSQL database dump\n" + b"".join(b"%d\tx\n" % n for n in range(20_000))
WHOLE = SQL + b"--\n-- PostgreSQL database dump complete\n--\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A host on which no packed dump is small enough to be read while it is looked at."""
    monkeypatch.setattr(packers, "SMALL", 0)
    monkeypatch.setattr(packers, "_SMALL_WITH_END", 0)
    made = Site(tmp_path)
    (tmp_path / "dumps/orders.db").unlink()
    yield made
    made.close()


def put(site: Site, name: str, data: bytes, *, days: float = 1.0) -> Path:
    """Write a dump that was finished some days ago."""
    path = site.base / "dumps" / name
    path.write_bytes(data)
    at = time.time() - days * 86400
    os.utime(path, (at, at))
    return path


def plan_of(site: Site, *, restore: str = "", listed: str = "", more: str = "") -> Plan:
    """A plan for packed SQL in the directory `dumps`."""
    listed = listed or (
        f"[/usr/bin/find, {site.base}/dumps, -type, f, -printf, "
        '\'{"name": "%f", "time": %T@, "bytes": %s}\\n\']'
    )
    restore = restore or f'[/bin/cat, "{site.base}/dumps/${{copy}}"]'
    (site.base / "plans/dumps.yaml").write_text(
        "plan: dumps\nobjectives: {rpo: 3d, rto: 1h}\ncomponents:\n"
        "  shop: {kind: command, restore: [sh, -c, 'cat > dump'], query: [echo, '1']}\n"
        "repositories:\n  theirs:\n    made_by: command\n    url: command:dumps\n"
        f"    command:\n      list: {listed}\n      restore: {restore}\n{more}"
    )
    return site.app.plans.load("dumps")


def points(site: Site, plan: Plan) -> dict[str, RestorePoint]:
    return {copy_name(p): p for p in site.points(plan)}


def complete(site: Site, plan: Plan) -> dict[str, bool]:
    return {name: p.complete for name, p in points(site, plan).items()}


def error(point: RestorePoint) -> str:
    return point.components[0].error or ""


def archive(cut: int | None = None) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as made:
        info = tarfile.TarInfo("etc/shop.conf")
        info.size = len(SQL)
        made.addfile(info, io.BytesIO(SQL))
    return gzip.compress(packed.getvalue()[:cut])


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list to which each reading of a dump is added from now on."""
    done: list[str] = []
    whole = AdoptedRepository.read_to_end

    def counted(self: AdoptedRepository, snapshot: str, *rest: Any) -> ReadToEnd:
        done.append(snapshot)
        return whole(self, snapshot, *rest)

    monkeypatch.setattr(AdoptedRepository, "read_to_end", counted)
    return done


@pytest.mark.parametrize("packer", PACK)
def test_a_packed_dump_in_a_directory_counts_once_it_was_read_to_its_end(
    site: Site, packer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = PACK[packer](WHOLE)
    put(site, f"whole.{packer}", packed, days=2)
    put(site, f"cut.{packer}", packed[: len(packed) // 2])
    put(site, f"stopped.{packer}", PACK[packer](SQL))
    plan = plan_of(site)
    done = reads(monkeypatch)
    listing(site.services(plan), plan)
    assert complete(site, plan) == {
        f"whole.{packer}": True, f"cut.{packer}": False, f"stopped.{packer}": False
    }  # fmt: skip
    of = points(site, plan)
    assert "writes is missing" in error(of[f"cut.{packer}"])
    assert "'database dump complete', which is missing" in error(of[f"stopped.{packer}"])
    assert of[f"whole.{packer}"].components[0].facts[TO_READ] == READ
    [facts] = [f for f in read_facts(site.app.settings.state_url) if f.plan == "dumps"]
    assert facts.newest is not None
    assert facts.newest.id == of[f"whole.{packer}"].id, "the exposure counts from the whole one"
    read = len(done)
    listing(site.services(plan), plan)
    list_copies(site.services(plan), plan)
    assert len(done) == read, "the answer is noted with the point"


def test_a_damaged_dump_and_an_archive_that_stopped_do_not_count(site: Site) -> None:
    packed = bytearray(gzip.compress(WHOLE))
    packed[len(packed) // 2 :] = os.urandom(len(packed) - len(packed) // 2)
    put(site, "damaged.gz", bytes(packed))
    put(site, "stopped.tar.gz", archive(len(SQL) // 2))
    put(site, "whole.tar.gz", archive())
    plan = plan_of(site)
    listing(site.services(plan), plan)
    assert complete(site, plan) == {
        "damaged.gz": False, "stopped.tar.gz": False, "whole.tar.gz": True
    }  # fmt: skip
    assert "gzip cannot unpack it" in error(points(site, plan)["damaged.gz"])
    assert "lacks the empty blocks at its end" in error(points(site, plan)["stopped.tar.gz"])


def test_an_archive_from_which_tar_takes_what_lands_does_not_count_if_it_is_cut(site: Site) -> None:
    whole = gzip.decompress(archive())
    put(site, "whole.tar", whole)
    put(site, "cut.tar", whole[: len(whole) // 2])
    put(site, "cut.tar.gz", archive()[:-100])
    put(site, "other", os.urandom(len(whole)))
    plan = plan_of(
        site, restore=f'[/bin/tar, -x, --to-stdout, "--file={site.base}/dumps/${{copy}}"]'
    )
    listing(site.services(plan), plan)
    assert complete(site, plan) == {
        "whole.tar": True, "cut.tar": False, "cut.tar.gz": False, "other": True
    }  # fmt: skip
    assert "lacks the empty blocks at its end" in error(points(site, plan)["cut.tar"])


def test_a_dump_that_is_still_being_written_is_no_point_until_it_is_finished(site: Site) -> None:
    growing = put(site, "new.gz", gzip.compress(WHOLE)[:-400], days=0)
    plan = plan_of(site)
    seen = listing(site.services(plan), plan)
    assert site.points(plan) == []
    assert list(seen.unreadable.values()) == ["new.gz is still being written"]
    growing.write_bytes(gzip.compress(WHOLE))
    at = time.time() - 70
    os.utime(growing, (at, at))
    listing(site.services(plan), plan)
    assert complete(site, plan) == {"new.gz": True}


def test_a_dump_that_changes_while_it_is_read_is_no_point(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(site, "new.gz", gzip.compress(WHOLE))
    read = cut_off.read_to_its_end

    def changed(*asked: Any) -> str | None:
        seen = read(*asked)
        os.utime(path, (1, 1))
        return seen

    monkeypatch.setattr(cut_off, "read_to_its_end", changed)
    plan = plan_of(site)
    listing(site.services(plan), plan)
    assert site.points(plan) == []


def test_the_newest_dumps_are_read_first_and_the_others_by_later_listings(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in (1, 2, 3):
        put(site, f"shop-{day}.gz", gzip.compress(WHOLE), days=day / 2)
    plan = plan_of(site)
    before = list_copies(site.services(plan), plan, BEFORE_A_CHOICE)
    assert len(before.added) == 3
    assert complete(site, plan) == {"shop-1.gz": True, "shop-2.gz": False, "shop-3.gz": False}
    assert error(points(site, plan)["shop-2.gz"]) == (
        "drd has not read the dump to its end: drd does that at one of the next listings"
    )
    capsys.readouterr()
    assert main(["--config", str(site.base / "drd.yaml"), "points", "dumps"]) == 0
    assert capsys.readouterr().out.count("incomplete: not read to its end: shop") == 2
    list_copies(site.services(plan), plan, ReadingTime(-1.0, 5.0))
    assert sum(complete(site, plan).values()) == 1
    list_copies(site.services(plan), plan, IN_BACKGROUND)
    assert sum(complete(site, plan).values()) == 3


def test_a_dump_that_takes_too_long_is_left_to_a_drill_which_makes_it_count(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(site, "shop.gz", gzip.compress(WHOLE))
    plan = plan_of(site)
    list_copies(site.services(plan), plan, ReadingTime(5.0, -1.0))
    [point] = site.points(plan)
    assert not point.complete
    assert "takes longer than" in error(point)
    assert (point.components[0].remedy or "").startswith("drill this point")
    done = reads(monkeypatch)
    listing(site.services(plan), plan)
    assert (done, complete(site, plan)) == ([], {"shop.gz": False}), "it was tried"
    found = examine(site.services(plan), plan, resolve)
    assert any(
        f.severity == "warning" and "does not count as a restore point" in f.text for f in found
    )
    drilled = site.drilled(plan).evidence
    assert (drilled.point, drilled.result) == (point.id, "inconclusive"), "it has no check"
    assert complete(site, plan) == {"shop.gz": True}
    listing(site.services(plan), plan)
    assert (done, complete(site, plan)) == ([], {"shop.gz": True})


def test_a_cut_packed_dump_in_restic_does_not_count(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_dumps, "_TELL", 1)
    dump = site.base / "dumps/shop.sql.zst"
    text = (
        f"plan: shop\nobjectives: {{rpo: 3d, rto: 1h}}\ncomponents:\n"
        f"  shop: {{kind: command, copied_as: {dump}, restore: [cat], query: [echo, '1']}}\n"
        f"repositories:\n  theirs:\n    made_by: restic\n    url: {site.base}/theirs\n"
        f"    password: {{file: {site.base}/password}}\n"
    )
    (site.base / "plans/shop.yaml").write_text(text)
    plan = site.app.plans.load("shop")
    noise = SQL + os.urandom(3 << 20) + b"--\n-- PostgreSQL database dump complete\n--\n"
    for data in (zstd(noise), zstd(noise)[: 2 << 20]):
        dump.write_bytes(data)
        site.copy("dumps")
    notes: list[str] = []
    services = site.services(plan)
    object.__setattr__(services, "note", notes.append)
    listing(services, plan)
    assert [p.complete for p in site.points(plan)] == [False, True]
    assert "the end that zstd writes is missing" in error(site.points(plan)[0])
    assert notes[0].startswith("drd reads 2 packed dumps (")
    assert site.drilled(plan).evidence.point == site.points(plan)[1].id


def test_a_packed_dump_in_a_bucket_counts_up_to_a_size_once_it_was_read(
    site: Site, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(s3)
    noise = SQL + os.urandom(2 << 20) + b"--\n-- PostgreSQL database dump complete\n--\n"
    bucket.put("shop-1.gz", gzip.compress(noise))
    bucket.put("shop-2.zst", zstd(noise)[:-100])
    bucket.put("shop-3.gz", gzip.compress(noise * 2))
    place = f':s3,provider=Other,endpoint="{s3.endpoint}",list_url_encode=true:{bucket.name}'
    give_keys_of = (
        "      env: {RCLONE_S3_ACCESS_KEY_ID: {credential: dumps-s3-id}, "
        "RCLONE_S3_SECRET_ACCESS_KEY: {credential: dumps-s3-key}}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    give_keys(site, s3, monkeypatch, "dumps")
    listed = (
        '[bash, -c, \'rclone lsjson --config= --files-only "$0" | jq -c ".[] | '
        f"{{name: .Path, time: .ModTime, bytes: .Size}}\"', '{place}']"
    )
    restore = f"[rclone, cat, --config=, '{place}/${{copy}}']"
    plan = plan_of(
        site, restore=restore, listed=listed, more=f"{give_keys_of}    read_up_to: 3MiB\n"
    )
    listing(site.services(plan), plan)
    assert complete(site, plan) == {"shop-1.gz": True, "shop-2.zst": False, "shop-3.gz": False}
    of = points(site, plan)
    assert error(of["shop-2.zst"]) == "the dump is cut off: the end that zstd writes is missing"
    assert error(of["shop-3.gz"]).endswith("it is larger than `read_up_to` (3.0 MiB)")
    plan = plan_of(
        site, restore=restore, listed=listed, more=f"{give_keys_of}    read_up_to: 5MiB\n"
    )
    listing(site.services(plan), plan)
    assert complete(site, plan)["shop-3.gz"] is True
