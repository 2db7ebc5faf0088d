"""A password file that was overwritten: when, and where the former password is."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path

from drd.model.units import format_time
from tests.e2e.site import PASSWORD, Site, small_site


def test_a_changed_password_file_is_reported_with_its_time_and_the_kit_that_has_the_former_one(
    short_tmp: Path,
) -> None:
    site = small_site(short_tmp)
    secret, passphrase = site.base / "secrets/restic", site.base / "passphrase"
    passphrase.write_text("a long passphrase of eight words\n")
    passphrase.chmod(0o600)
    before = time.time() - 3600
    os.utime(secret, (before, before))
    site.drd("backup", "shop")
    kit = ("--to", f"{site.base}/shop.kit", "--passphrase-file", str(passphrase))
    site.drd("kit", "export", "shop", *kit)
    [point] = site.points()
    secret.write_text("another one\n")
    later = time.time() + 60
    os.utime(secret, (later, later))
    told = " ".join(site.drd("backup", "shop", code=12).err.split())
    at = format_time(datetime.fromtimestamp(later, UTC))
    changed = f"{secret} was changed at {at}, after the last backup with the former text ("
    assert f"does not open the repository at {site.repository}. {changed}" in told
    assert re.search(r"; the recovery kit of [-0-9]+ [0-9:]+ UTC has the former password", told)
    assert f"HINT: write the former password into {secret} again. To change the password" in told
    assert "drd repository rekey shop" in told
    plan = site.drd("status", "shop", "--json", code=None).json["plans"][0]
    assert any(changed in remark["text"] for remark in plan["remarks"])
    items = site.drd("doctor", "shop", "--json", code=None).json["items"]
    [key] = [i["detail"] for i in items if i["name"] == "repository primary: key"]
    assert changed in key
    secret.write_text(f"{PASSWORD}\n")
    os.utime(secret, (before, before))
    site.drd("backup", "shop")
    assert [p["point"] for p in site.points()][-1] == point["point"]


def test_a_password_file_that_is_older_than_the_last_backup_was_not_changed(
    stored: Site,
) -> None:
    secret = stored.base / "secrets/restic"
    stamp = secret.stat().st_mtime - 3600
    secret.write_text("another one\n")
    os.utime(secret, (stamp, stamp))
    assert "was changed at" not in stored.drd("backup", "shop", code=12).err
