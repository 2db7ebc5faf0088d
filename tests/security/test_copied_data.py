"""Attack: somebody with the password of a copy exchanges the data of a restore point that this host made.

A copied snapshot has an id of its own there, and is found by the name of the one that it was copied from,
which its writer says. What a snapshot holds has the same id everywhere: this is noted when a point is
copied, and a copy that holds something else is not used.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from pathlib import Path

from Crypto.Cipher import AES
from Crypto.Hash import Poly1305

from tests.e2e.copies import OFFSITE_PASSWORD, copied_site, offsite_of
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
    assert "holds something else" in told.err
    assert (site.base / "back/shop.db").read_bytes() != b"evil"


def restic(site: Site, *words: str, given: bytes = b"") -> bytes:
    environment = {**os.environ, "RESTIC_PASSWORD": OFFSITE_PASSWORD}
    return subprocess.run(
        ["restic", "-r", str(offsite_of(site)), "--no-cache", *words],
        input=given, env=environment, check=True, capture_output=True,
    ).stdout  # fmt: skip


def exchange(site: Site, first: str) -> None:
    """The copy of that snapshot is replaced by one with the same words and the tree of host `evil`."""
    master = json.loads(restic(site, "cat", "masterkey"))
    encrypt = base64.b64decode(master["encrypt"])
    mac = b"".join(base64.b64decode(master["mac"][part]) for part in ("k", "r"))
    listed = json.loads(restic(site, "snapshots", "--json"))
    genuine = next(s for s in listed if s.get("original") == first)
    evil = next(s for s in listed if s["hostname"] == "evil")
    said = {k: v for k, v in genuine.items() if k not in ("id", "short_id")}
    iv = os.urandom(16)
    cipher = AES.new(encrypt, AES.MODE_CTR, nonce=b"", initial_value=iv)
    text = cipher.encrypt(json.dumps({**said, "tree": evil["tree"]}).encode())
    digest = Poly1305.new(key=mac, cipher=AES, nonce=iv, data=text).digest()
    stored = iv + text + digest
    restic(site, "forget", genuine["id"], evil["id"])
    (offsite_of(site) / "snapshots" / hashlib.sha256(stored).hexdigest()).write_bytes(stored)
