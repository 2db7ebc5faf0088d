"""The kind http from backup to recovery, with a real server that has an HTTP API: Caddy."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import Site
from tests.servers.caddy import Caddy
from tests.servers.rest_api import TOKEN, RestApi, documents

needs_caddy = pytest.mark.skipif(not shutil.which("caddy"), reason="needs caddy")

PLAN = """
components:
  gateway:
    kind: http
    url: {url}
    documents:
      - {{get: /config/apps, save_as: apps, put_back: {{update: POST /config/apps}}}}
    stand_in:
      command:
        - sh
        - -c
        - >-
          echo "{{\\"admin\\":{{\\"listen\\":\\"127.0.0.1:${{port}}\\"}}}}"
          | exec caddy run --config -
      ready: /config/
targets:
  standby: {{gateway: {{url: {standby}}}}}
checks:
  - {{name: documents as at backup, kind: documents, component: gateway}}
  - {{name: the server answers, kind: command, component: gateway,
     run: [python3, {script}]}}
"""

ASK = """
import os, urllib.request
urllib.request.urlopen(os.environ["DRD_URL"] + "/config/apps")
"""


@pytest.fixture
def caddies(short_tmp: Path) -> Iterator[tuple[Caddy, Caddy]]:
    both = Caddy(short_tmp / "one"), Caddy(short_tmp / "other")
    yield both
    for caddy in both:
        caddy.close()


@pytest.fixture
def site(short_tmp: Path, caddies: tuple[Caddy, Caddy]) -> Site:
    production, standby = caddies
    production.serve("shop")
    site = Site(short_tmp / "s")
    script = site.base / "ask.py"
    script.write_text(ASK)
    site.plan(PLAN.format(url=production.url, standby=standby.url, script=script))
    return site


@needs_caddy
def test_from_backup_over_a_drill_to_a_recovery_and_back(
    site: Site, caddies: tuple[Caddy, Caddy]
) -> None:
    production, standby = caddies
    assert "GET /config/apps: 1 document" in site.drd("doctor", "shop").out
    first = site.drd("backup", "shop", "--json").json["point"]
    again = site.drd("backup", "shop", "--json").json
    assert again["components"][0]["added_bytes"] < 300  # restic's entry of the snapshot
    production.serve("changed")
    changed = site.drd("diff", "shop", "--component", "gateway", "--point", first).out
    assert "/apps/http/servers/shop/routes/0/handle/0/body" in changed
    standby.serve("theirs")
    refused = site.drd("recover", "shop", "--target", "standby", "--yes", code=1)
    assert f"target {standby.url} is not empty: it has apps" in refused.err
    there = ("--target", "standby", "--overwrite", "--point", first)
    dry = site.drd("recover", "shop", *there, "--dry-run").out
    assert "documents  gateway: POST /config/apps (updates apps)" in dry
    assert standby.ask("/config/apps") == standby.apps("theirs")
    production.close()
    drilled = site.drd("drill", "shop", "--point", first)
    assert "1 document, 0 differ" in drilled.out
    said = (
        "the drill used the stand-in server that the plan starts. It does not prove that "
        f"{production.url} accepts these documents"
    )
    assert said in " ".join(drilled.out.split())
    recovered = site.drd("recover", "shop", *there, "--yes", "--json").json
    assert recovered["result"] == "passed"
    assert standby.ask("/config/apps") == production.apps("shop")
    assert production.says() == "shop"
    site.drd("undo", recovered["run"], "--yes")
    assert standby.ask("/config/apps") == standby.apps("theirs")
    site.drd("undo", recovered["run"], "--redo", "--yes")
    site.drd("done", recovered["run"], "--yes")
    assert standby.ask("/config/apps") == production.apps("shop")
    site.assert_clean()


class DeadlyApi(RestApi):
    """Calls `kill` when it has carried out as many changes as `changes_left` says."""

    changes_left = -1
    kill: Callable[[], None]

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        done = super().answer(method, target, body)
        if method != "GET":
            self.changes_left -= 1
            if self.changes_left == 0:
                self.kill()
        return done


@pytest.fixture
def apis() -> Iterator[tuple[RestApi, DeadlyApi]]:
    both = RestApi(), DeadlyApi()
    yield both
    for api in both:
        api.close()


def test_a_killed_put_back_is_finished_by_resume_and_nothing_is_there_twice(
    short_tmp: Path, apis: tuple[RestApi, DeadlyApi]
) -> None:
    production, standby = apis
    production.fill()
    site = Site(short_tmp / "s")
    component = {
        "kind": "http",
        "url": production.url,
        "token": {"file": str(site.base / "secrets/token")},
        "documents": documents(),
    }
    site.secret("token", TOKEN)
    place = {"url": standby.url, "token": component["token"]}
    site.plan(
        json.dumps({"components": {"gateway": component}})[1:-1].replace(
            '"components":', "components:", 1
        )
        + "\ntargets: "
        + json.dumps({"standby": {"gateway": place}})
        + "\nchecks:\n  - {name: as at backup, kind: documents, component: gateway}\n"
    )
    site.drd("backup", "shop")
    standby.add("theirs", port=1)
    standby.add("shop/3", port=1)
    standby.settings = {"theme": "theirs"}
    for changes_left in (1, 3, 5):
        standby.changes_left = changes_left
        recover = ("recover", "shop", "--target", "standby", "--overwrite", "--yes")
        child = site.start(*recover)
        standby.kill = lambda child=child: os.kill(child.pid, signal.SIGKILL)
        assert child.wait(120) == -signal.SIGKILL
        run = site.runs()[0]["run"]
        site.drd("resume", run, "--yes")
        assert standby.names() == production.names()
        assert standby.settings == production.settings
        assert [
            s["port"] for s in sorted(standby.services.values(), key=lambda s: str(s["name"]))
        ] == [8000 + n for n in range(5)]
        site.drd("undo", run, "--yes")
        assert standby.names() == ["shop/3", "theirs"]
        assert standby.settings == {"theme": "theirs"}
        site.drd("done", run, "--yes")
    site.assert_clean()
