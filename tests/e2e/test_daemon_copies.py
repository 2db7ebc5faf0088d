"""The daemon and a second repository: filled after each backup, never in its way, and watched."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.copies import assert_clean, copied_site, manifests, some_bytes
from tests.e2e.daemons import daemon, rows, until
from tests.e2e.site import Site

BODY = """
components:
  conf: {{kind: files, paths: [{base}/etc]}}
backup: {{every: 4s, jitter: none}}
verification: {{every: 1d}}
"""


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = copied_site(short_tmp, BODY)
    (site.base / "etc/some").write_bytes(some_bytes(30 << 20))
    return site


def copying(site: Site) -> list[int]:
    """The processes of restic that copy."""
    return [
        pid
        for pid, words in site.processes().items()
        if words.split()[0].endswith("restic") and " copy " in words
    ]


def done(site: Site, kind: str) -> int:
    return len(rows(site, where=f"kind = '{kind}' and state = 'succeeded'"))


@pytest.mark.parametrize("long", [False, pytest.param(True, marks=pytest.mark.faults)])
def test_copy_that_stands_still_delays_no_backup_and_killed_is_done_again(
    site: Site, long: bool
) -> None:
    """After a pause of a minute, for which the short one does not wait."""
    with daemon(site) as running:
        pids = until(lambda: copying(site), "a copy under way", running)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        before = done(site, "backup")
        # The first of them may have been under way already.
        until(lambda: done(site, "backup") >= before + 2, "more backups", running, within_s=120)
        assert done(site, "copy") == 0
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: rows(site, where="kind = 'copy' and state = 'failed'"), "its end", running)
        items = site.drd("schedule", "--json").json["items"]
        assert [i["due_at"] for i in items if i["kind"] == "copy"], "it is to be done again"
        if long:
            until(lambda: done(site, "copy"), "another copy", running, within_s=180)
        else:
            running.stop()
            site.drd("copy", "shop")
    [(error,)] = rows(site, "error", "kind = 'copy' and state = 'failed'")
    assert "restic was killed by SIGKILL" in error
    points = {p["point"] for p in site.points() if "offsite" in p["repositories"]}
    assert points
    assert points == manifests(site)
    assert_clean(site)
