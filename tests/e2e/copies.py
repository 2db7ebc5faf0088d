"""Sites whose plan has a second repository, and what tests do to repositories."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

from tests import light_repository
from tests.e2e.site import PASSWORD, SMALL, Site, make_sqlite, make_tree

OFFSITE_PASSWORD = "another password for elsewhere"


def copied_site(
    base: Path, body: str = SMALL, *, rpo: str = "15m", name: str = "shop", new: bool = False
) -> Site:
    """A SQLite database and a configuration tree in a directory, with a copy in another one;
    `new`: the copy is for drd to make."""
    site = Site(base)
    make_sqlite(base / "shop.db")
    make_tree(base / "etc")
    (base / "back").mkdir()
    offsite_of(site).parent.mkdir()
    if not new:
        light_repository.begin(offsite_of(site), OFFSITE_PASSWORD)
    write_plan(site, body, rpo=rpo, name=name)
    return site


def write_plan(
    site: Site, body: str = SMALL, *, rpo: str = "15m", more: str = "", name: str = "shop"
) -> None:
    password = site.secret("offsite", OFFSITE_PASSWORD)
    offsite = f"  offsite:\n    url: {offsite_of(site)}\n    password: {password}\n"
    site.plan(
        body.format(base=site.base) + more, s3=f"{offsite}    copy_of: primary", rpo=rpo, name=name
    )


def offsite_of(site: Site) -> Path:
    return site.base / "elsewhere/offsite"


def listed(site: Site, *words: str) -> list[dict[str, Any]]:
    """The snapshots of the copy, by restic itself."""
    done = subprocess.run(
        ["restic", "-r", offsite_of(site), "--no-cache", "snapshots", "--json", *words],
        capture_output=True,
        env={**os.environ, "RESTIC_PASSWORD": OFFSITE_PASSWORD},
        check=True,
    )
    return list(json.loads(done.stdout))


def manifests(site: Site) -> set[str]:
    """The restore points that the copy holds, by restic itself."""
    tags = [t for s in listed(site, "--tag", "manifest") for t in s["tags"]]
    return {t.removeprefix("run:") for t in tags if t.startswith("run:")}


def assert_clean(site: Site) -> None:
    site.assert_clean()
    locks = offsite_of(site) / "locks"
    assert not locks.is_dir() or not list(locks.iterdir()), "a lock was left in the copy"


def lose_catalogue(site: Site) -> None:
    for file in (site.base / "state").glob("drd.db*"):
        file.unlink()


def flip_a_byte(repository: Path) -> str:
    """In the middle of the largest pack, which has data of a component; its name."""
    packs = [p for p in (repository / "data").rglob("*") if p.is_file()]
    pack = max(packs, key=lambda p: p.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0xFF
    pack.chmod(0o600)
    pack.write_bytes(content)
    return pack.name


def mend(site: Site, pack: str, repository: Path | None = None, password: str = PASSWORD) -> None:
    """As docs/copies.md says; the primary, unless another one is given."""
    subprocess.run(
        ["restic", "-r", repository or site.repository, "--no-cache", "repair", "packs", pack],
        capture_output=True,
        env={**os.environ, "RESTIC_PASSWORD": password},
        cwd=site.base,  # where restic leaves the damaged file
        check=True,
    )


def some_bytes(size: int) -> bytes:
    """No two calls give the same, and none can be compressed."""
    return random.randbytes(size)
