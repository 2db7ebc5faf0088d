"""drd.yaml is read again by a reload, while the daemon goes on with its work."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.e2e.daemons import Daemon, daemon, quick_plan, rows, until
from tests.e2e.site import Site, make_tree


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    quick_plan(site, "every: 2s, jitter: none")
    return site


def configure(site: Site, more: str, *, work_dir: str = "work") -> None:
    (site.base / "drd.yaml").write_text(
        f"state: sqlite:///{site.base}/state/drd.db\nplans: plans\nwork_dir: {work_dir}\n"
        f"cache_dir: cache\nalerts: {{hold: 1s}}\n{more}"
    )


def succeeded(site: Site) -> int:
    return len(rows(site, where="kind = 'backup' and state = 'succeeded'"))


def goes_on(site: Site, running: Daemon) -> None:
    """A backup that is started from now on succeeds."""
    now = datetime.now(UTC).isoformat()
    began = f"state = 'succeeded' and started_at > '{now}'"
    until(lambda: rows(site, where=began), "one more backup", running)
    assert not rows(site, "error", "kind = 'backup' and state = 'failed'")


def page(port: int, path: str = "/healthz") -> str:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return str(answer.read().decode())


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def own_alerts(site: Site) -> list[dict[str, Any]]:
    document = site.drd("status", "--json", code=None).json
    return [a for a in document["alerts"] if a["kind"] == "configuration"]


def test_a_reload_applies_all_but_places(site: Site) -> None:
    first, second = free_port(), free_port()
    configure(site, f'metrics: {{http: "127.0.0.1:{first}"}}\n')
    told = site.base / "told"
    with daemon(site) as running:
        until(lambda: succeeded(site), "a backup", running)
        configure(
            site,
            f'metrics: {{http: "127.0.0.1:{second}", textfile: {site.base}/drd.prom}}\n'
            "limits: {runs: 2, maintenance: 2}\nlog: {level: debug}\nnotify:\n"
            f'  - {{kind: exec, name: script, on: [backup], command: [sh, -c, "cat >> {told}"]}}\n',
            work_dir="elsewhere",
        )
        running.reload()
        [changed] = running.events("configuration.changed")
        assert set(changed["keys"]) == {"metrics", "limits", "log", "notify"}
        [waiting] = running.events("configuration.needs_restart")
        assert waiting["keys"] == ["work_dir"]
        assert "restart" in waiting["remedy"]

        assert json.loads(page(second))["ok"] is True
        with pytest.raises(URLError):
            page(first)
        until(told.exists, "a message by the new channel", running)
        until((site.base / "drd.prom").exists, "the file of figures", running)
        goes_on(site, running)
        assert not (site.base / "elsewhere").exists()
        until(lambda: 'channel="script"' in page(second, "/metrics"), "the channel's figure")

        configure(site, f'metrics: {{http: "127.0.0.1:{second}"}}\n')
        running.reload()
        until(lambda: 'channel="script"' not in page(second, "/metrics"), "the figure's end")
        goes_on(site, running)
        assert len(running.events("configuration.needs_restart")) == 1
    site.assert_clean()


def test_a_broken_drd_yaml_changes_nothing_and_is_reported(site: Site) -> None:
    told = site.base / "told"
    channel = f'notify:\n  - {{kind: exec, name: script, command: [sh, -c, "cat >> {told}"]}}\n'
    configure(site, channel)
    with daemon(site) as running:
        until(lambda: succeeded(site), "a backup", running)
        configure(site, "limits: {runs: many}\n")
        goes_on(site, running)  # also before anybody asked for a reload
        running.reload()
        [refused] = running.events("configuration.refused")
        assert f"{site.base}/drd.yaml:6: limits.runs: " in refused["error"]
        assert refused["hint"]
        [alert] = until(lambda: own_alerts(site), "the alert", running)
        assert f"{site.base}/drd.yaml:6: limits.runs: " in alert["message"]
        until(
            lambda: told.exists() and "drd cannot use drd.yaml as it is now" in told.read_text(),
            "the message",
        )
        goes_on(site, running)

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            configure(site, f'{channel}metrics: {{http: "127.0.0.1:{port}"}}\n')
            running.reload()
        assert str(port) in running.events("configuration.refused")[-1]["error"]

        configure(site, f"{channel}  - {{kind: webhook, url: {{credential: new-url}}}}\n")
        running.reload()
        last = running.events("configuration.refused")[-1]
        assert f"{site.base}/drd.yaml:8: " in last["error"]
        assert "new-url" in last["error"]

        configure(site, channel)
        running.reload()
        assert len(running.events("configuration.refused")) == 3
        until(lambda: not own_alerts(site), "the end of the alert", running)
    site.assert_clean()


def test_a_refused_new_plan_is_reported_with_its_error(site: Site) -> None:
    configure(site, "")
    broken = site.base / "plans/billing.yaml"

    def billing() -> dict[str, Any]:
        plans = site.drd("status", "--json", code=None).json["plans"]
        return next((p for p in plans if p["plan"] == "billing"), {})

    with daemon(site) as running:
        text = (site.base / "plans/shop.yaml").read_text().replace("plan: shop", "plan: billing")
        broken.write_text(text.replace("rto: 30m", "rto: soon"))
        running.reload()
        assert running.events("plan.refused")[-1]["plan"] == "billing"
        assert billing()["verdict"] == "unknown"
        [reason] = billing()["reasons"]
        assert reason.startswith(f"not loaded: {broken}:3: objectives.rto: ")
        message = reason.partition(": drd plan check")[0]
        until(lambda: [a["message"] for a in billing()["alerts"]] == [message], "its alert")
        broken.unlink()
        running.reload()
        assert not billing()
        document = site.drd("status", "--json", code=None).json
        assert document["daemon"]["state"] == "running"
    document = site.drd("status", "--json", code=None).json
    assert document["daemon"]["state"] == "stopped"
    assert "the daemon was stopped" in site.drd("status", code=None).out


def test_a_plan_that_is_forgotten_leaves_its_repository_and_no_alert(site: Site) -> None:
    configure(site, "")
    quick_plan(site, "every: 2s, jitter: none", name="other")  # each run makes it look at alerts
    file = site.base / "plans/shop.yaml"
    text = file.read_text()

    def alerts() -> list[dict[str, Any]]:
        return list(site.drd("alerts", "--json", code=None).json["alerts"])

    with daemon(site) as running:
        until(lambda: succeeded(site), "a backup", running)
        assert "its file still exists" in site.drd("plan", "forget", "shop", "--yes", code=2).err
        file.unlink()
        running.reload()
        told = until(
            lambda: [a for a in alerts() if a["kind"] == "plan-not-loaded"], "its alert", running
        )
        assert told[0]["holds"], "the file is still gone"
        [shop] = site.drd("status", "shop", "--json", code=None).json["plans"]
        [why] = [r for r in shop["reasons"] if "is gone" in r]
        assert "If the service does not exist any more: drd plan forget shop" in why
        assert why.endswith("drd plan show shop --loaded")
        assert site.drd("plan", "show", "shop", "--loaded").out == text
        assert "--yes" in site.drd("plan", "forget", "shop", code=2).err

        of_it = "plan = 'shop'"
        open_ones = f"{of_it} and finished_at is null"
        until(lambda: not rows(site, where=open_ones), "the end of its runs", running)
        known = len(rows(site, where=of_it))
        forgotten = site.drd("plan", "forget", "shop", "--yes", "--json").json
        assert (forgotten["plan"], forgotten["runs"]) == ("shop", known)
        until(lambda: not [a for a in alerts() if a["plan"] == "shop"], "the end of its alerts")
        assert "there is no plan" in site.drd("status", "shop", code=2).err
        assert "no records" in site.drd("plan", "forget", "shop", "--yes", code=2).err
        assert not rows(site, where=of_it)
    assert json.loads(site.restic("snapshots", "--json")), "what was backed up is still there"
