"""The daemon and a second repository: filled after each backup, never in its way, and watched."""

from __future__ import annotations

import json
import os
import secrets
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests import light_repository
from tests.e2e.copies import (
    OFFSITE_PASSWORD,
    assert_clean,
    copied_site,
    flip_a_byte,
    manifests,
    mend,
    offsite_of,
    some_bytes,
)
from tests.e2e.daemons import daemon, rows, until
from tests.e2e.site import PASSWORD, Site, make_tree
from tests.notify_support import http_receiver
from tests.servers import S3Server

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
def test_a_stalled_copy_delays_no_backup_and_is_repeated(site: Site, long: bool) -> None:
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


def test_copy_between_buckets_with_keys_of_their_own(short_tmp: Path, s3: S3Server) -> None:
    """Neither key can touch the other's bucket. The daemon makes the copy, and a drill finds all
    that it needs there."""
    urls = {}
    for name in ("alpha", "beta"):
        urls[name] = s3.repository(bucket := f"{name}-{secrets.token_hex(6)}", "drd")
        s3.create_bucket(bucket)
    light_repository.begin_in_bucket(s3, urls["alpha"], PASSWORD)
    site = Site(short_tmp, urls["alpha"])
    make_tree(site.base / "etc")
    body = (
        f"  offsite:\n    url: {urls['beta']}\n    password: {site.secret('o', OFFSITE_PASSWORD)}\n"
        f"{access(site, s3, 'beta')}    copy_of: primary\n"
    )
    body = access(site, s3, "alpha") + body + BODY.replace("4s", "1h").format(base=site.base)
    checks = "checks:\n  - {name: tree, kind: files, component: conf}\n"
    site.plan(f"{checks}", s3=body)
    with daemon(site) as running:
        until(lambda: done(site, "copy"), "the copy", running)
        [point] = site.points()
        assert sorted(point["repositories"]) == ["offsite", "primary"]
        [copy] = site.drd("status", "--json", code=None).json["plans"][0]["copies"]
        assert (copy["repository"], copy["verdict"]) == ("offsite", "met")
    told = site.drd("drill", "shop", "--scenario", "region-loss", "--json").json
    assert told["result"] == "passed"
    log = running.log.read_text()
    assert not [k for k in (*s3.limited.values(), OFFSITE_PASSWORD) if k in log]
    site.assert_clean()


def access(site: Site, server: S3Server, name: str) -> str:
    key = site.secret(f"{name}-key", name)
    hidden = site.secret(f"{name}-secret", server.limited[name])
    return f"    s3: {{access_key: {key}, secret_key: {hidden}, region: {server.region}}}\n"


@pytest.mark.faults
def test_a_problem_of_a_copy_is_reported_and_resolved(short_tmp: Path) -> None:
    """Gone, and damaged: each alert comes and goes by what the daemon does by itself."""
    body = BODY.replace("every: 1d", "every: 30s, read_all_within: 30s").replace("4s", "5s")
    site = copied_site(short_tmp, body, rpo="12s")
    (site.base / "etc/some").write_bytes(some_bytes(1 << 20))
    offsite = offsite_of(site)
    with http_receiver() as hook:
        config = site.base / "drd.yaml"
        url = site.secret("hook", hook.url())
        config.write_text(
            f"{config.read_text()}alerts: {{hold: 3s}}\n"
            f"notify:\n  - {{kind: webhook, url: {url}, on: [firing, resolved]}}\n"
        )

        def told(event: str, *words: str) -> bool:
            got = [json.loads(g.body) for g in hook.got]
            return any(g["event"] == event and all(w in g["text"] for w in words) for g in got)

        with daemon(site) as running:
            until(lambda: done(site, "copy"), "a copy", running)
            offsite.rename(offsite.with_name("gone"))
            for words in (["offsite is behind"], ["copying of offsite failed", "does not exist"]):
                until(lambda w=words: told("firing", *w), f"{words}", running, within_s=240)
            offsite.with_name("gone").rename(offsite)
            for words in (["offsite is behind"], ["copying of offsite failed"]):
                until(lambda w=words: told("resolved", *w), f"{words}", running, within_s=240)
            pack = flip_a_byte(offsite)
            until(
                lambda: told("firing", "offsite is damaged", pack), "damage", running, within_s=240
            )
            until(lambda: told("firing", "verification of offsite failed"), "failed", running)
            mend(site, pack, offsite, OFFSITE_PASSWORD)
            for word in ("offsite is damaged", "verification of offsite failed"):
                until(lambda w=word: told("resolved", w), word, running, within_s=240)
    assert not told("firing", "primary is damaged")
