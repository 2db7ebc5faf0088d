"""One cause, one message: what channels get of a failure that ends a run and raises an alert."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.daemons import Daemon, daemon, quick_plan, rows, tell_a_script, text_of, until
from tests.e2e.site import Site, make_tree
from tests.notify_support import Receiver, http_receiver, mail_server

FAILING = 'component: conf}\n  - {name: never, kind: command, component: conf, run: ["false"]}\n'


def got(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in list(receiver.got)]


def about(receiver: Receiver, run: str) -> list[tuple[str, str]]:
    """The messages about a run or its failure, by event and title."""
    return [
        (m["event"], m["title"])
        for m in got(receiver)
        if m["run"] == run or run in m["details"].get("runs", ())
    ]


def ended(site: Site, kind: str, state: str, running: Daemon, *, after: int = 0) -> str:
    """The first such run that ended after so many others."""
    where = f"kind = '{kind}' and state = '{state}'"
    found = until(lambda: rows(site, "id", where)[after:], f"a {state} {kind}", running)
    return str(found[0][0])


def test_a_failure_that_raises_an_alert_is_one_message_except_where_only_runs_are_wanted(
    short_tmp: Path,
) -> None:
    with http_receiver() as both, http_receiver() as runs_alone, mail_server() as post:
        site = Site(short_tmp)
        make_tree(site.base / "etc")
        quick_plan(site, backup="every: 2s, jitter: none", more="drill: {every: 6s}\n")
        plan = site.base / "plans/shop.yaml"
        sound = plan.read_text()
        plan.write_text(sound.replace("component: conf}\n", FAILING))
        urls = [site.secret(n, r.url()) for n, r in (("both", both), ("runs", runs_alone))]
        config = site.base / "drd.yaml"
        config.write_text(
            f"{config.read_text()}alerts: {{hold: 1s}}\nnotify:\n"
            f"  - {{kind: webhook, url: {urls[0]}, on: [firing, resolved, backup, drill]}}\n"
            f"  - {{kind: webhook, url: {urls[1]}, on: [backup, drill], min_severity: warning}}\n"
            f"  - {{kind: smtp, host: localhost, port: {post.port}, tls: none, "
            "sender: drd@example.com, to: [oncall@example.com], min_severity: warning}\n"
        )
        with daemon(site) as running:
            drill = ended(site, "drill", "failed", running)
            until(lambda: about(runs_alone, drill), "the message", running)
            until(lambda: post.mails, "the mail", running)
            until(lambda: about(both, drill), "that of the other channel", running)
            assert about(both, drill) == [("firing", 'shop: drill failed: check "never"')]
            assert about(runs_alone, drill) == [("drill", 'shop: drill failed: check "never"')]
            [mail] = [m for m in post.mails if "drill failed" in m["Subject"]][:1]
            assert mail["X-Drd-Event"] == "firing"
            assert "expected exit 0" in mail.get_content()

            plan.write_text(sound)
            running.reload()
            passed = ended(site, "drill", "succeeded", running)
            until(lambda: about(both, passed), "the end of the alert", running)
            (site.base / "etc").rename(site.base / "elsewhere")
            backup = ended(site, "backup", "failed", running)
            until(lambda: about(runs_alone, backup), "the message", running)
            until(lambda: about(both, backup), "that of the other channel", running)
            assert about(both, backup) == [("firing", "shop: backup failed")]
            said = about(both, passed)
            assert said[0] == ("resolved", "shop: resolved: drill failed"), "also that it passed"
            assert {event for event, _ in said} == {"resolved"}
            [over] = [m["text"] for m in got(both) if m["title"] == said[0][1]]
            assert f"Resolved by: drd run show {passed}" in over

            (site.base / "elsewhere").rename(site.base / "etc")
            until(
                lambda: any("resolved: backup failed" in m["title"] for m in got(both)),
                "the end of the alert",
                running,
            )
            Path(site.repository).rename(site.base / "lost")
            gone = "cannot restore from repository primary"
            until(
                lambda: any(m["event"] == "firing" and gone in m["title"] for m in got(both)),
                "the alert of the repository",
                running,
            )
            last = ended(site, "drill", "failed", running, after=1)
            until(lambda: about(runs_alone, last), "the message", running)
            titles = [m["title"] for m in got(both) if m["event"] == "firing"]
            assert "shop: drill proved nothing" not in titles, "the repository tells that"


def test_people_are_told_of_a_drill_by_hand_without_a_daemon(short_tmp: Path) -> None:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    told = tell_a_script(site)
    quick_plan(site)
    site.drd("backup", "shop")
    assert text_of(told) == "", "nobody has asked for the ends of backups"
    site.drd("drill", "shop", code=None)
    message = json.loads(text_of(told))
    assert (message["event"], message["plan"], message["details"]["trigger"]) == (
        "drill",
        "shop",
        "manual",
    )
    assert site.catalogue("select count(*) from outbox where next_try_at is not null") == [(0,)]
