"""The dry run of a recovery said that nothing stands in the way of a point, and doctor that all is
fine, while `drd verify` had found what that point needs damaged. Both say what is known, and what
would do instead; a healthy repository, and another point, are as they were."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from drd.errors import Repair
from drd.model.repair import repair_ways
from drd.repositories.restic.errors import repair_of
from tests.e2e.copies import OFFSITE_PASSWORD, copied_site, flip_a_byte, offsite_of, some_bytes
from tests.e2e.site import Site, small_site

DRY = ("recover", "shop", "--target", "standby", "--dry-run")


def damage_every_pack(repository: str) -> None:
    for pack in Path(repository, "data").rglob("*"):
        if pack.is_file():
            content = bytearray(pack.read_bytes())
            content[len(content) // 2] ^= 0xFF
            pack.chmod(0o600)
            pack.write_bytes(content)


def with_much_data(site: Site) -> Site:
    """So that the biggest pack is the service's."""
    (site.base / "etc/noise").write_bytes(os.urandom(400_000))
    return site


def biggest_pack(repository: str) -> Path:
    packs = (p for p in Path(repository, "data").rglob("*") if p.is_file())
    return max(packs, key=lambda p: p.stat().st_size)


def test_dry_run_and_doctor_name_damage_that_a_reading_has_found(stored: Site) -> None:
    assert "nothing prevents the recovery" in stored.drd(*DRY).out
    damage_every_pack(stored.repository)
    stored.drd("verify", "shop", code=1)
    (point,) = (p["point"] for p in stored.points())

    told = stored.drd(*DRY, code=1)
    assert f"restore point {point} perhaps cannot be restored completely from primary: " in told.err
    assert "nothing prevents the recovery" not in told.out
    assert "drd does not know another restore point that is complete" in told.err
    parts = stored.drd(*DRY, "--component", "db", "--component", "conf")
    assert "be restored completely" in parts.err, "what is left can be had, with a warning"

    items = stored.drd("doctor", "shop", "--json", code=1).json["items"]
    (bad,) = (i for i in items if not i["ok"])
    assert bad["name"] == "repository primary: known state"
    assert "is damaged" in bad["detail"]
    assert "drd verify shop --repository primary" in bad["hint"]


def test_dry_run_names_the_repository_that_would_do(short_tmp: Path) -> None:
    site = copied_site(short_tmp)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    (first,) = (p["point"] for p in site.points())
    damage_every_pack(site.repository)
    site.drd("verify", "shop", "--repository", "primary", code=1)
    fine = site.drd(*DRY)
    assert f"restore point {first} perhaps cannot be restored completely from primary" in fine.err
    assert "drd reads the missing parts from repository offsite" in fine.err
    assert "--repository offsite" in site.drd(*DRY, "--repository", "primary", code=1).err


def test_doctor_names_a_repository_that_is_gone_with_the_way_out(short_tmp: Path) -> None:
    site = copied_site(short_tmp)
    site.drd("backup", "shop")
    shutil.rmtree(site.repository)
    items = site.drd("doctor", "shop", "--json", code=1).json["items"]
    bad = [i for i in items if not i["ok"]]
    assert [i["name"].startswith("repository primary") for i in bad] == [True]
    assert "drd verify shop --repository primary" in bad[0]["hint"]


def test_doctor_names_no_repository_as_the_way_out_that_is_gone_itself(short_tmp: Path) -> None:
    site = copied_site(short_tmp)
    site.drd("backup", "shop")
    site.drd("copy", "shop")

    def hints() -> str:
        items = site.drd("doctor", "shop", "--json", code=1).json["items"]
        return "\n".join(i["hint"] for i in items if not i["ok"])

    shutil.rmtree(site.repository)
    assert "drd recover shop --target standby --repository offsite" in hints()
    shutil.rmtree(offsite_of(site))
    site.drd("verify", "shop", "--repository", "offsite", code=10)
    told = hints()
    assert "drd verify shop --repository offsite" in told
    assert "drd recover" not in told


def test_lost_repository_is_not_where_a_point_is_said_to_come_from(short_tmp: Path) -> None:
    site = copied_site(short_tmp)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    assert "primary, else offsite" in site.drd(*DRY).out
    assert "primary" not in site.drd("points", "shop").out
    away = f"{site.repository}.away"
    shutil.move(site.repository, away)
    site.drd("verify", "shop", "--repository", "primary", code=10)
    dry = site.drd(*DRY, "--json").json
    assert dry["repositories"] == ["offsite"]
    assert any("primary is gone" in note for note in dry["notes"])
    assert "primary is gone" in site.drd("points", "shop").out
    shutil.move(away, site.repository)
    site.drd("verify", "shop", "--repository", "primary")
    assert "primary, else offsite" in site.drd(*DRY).out
    assert "primary" not in site.drd("points", "shop").out


