"""A recovery that goes on after more than its process is gone: an approval that ran out, a service
that ended, a step that must not be repeated."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from drd.process import actor_here
from tests.e2e.runbook_site import end_service, run_id, runbook_site, traced, until, waits_for
from tests.e2e.site import Site
from tests.e2e.test_runbook import RECOVER, free_port

_RUNBOOK = """
runbook:
  - {{name: data, restore: all}}
  - {{name: look, check: all}}
  - name: serve
    start:
      command: [python3, -m, http.server, "--bind", 127.0.0.1, --directory, "${{conf}}{base}/etc",
          "${{port}}"]
      port: {port}
      ready: {{http: /app.conf}}
  - {{name: once, command: {{run: [{trace}, once]}}, repeat: false}}
  - {{name: go-ahead, approve: {{by: commander, why: traffic, expires: 1h}}}}
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def site(short_tmp: Path, port: int) -> Iterator[Site]:
    made = runbook_site(short_tmp, port, _RUNBOOK)
    yield made
    end_service(made)


def answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/app.conf") as got:
            return bool(got.read() == b"listen 8080;\n")
    except URLError:
        return False


def test_resume_restarts_ended_services_and_rollback_stops_them(site: Site, port: int) -> None:
    # All that is wrong at once, and nothing is touched.
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        (site.base / "back/etc").mkdir()
        (site.base / "back/etc/theirs").touch()
        refused = site.drd(*RECOVER, code=1).err
    assert "2 problems block this recovery" in refused
    assert f"target {site.base}/back/etc is not empty (1 entry)" in refused
    assert f"step serve: another process listens on port {port} of this host" in refused
    assert "     drd changed no data.\n" in refused
    assert not (site.base / "back/shop.db").exists()
    shutil.rmtree(site.base / "back/etc")

    site.killed_at("undone:once", *RECOVER)
    run = run_id(site)
    end_service(site)  # as with the host

    if actor_here().person is None:  # root without a login, whom nobody can approve beside
        file = site.base / "plans/shop.yaml"
        plan = file.read_text()
        file.write_text(plan.replace("why: traffic", "why: traffic, two_person: true"))
        for again in (("resume", run), RECOVER):
            assert "nobody can approve go-ahead" in site.drd(*again, code=2).err
        assert site.catalogue("select action from decisions") == []
        file.write_text(plan)

    # The first resume: the service is up again, and a person is asked about what must not be
    # repeated.
    child = site.start("resume", run)
    until(lambda: waits_for(site, "once"), "somebody is asked")
    until(lambda: answers(port), "the service is up again")
    assert traced(site) == ["once"]
    site.drd("skip", run, "once", "--why", "it was done", "--by", "anna")
    until(lambda: waits_for(site, "go-ahead"), "it waits for the approval")
    os.kill(child.pid, signal.SIGKILL)
    told = child.communicate()[1].decode()
    again = "step serve: the program that this step started is no longer running; drd starts it "
    assert f"{again}again" in told

    # The time for the approval goes by while nobody carries the run out.
    with sqlite3.connect(site.base / "state/drd.db") as catalogue:
        catalogue.execute(
            "update steps set result = json_set(result, '$.asked_at', '2026-01-01T00:00:00Z', "
            "'$.expires_at', '2026-01-01T01:00:00Z') where name = 'go-ahead'"
        )
    late = site.drd("approve", run, "go-ahead", "--by", "anna", code=2)
    assert f"to make drd ask again: drd resume {run}" in late.err
    child = site.start("resume", run)

    def approved() -> bool:
        return site.drd("approve", run, "go-ahead", "--by", "anna", code=None).code == 0

    until(approved, "drd asks again")
    told = child.communicate(timeout=60)[1].decode()
    assert child.returncode == 0, told
    assert "step go-ahead: until 2026-01-01 01:00:00 UTC, nobody answered; drd asks again" in told
    assert "is started again" not in told
    assert answers(port)

    site.drd("rollback", run, "--by", "anna")
    site.assert_clean()
