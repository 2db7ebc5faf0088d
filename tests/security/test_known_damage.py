"""The dry run of a recovery said that nothing stands in the way of a point, and doctor that all is
fine, while `drd verify` had found what that point needs damaged. Both say what is known, and what would
do instead; a healthy repository, and another point, are as they were."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.copies import copied_site
from tests.e2e.site import small_site

DRY = ("recover", "shop", "--target", "standby", "--dry-run")


def damage_every_pack(repository: str) -> None:
    for pack in Path(repository, "data").rglob("*"):
        if pack.is_file():
            content = bytearray(pack.read_bytes())
            content[len(content) // 2] ^= 0xFF
            pack.chmod(0o600)
            pack.write_bytes(content)


def test_dry_run_and_doctor_name_damage_that_a_reading_has_found(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    site.drd("backup", "shop")
    assert "nothing stands in the way" in site.drd(*DRY).out
    damage_every_pack(site.repository)
    site.drd("verify", "shop", code=1)
    (point,) = (p["point"] for p in site.points())

    told = site.drd(*DRY, code=1)
    assert f"restore point {point} may not come back whole from primary: " in told.err
    assert "nothing stands in the way" not in told.out
    assert "no other restore point is known to be whole" in told.err
    parts = site.drd(*DRY, "--component", "db", "--component", "conf")
    assert "come back whole" in parts.err, "what is left can be had, with a warning"

    items = site.drd("doctor", "shop", "--json", code=1).json["items"]
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
    assert f"restore point {first} may not come back whole from primary" in fine.err
    assert "comes from offsite" in fine.err
    assert "--repository offsite" in site.drd(*DRY, "--repository", "primary", code=1).err


def test_doctor_names_a_repository_that_is_gone_with_the_way_out(short_tmp: Path) -> None:
    site = copied_site(short_tmp)
    site.drd("backup", "shop")
    shutil.rmtree(site.repository)
    items = site.drd("doctor", "shop", "--json", code=1).json["items"]
    bad = [i for i in items if not i["ok"]]
    assert [i["name"].startswith("repository primary") for i in bad] == [True]
    assert "drd verify shop --repository primary" in bad[0]["hint"]
