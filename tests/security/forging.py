"""What somebody does who has a repository's password: writes manifests and snapshots of his own
into it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from typing import Any

from drd.model.plan import OWN_COMPONENT
from tests.e2e.site import PASSWORD, Site

FORGED = "f0f0f0f0"
"""The id of a restore point that no run of drd ever made."""


def manifest_of(site: Site, point: str) -> dict[str, Any]:
    """What the repository holds of a point."""
    told = site.restic("dump", "--tag", f"run:{point},manifest", "latest", "/manifest.json")
    return dict(json.loads(told))


def store(site: Site, data: bytes, point: str, *, host: str = "shop", at: str = "") -> str:
    """Store bytes as the manifest of a point; the id of its snapshot."""
    tags = ["drd", "plan:shop", f"run:{point}", "manifest"]
    words = [w for tag in tags for w in ("--tag", tag)] + (["--time", at] if at else [])
    done = subprocess.run(
        ["restic", "-r", site.repository, "--no-cache", "backup", "--json", "--host", host, *words,
         "--stdin", "--stdin-filename", "manifest.json"],
        input=data,
        capture_output=True,
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD, "TZ": "UTC"},
        check=True,
    )  # fmt: skip
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return str(next(s["snapshot_id"] for s in said if s["message_type"] == "summary"))


def forge(
    site: Site,
    like: str,
    change: Callable[[dict[str, Any]], object],
    *,
    point: str = FORGED,
    host: str = "shop",
) -> str:
    """A manifest like that of a point, with a change, as the newest point of all; its snapshot.
    What a change leaves of the other point's snapshots is there once more, as of this point."""
    known = manifest_of(site, like)
    known["point"] = point
    for row in known["components"] if point != like else ():
        _as_of(site, point, row["component"], row["snapshot"])
    change(known)
    return store(site, json.dumps(known).encode(), point, host=host)


def _as_of(site: Site, point: str, component: str, snapshot: str) -> None:
    """A snapshot once more, with the tags that a backup as this point gives; restic keeps the id of
    the first one in it, by which a manifest names it."""
    site.restic("rewrite", "--new-host", "shop", snapshot)
    named = json.loads(site.restic("snapshots", "--json", "--tag", "rewrite"))
    (made,) = (s["id"] for s in named)
    tags = ("drd", "plan:shop", f"run:{point}", f"component:{component}")
    site.restic("tag", *(w for tag in tags for w in ("--set", tag)), made)


def component(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in manifest["components"] if c["component"] == name)


def forget_state(site: Site) -> None:
    """As on a new host: what the repository holds is all that is known."""
    for file in (site.base / "state").glob("drd.db*"):
        file.unlink()


def own_tar(fill: Callable[[tarfile.TarFile], object], mode: str = "w:") -> bytes:
    """A tar such as drd stores its own state in, filled by `fill`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        fill(tar)
    return buffer.getvalue()


def add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(text.encode())
    tar.addfile(entry, io.BytesIO(text.encode()))


def own_state(site: Site) -> bytes:
    """The tar that drd itself stored last in the site's repository."""
    known = json.loads(site.restic("snapshots", "--json", "--tag", "component:drd"))[-1]["id"]
    return _restic(site, "dump", known, "/drd.tar")


def store_own(site: Site, archive: bytes, *, host: str = "shop") -> None:
    """Store a tar as the newest state of drd's own."""
    tags = ("drd", "plan:shop", f"run:{FORGED}", f"component:{OWN_COMPONENT}")
    words = [w for tag in tags for w in ("--tag", tag)]
    _restic(
        site, "backup", "-q", "--host", host, *words, "--stdin", "--stdin-filename", "drd.tar",
        given=archive,
    )  # fmt: skip


def _restic(site: Site, *words: str, given: bytes = b"") -> bytes:
    return subprocess.run(
        ["restic", "-r", site.repository, "--no-cache", *words],
        input=given,
        capture_output=True,
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD},
        check=True,
    ).stdout