def test_data_missing_from_the_index_damages_its_points(
    short_tmp: Path,
) -> None:
    """After `restic repair index` no file is damaged any more, and the data is as gone as
    before."""
    site = with_much_data(small_site(short_tmp))
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    biggest_pack(site.repository).unlink()
    (point,) = (p["point"] for p in site.points())
    site.restic("repair", "index")
    told = site.drd("verify", "shop", code=1)
    assert f"Restore point {point} cannot be restored completely from this repository" in told.err
    (plan,) = site.drd("status", "--json", code=3).json["plans"]
    assert (plan["verdict"], plan["rpo"]["loses_everything"]) == ("breached", True)
    assert f"restore point {point} cannot be restored completely" in site.drd(*DRY, code=1).err
    site.drd("backup", "shop", code=None)  # stores again what the index does not name
    site.drd("verify", "shop", code=None)
    newest = site.points()[0]["point"]
    assert newest != point
    assert "nothing prevents the recovery" in site.drd(*DRY, "--point", newest).out, (
        "the healthy twin"
    )


def test_giving_up_in_one_repository_keeps_copies_in_another(short_tmp: Path) -> None:
    site = with_much_data(copied_site(short_tmp))
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    (point,) = (p["point"] for p in site.points())
    biggest_pack(site.repository).unlink()
    verified = site.drd("verify", "shop", "--repository", "primary", code=1)
    paused = site.drd("retention", "shop", "--dry-run")
    command = f"drd points forget {point} --repository primary --reason"
    assert command in verified.err
    assert command in paused.out
    refused = site.drd("points", "forget", point, "--reason", "damaged", code=2)
    assert (
        f"drd does not forget restore point {point}, because it is complete in offsite"
        in refused.err
    )
    site.drd("points", "forget", point, "--repository", "offsite", "--reason", "x", code=2)
    site.drd("points", "forget", point, "--repository", "primary", "--reason", "damaged")
    (left,) = site.points()
    assert left["repositories"] == ["offsite"]
    site.drd("points", "forget", point, "--reason", "not wanted", "--force")
    assert site.points() == []


def offsite_data(site: Site) -> str | None:
    """The data time of the newest point that the copy can give."""
    (plan,) = site.drd("status", "--json", code=None).json["plans"]
    found: str | None = plan["repositories"][1]["data_time"]
    return found


def test_points_copied_into_a_damaged_copy_do_not_count_before_they_were_read(
    short_tmp: Path,
) -> None:
    """restic copies nothing that the index there has, so that a new point built on the damage; and
    the copy run said nothing."""
    site = copied_site(short_tmp)
    (short_tmp / "etc/data").write_bytes(some_bytes(600_000))
    before = None
    for _ in range(2):
        site.drd("backup", "shop")
        assert "damaged" not in site.drd("copy", "shop").err
        assert offsite_data(site) not in (None, before), "what a sound copy gets counts"
        before = offsite_data(site)

    whole = short_tmp / "whole"
    shutil.copytree(offsite_of(site), whole)
    site.drd("backup", "shop")
    newest = site.points()[0]["data_time"]
    flip_a_byte(offsite_of(site))
    hint = site.drd("verify", "shop", "--repository", "offsite", code=1).err
    assert "drd copy shop --repository offsite" in hint, "a backup stores nothing there"
    assert "drd backup" not in hint
    assert offsite_data(site) is None
    told = site.drd("copy", "shop", code=None)
    assert "offsite is damaged" in told.err
    assert "drd verify shop --repository offsite" in told.err
    assert offsite_data(site) is None, "the new one needs the same data"

    shutil.rmtree(offsite_of(site))
    shutil.move(whole, offsite_of(site))
    site.drd("copy", "shop", code=None)
    site.drd("verify", "shop", "--repository", "offsite")
    assert offsite_data(site) == newest, "whole again, as a reading has found"
    assert "damaged" not in site.drd("copy", "shop").err


def test_remedy_for_a_lost_pack_of_a_copy_works_as_it_is_printed(short_tmp: Path) -> None:
    site = with_much_data(copied_site(short_tmp))
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    (point,) = (p["point"] for p in site.points())
    biggest_pack(str(offsite_of(site))).unlink()
    told = site.drd("verify", "shop", "--repository", "offsite", code=1).err
    forget = f"drd points forget {point} --repository offsite --reason"
    assert "repair the repository with `restic repair index`" in told
    assert told.index("repair index") < told.index(forget) < told.index("drd copy shop")
    offsite = {
        **os.environ,
        "RESTIC_REPOSITORY": str(offsite_of(site)),
        "RESTIC_PASSWORD": OFFSITE_PASSWORD,
        "RESTIC_CACHE_DIR": str(site.base / "other-cache"),
    }
    subprocess.run(["restic", "repair", "index"], env=offsite, check=True, capture_output=True)
    site.drd("points", "forget", point, "--repository", "offsite", "--reason", "its data is gone")
    site.drd("copy", "shop", "--repository", "offsite")
    site.drd("verify", "shop", "--repository", "offsite")
    (left,) = site.points()
    assert set(left["repositories"]) == {"primary", "offsite"}


@pytest.mark.parametrize(
    ("repair", "first"),
    [
        (repair_of("pack 80c8b439: does not exist"), "`restic repair index`"),
        (repair_of("pack 80c8b439 contains 2 errors"), "`restic repair packs`"),
        ("none", "`drd backup shop`"),
    ],
)
def test_the_printed_repair_begins_with_what_can_work(repair: Repair, first: str) -> None:
    lines = repair_ways("shop", "primary", repair, ["p1"], [], is_copy=False)
    assert lines[0].startswith(f"repair the repository with {first}")
