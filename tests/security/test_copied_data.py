"""Attack: somebody with the password of a copy exchanges the data of a restore point that this host
made.

A copied snapshot has an id of its own there, and is found by the name of the one that it was copied
from, which its writer says. What a snapshot holds has the same id everywhere: this is noted when a
point is copied, and a copy that holds something else is not used. Nor does it count: it was copied
never again, verifications were content with it, and with the primary gone nothing was said to stand
in the way.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from Crypto.Cipher import AES
from Crypto.Hash import Poly1305

from tests.e2e.copies import OFFSITE_PASSWORD, copied_site, listed, offsite_of
from tests.e2e.prepared import prepared
from tests.e2e.site import Site


def test_copy_that_holds_something_else_is_not_used(short_tmp: Path) -> None:
    """Whoever has the copy's password says there whose copy a snapshot is."""
    site = copied_site(short_tmp)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    recover = ("recover", "shop", "--target", "standby", "--repository", "offsite", "--yes")
    site.drd(*recover, "--overwrite")
    assert (site.base / "back/shop.db").is_file(), "the healthy twin"

    (point,) = site.points()
    first = next(c["snapshot"] for c in point["components"] if c["component"] == "db")
    (site.base / "evil.db").write_bytes(b"evil")
    restic(
        site, "backup", "--host", "evil", "--stdin-filename", "db.sqlite", "--stdin", given=b"evil"
    )
    exchange(site, first)
    told = site.drd(*recover, "--overwrite", code=None)
    assert told.code != 0
    assert "holds content that drd did not store" in told.err
    assert (site.base / "back/shop.db").read_bytes() != b"evil"


def copied(base: Path) -> Site:
    site = copied_site(base)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    return site


@pytest.fixture
def site() -> Iterator[Site]:
    with prepared(copied) as made:
        yield made


RECOVER = ("recover", "shop", "--target", "standby", "--yes", "--overwrite")
WHAT = pytest.mark.parametrize("what", ["db", "manifest"])


def forge(site: Site, what: str) -> str:
    """Exchange the copy of a component, or of the manifest; the id of the point."""
    (point,) = site.points()
    first = {c["component"]: c["snapshot"] for c in point["components"]}
    ((manifest,),) = site.catalogue(
        "select manifest from point_repositories where repository = 'primary'"
    )
    restic(
        site, "backup", "--host", "evil", "--stdin-filename", "db.sqlite", "--stdin", given=b"evil"
    )
    exchange(site, {**first, "manifest": manifest}[what])
    return str(point["point"])


def reasons(site: Site) -> str:
    (plan,) = site.drd("status", "--json", code=None).json["plans"]
    return "\n".join(plan["reasons"])


def counts(site: Site) -> bool:
    """Whether the copy is said to hold the point."""
    (point,) = site.points()
    return "offsite" in point["repositories"] and "offsite" not in point["torn"]


@WHAT
def test_exchanged_data_is_copied_again(site: Site, what: str) -> None:
    assert "nothing to copy" in site.drd("copy", "shop").out, "the healthy twin"
    forge(site, what)
    told = site.drd("copy", "shop")
    assert "1 restore point copied" in told.out
    assert told.err.count("holds content that drd did not store") == 1
    (removal,) = re.findall(r"rm -f -- (\S+)", told.err)
    assert counts(site)
    assert "nothing to copy" in site.drd("copy", "shop").out
    site.drd("verify", "shop", "--repository", "offsite")
    site.drd(*RECOVER, "--repository", "offsite")
    assert (site.base / "back/shop.db").read_bytes() != b"evil"
    Path(removal).unlink()
    assert "content that drd did not store" not in site.drd("copy", "shop").err
    site.drd("verify", "shop", "--repository", "offsite")


@WHAT
def test_a_verification_reports_exchanged_data(site: Site, what: str) -> None:
    site.drd("verify", "shop", "--repository", "offsite")  # the healthy twin
    point = forge(site, what)
    told = site.drd("verify", "shop", "--repository", "offsite", code=1)
    assert "holds content that drd did not store" in told.err
    assert f"lacks snapshots of restore point {point}" in told.out + told.err
    assert "`drd copy shop --repository offsite` copies these points again" in told.out + told.err
    assert not counts(site)
    if (
        what == "db"
    ):  # without its manifest the point is none there, and nothing is left to be missing
        assert "offsite lacks snapshots of 1 restore point" in reasons(site)
        assert f"restore point {point}" in site.drd("doctor", "shop", code=1).out
    site.drd("copy", "shop")
    assert counts(site)
    assert "no longer lists" not in reasons(site)
    site.drd("doctor", "shop")


