"""Alerts that come and go by what the daemon does by itself, as a receiver of messages sees
them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import light_repository
from tests.e2e.daemons import WallClock, daemon, quick_plan, rows, until
from tests.e2e.site import PASSWORD, Site, make_tree
from tests.notify_support import Receiver, http_receiver
from tests.servers import S3Server
from tests.servers.proxy import Proxy

BACKUP = (
    "components:\n  conf: {{kind: files, paths: [{base}/etc]}}\nbackup: {{every: 3s, jitter: "
    "none}}\n"
)

UNPROTECTED = ("repository primary: protection", "the plan has `protection: object-lock`")
GONE = ("repository primary: cannot reach",)


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[Proxy]:
    proxy = Proxy("127.0.0.1", s3.port)
    yield proxy
    proxy.close()


def configure(site: Site, *channels: str) -> None:
    file = site.base / "drd.yaml"
    lines = "".join(f"  - {channel}\n" for channel in channels)
    file.write_text(f"{file.read_text()}alerts: {{hold: 1s}}\nnotify:\n{lines}")


def webhook(site: Site, name: str, receiver: Receiver) -> str:
    url = site.secret(name, receiver.url())
    return f"{{kind: webhook, name: {name}, url: {url}, on: [firing, resolved]}}"


def titles(receiver: Receiver, event: str) -> list[str]:
    got = [json.loads(g.body) for g in receiver.got]
    return [g["title"] for g in got if g["event"] == event]


def told(receiver: Receiver, event: str, *words: str) -> Callable[[], bool]:
    """Whether a message has these words in its title or its text."""
    return lambda: is_told(receiver, event, *words)


def is_told(receiver: Receiver, event: str, *words: str) -> bool:
    got = (json.loads(g.body) for g in list(receiver.got))
    said = [f"{g['title']}\n{g['text']}" for g in got if g["event"] == event]
    return any(all(w in one for w in words) for one in said)


def open_alerts(site: Site) -> set[tuple[str, str]]:
    return {(a["kind"], a["state"]) for a in site.drd("alerts", "--json").json["alerts"]}


def protect(s3: S3Server, bucket: str) -> None:
    """As somebody does who was told."""
    versions = {"Status": "Enabled"}
    s3.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versions)
    lock = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.client().put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": lock},
    )


def test_a_lost_or_unprotected_repository_has_an_alert(
    short_tmp: Path, s3: S3Server, proxy: Proxy, hook: Receiver
) -> None:
    """By the looks ahead that a failing backup, and one that succeeds again, bring about."""
    bucket = f"alerts-{secrets.token_hex(6)}"
    s3.create_bucket(bucket)
    light_repository.begin_in_bucket(s3, s3.repository(bucket, "drd"), PASSWORD)
    site = Site(short_tmp, s3.repository(bucket, "drd", endpoint=proxy.endpoint))
    make_tree(site.base / "etc")
    keys = (site.secret(n, v) for n, v in (("id", s3.access_key), ("key", s3.secret_key)))
    access = "    s3: {{access_key: {}, secret_key: {}}}\n    protection: object-lock\n".format(
        *keys
    )
    site.plan(BACKUP.format(base=site.base), s3=access)
    configure(site, webhook(site, "hook", hook))

    def succeeded() -> int:
        return len(rows(site, where="kind = 'backup' and state = 'succeeded'"))

    with daemon(site) as running:
        until(succeeded, "a backup", running)
        site.drd("readiness", "shop", code=3)  # else it comes within a quarter of an hour
        until(told(hook, "firing", *UNPROTECTED), "no protection", running, within_s=120)
        proxy.cut()
        until(
            told(hook, "firing", *GONE),
            "an outage",
            running,
            within_s=180,
        )
        assert ("repository-unreachable", "firing") in open_alerts(site)
        assert ("repository-unprotected", "firing") in open_alerts(site), "nobody knows otherwise"
        protect(s3, bucket)
        proxy.resume()
        until(
            told(hook, "resolved", *GONE),
            "its end",
            running,
            within_s=240,
        )
        until(told(hook, "resolved", *UNPROTECTED), "protection", running, within_s=120)
    assert len(titles(hook, "firing")) == len(set(titles(hook, "firing"))), "each is told once"


@pytest.mark.faults
def test_dead_channel_is_reported_by_the_others_until_it_works_again(
    short_tmp: Path, hook: Receiver
) -> None:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    quick_plan(site, backup="every: 1h, jitter: none")
    with http_receiver() as deaf:
        deaf.always(503)
        configure(site, webhook(site, "hook", hook), webhook(site, "pager", deaf))
        clock = WallClock(site)
        with daemon(site) as running:
            until(lambda: deaf.got, "a message to it", running)
            clock.set(20 * 60)
            until(told(hook, "firing", "pager"), "a dead channel", running, within_s=120)
            [alert] = [
                a for a in site.drd("alerts", "--json").json["alerts"] if a["kind"] == "channel"
            ]
            assert "pager" in alert["message"]
            assert "pager" in site.drd("status", code=None).out
            deaf.always(200)
            clock.set(40 * 60)
            until(told(hook, "resolved", "pager"), "its end", running, within_s=120)
            assert ("channel", "firing") not in open_alerts(site)
            assert titles(deaf, "firing"), "what waited came through"
