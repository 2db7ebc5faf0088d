"""A site whose recovery has ten steps, two of which wait for people, and which leaves a trace of
all that it did."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.site import Result, Site, small_site

STEPS = [
    "announce",
    "data",
    "config",
    "look",
    "go-ahead",
    "mark",
    "pause",
    "serve",
    "plugged-in",
    "traffic",
]
APPROVALS = {"go-ahead": "approve", "plugged-in": "done"}

_RUNBOOK = """
runbook:
  - {{name: announce, command: {{run: [{trace}, announce]}}, rollback: [{trace},
      announced-wrongly]}}
  - {{name: data, restore: [db], group: back}}
  - {{name: config, restore: [conf], group: back}}
  - {{name: look, check: all}}
  - {{name: go-ahead, approve: {{by: commander, why: "${{target}} becomes the real thing"}}}}
  - name: mark
    sql: {{component: db, query: "update customers set name = 'recovered' where id = 1"}}
  - {{name: pause, wait: 1s}}
  - name: serve
    start:
      command: [python3, -m, http.server, "--bind", 127.0.0.1, --directory, "${{conf}}{base}/etc",
          "${{port}}"]
      port: {port}
      ready: {{http: /app.conf}}
      as: service
  - name: plugged-in
    manual: {{do: plug the cable in, by: hands}}
    reason: it takes hands
  - name: traffic
    command: {{run: [{trace}, "traffic to ${{service}} for ${{target}}", "${{steps.go-ahead.by}}"]}}
    rehearse: skip
    reason: would move real traffic
    rollback: [{trace}, traffic back]
"""

_TRACE = """#!/bin/sh
[ "$DRD_MODE" = drill ] && exec echo "$*"  # there it can write nowhere else
echo "$*" >>{base}/trace
"""

_PEOPLE = """
people:
  - {name: anna, roles: [commander]}
  - {name: bert, roles: [hands, operator]}
"""


def runbook_site(base: Path, port: int, runbook: str = _RUNBOOK) -> Site:
    """Two components in a light repository, with one backup of them."""
    site = small_site(base)
    trace = base / "trace.sh"
    trace.write_text(_TRACE.format(base=base))
    trace.chmod(0o755)
    plan = base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + runbook.format(base=base, trace=trace, port=port))
    settings = base / "drd.yaml"
    settings.write_text(settings.read_text() + _PEOPLE)
    site.drd("backup", "shop")
    return site


def traced(site: Site) -> list[str]:
    """What the commands of the runbook did, in order."""
    file = site.base / "trace"
    return file.read_text().splitlines() if file.exists() else []


def run_id(site: Site) -> str:
    """The newest recovery's."""
    query = "select id from runs where kind = 'recovery' order by started_at desc"
    return str(site.catalogue(query)[0][0])


def waits_for(site: Site, step: str) -> bool:
    """Whether the recovery waits for a person at this step."""
    return is_in(site, step, "waiting")


def is_in(site: Site, step: str, state: str) -> bool:
    """Whether this step of the recovery is in this state."""
    found = site.catalogue(
        "select 1 from steps join runs on runs.id = steps.run "
        "where runs.kind = 'recovery' and steps.name = ? and steps.state = ?",
        step,
        state,
    )
    return bool(found)


def until(condition: Callable[[], bool], what: str, limit_s: float = 120.0) -> None:
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit, f"not within {limit_s:g} s: {what}"
        time.sleep(0.05)


def answer(site: Site, step: str, code: int | None = 0) -> Result:
    """What the recovery waits for."""
    who = {"go-ahead": "anna", "plugged-in": "bert"}[step]
    words = (APPROVALS[step], run_id(site), step, "--by", who, "--comment", "seen")
    return site.drd(*words, code=code)


def end_service(site: Site) -> None:
    """What the recovery has started stays up, so that whoever tests ends it."""
    for pid, words in site.processes().items():
        if "http.server" in words:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
