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


def test_channels_figures_and_limits_are_taken_and_places_wait_for_a_restart(site: Site) -> None:
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


def test_a_broken_one_changes_nothing_breaks_no_run_and_is_told(site: Site) -> None:
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
        until(lambda: told.exists() and "drd.yaml was refused" in told.read_text(), "the message")
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