@WHAT
def test_exchanged_data_does_not_count_without_the_primary(site: Site, what: str) -> None:
    away = Path(site.repository).with_name("away")
    Path(site.repository).rename(away)
    assert "nothing prevents the recovery" in site.drd(*RECOVER, "--dry-run").out, (
        "the healthy twin"
    )
    away.rename(site.repository)
    forge(site, what)
    Path(site.repository).rename(away)
    told = site.drd(*RECOVER, "--dry-run", code=None)
    assert told.code != 0
    assert "nothing prevents the recovery" not in told.out
    assert "holds content that drd did not store" in told.err
    assert "everything would be lost" in reasons(site)


def test_snapshots_planted_before_the_copy_do_not_count(short_tmp: Path) -> None:
    site = copied_site(short_tmp)
    site.drd("backup", "shop")
    for snapshot in json.loads(site.restic("snapshots", "--json", "--host", "shop")):
        plant(site, snapshot)
    told = site.drd("copy", "shop")
    assert "1 restore point copied" in told.out
    site.drd(*RECOVER, "--repository", "offsite")
    assert (site.base / "back/shop.db").read_bytes() != b"evil"


def plant(site: Site, snapshot: dict[str, Any]) -> None:
    """A snapshot of evil in the copy that says to be one of that."""
    restic(
        site, "backup", "--host", "evil", "--stdin-filename", "db.sqlite", "--stdin", given=b"evil"
    )
    listed = json.loads(restic(site, "snapshots", "--json"))
    evil = next(s for s in listed if s["hostname"] == "evil")
    said = {k: v for k, v in snapshot.items() if k not in ("id", "short_id")}
    restic(site, "forget", evil["id"])
    write(site, {**said, "tree": evil["tree"], "original": snapshot["id"]})


def test_copies_of_an_older_drd_are_judged_from_the_next_copy_on(site: Site) -> None:
    """Which noted nothing of what snapshots hold."""
    with closing(sqlite3.connect(site.base / "state/drd.db")) as connection, connection:
        ((known,),) = connection.execute("select snapshots from seals").fetchall()
        plain = {k: v for k, v in json.loads(known).items() if not k.endswith(":tree")}
        connection.execute("update seals set snapshots = ?", (json.dumps(plain),))
    forge(site, "db")
    site.drd("verify", "shop", "--repository", "offsite")
    assert counts(site), "nobody can tell"
    assert "1 restore point copied" in site.drd("copy", "shop").out


def test_forgetting_a_point_removes_all_snapshots_with_its_mark(site: Site) -> None:
    forge(site, "db")
    site.drd("copy", "shop")
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    site.drd("retention", "shop")
    (point,) = site.points()
    left = [s for s in listed(site) if "component:drd" not in s["tags"]]
    assert all(f"run:{point['point']}" in s["tags"] for s in left)


def restic(site: Site, *words: str, given: bytes = b"") -> bytes:
    environment = {**os.environ, "RESTIC_PASSWORD": OFFSITE_PASSWORD}
    return subprocess.run(
        ["restic", "-r", str(offsite_of(site)), "--no-cache", *words],
        input=given, env=environment, check=True, capture_output=True,
    ).stdout  # fmt: skip


def exchange(site: Site, first: str) -> None:
    """The copy of that snapshot is replaced by one with the same words and the tree of host
    `evil`."""
    listed = json.loads(restic(site, "snapshots", "--json"))
    genuine = next(s for s in listed if s.get("original") == first)
    evil = next(s for s in listed if s["hostname"] == "evil")
    said = {k: v for k, v in genuine.items() if k not in ("id", "short_id")}
    restic(site, "forget", genuine["id"], evil["id"])
    write(site, {**said, "tree": evil["tree"]})


def write(site: Site, snapshot: dict[str, Any]) -> None:
    """Store a snapshot as restic does."""
    master = json.loads(restic(site, "cat", "masterkey"))
    encrypt = base64.b64decode(master["encrypt"])
    mac = b"".join(base64.b64decode(master["mac"][part]) for part in ("k", "r"))
    iv = os.urandom(16)
    cipher = AES.new(encrypt, AES.MODE_CTR, nonce=b"", initial_value=iv)
    text = cipher.encrypt(json.dumps(snapshot).encode())
    digest = Poly1305.new(key=mac, cipher=AES, nonce=iv, data=text).digest()
    stored = iv + text + digest
    (offsite_of(site) / "snapshots" / hashlib.sha256(stored).hexdigest()).write_bytes(stored)
