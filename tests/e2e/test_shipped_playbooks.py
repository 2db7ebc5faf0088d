"""Each playbook of drd, against stand-ins that enforce: killed before and after each step's effect,
continued, and rolled back, with the state compared to the one before."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drd.bootstrap import app
from drd.config.playbooks import SHIPPED, load_playbooks
from drd.flows.runbook.permissions import Deciding
from drd.model.runbook import PEOPLE, Step, can_be_undone
from tests.e2e.site import Site, Started, make_sqlite
from tests.servers.gateway import ADMIN, Gateway

TOOL = """#!/bin/sh
case "${0##*/} $*" in
"passwd --status "*) sed 's/^unlocked/mallory P/; s/^locked/mallory L/' BASE/now/account; exit ;;
"getent shadow "*) echo "mallory:x:1:0:9:7::$(cat BASE/now/expires):"; exit ;;
"usermod --lock --expiredate "*) what=account now=locked; echo $3 >BASE/now/expires ;;
"usermod --expiredate "*) what=expires now=$2 ;;
"usermod --unlock "*) what=account now=unlocked ;;
"systemctl stop "*) what=unit now=stopped ;;
"systemctl start "*) what=unit now=started ;;
isolate*) what=host now=isolated ;;
rejoin*) what=host now=joined ;;
switch*) what=site now=$1 ;;
*) exit 0 ;;
esac
echo $now >BASE/now/$what
echo "${0##*/} $*" >>BASE/did
"""
TOOLS = ("usermod", "passwd", "getent", "systemctl", "loginctl")
BEFORE = {
    "account": "unlocked",
    "expires": "20999",
    "unit": "started",
    "host": "joined",
    "site": "here",
}
PLAN = """\
components:
  db: {{kind: sqlite, path: {base}/shop.db}}
targets:
  beside: {{db: {{path: {base}/beside.db}}}}
"""


@dataclass(frozen=True)
class Case:
    """What a playbook is given, the state after it, which of it a rollback does not take back, and
    the effects that must have happened exactly once."""

    name: str
    given: Mapping[str, str]
    after: Mapping[str, Any]
    stays: Mapping[str, Any] = field(default_factory=dict)
    once: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


KEY = {"admin-token": "file:BASE/secrets/admin"}
REVOKED: Mapping[str, Any] = {"keys": []}
CASES = [
    Case(
        "leaked-api-key",
        {**KEY, "key-url": "GW/keys/1", "new-key-url": "GW/keys", "probe-url": "GW/api",
         "leaked-key": "file:BASE/secrets/leaked"},
        {"keys": ["new"]}, {"keys": ["new"]}, ("DELETE /keys/1", "POST /keys"),
    ),
    Case(
        "exposed-endpoint",
        {**KEY, "route-url": "GW/route", "blocked-route": '{"action": "deny"}',
         "probe-url": "GW/open", "access-log": "BASE/now"},
        {"route": "deny"}, once=("evidence",), more=("--plan", "shop", "--incident", "1"),
    ),
    Case(
        "credential-stuffing",
        {**KEY, "limit-url": "GW/limit", "limit": '{"per_minute": 1}'}, {"limit": 1},
    ),
    Case(
        "third-party-breach", {**KEY, "supplier": "Acme", "access-url": "GW/keys/1"},
        REVOKED, REVOKED, ("DELETE /keys/1",),
    ),
    Case(
        "ransomware", {"isolate": "BASE/bin/isolate", "rejoin": "BASE/bin/rejoin", "host": "db1"},
        {"host": "isolated"}, more=("--plan", "shop", "--incident", "1"),
    ),
    Case(
        "insider", {"account": "mallory", "home": "BASE/now", "reviewer": "bert"},
        {"account": "locked", "expires": "1"}, more=("--plan", "shop", "--incident", "1"),
    ),
    Case(
        "lost-region",
        {"target": "beside", "switch": "BASE/bin/switch", "there": "there", "here": "here",
         "health-url": "GW/health"},
        {"site": "there"}, once=("recovery",), more=("--plan", "shop"),
    ),
    Case(
        "database-destroyed", {"unit": "shop.service", "health-url": "GW/health"},
        {}, once=("recovery", "evidence"), more=("--plan", "shop", "--incident", "1"),
    ),
]  # fmt: skip


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.close()


@pytest.fixture
def site(short_tmp: Path) -> Site:
    made = Site(short_tmp)
    base = made.base
    for name in ("playbooks", "bin", "now"):
        (base / name).mkdir()
    for name in (*TOOLS, "isolate", "rejoin", "switch"):
        tool = base / "bin" / name
        tool.write_text(TOOL.replace("BASE", str(base)))
        tool.chmod(0o755)
    for what, now in BEFORE.items():
        (base / "now" / what).write_text(f"{now}\n")
    made.environment["PATH"] = f"{base}/bin:{os.environ['PATH']}"
    for name, secret in (("admin", ADMIN), ("leaked", "key-one-is-old")):
        made.secret(name, secret)
    with (base / "drd.yaml").open("a") as file:
        file.write("playbooks: playbooks\npeople: [{name: anna, roles: [lead, operator]}]\n")
    return made


def state(site: Site, gateway: Gateway) -> dict[str, Any]:
    """What is enforced now."""
    now = {file.name: file.read_text().strip() for file in (site.base / "now").iterdir()}
    keys = ["old" if key == "key-one-is-old" else "new" for key in gateway.keys.values()]
    return {**now, "limit": gateway.limit, "route": gateway.route["action"], "keys": keys}


@dataclass
class Exercise:
    """One run of a playbook that is killed again and again. `happened` are the steps that were
    killed after their effect."""

    site: Site
    words: tuple[str, ...]
    steps: tuple[Step, ...]
    happened: set[str] = field(default_factory=set)
    answered: set[tuple[str, int]] = field(default_factory=set)

    @property
    def run(self) -> str:
        found = self.site.catalogue("select id from runs where kind = 'playbook'")
        assert len(found) <= 1
        return str(found[0][0]) if found else ""

    def begin(self, dies_at: str = "") -> Started:
        words = ("resume", self.run) if self.run else self.words
        return self.site.start(*words, dies_at=dies_at)

    def to_the_end(self, child: Started) -> int:
        """Answer what the run asks, until its process is over."""
        limit = time.monotonic() + 300
        people = {step.name for step in self.steps if step.kind in PEOPLE}
        while (code := child.poll()) is None:
            assert time.monotonic() < limit, "the playbook does not end"
            query = "select name, attempt from steps where run = ? and state = 'waiting'"
            for name, attempt in self.site.catalogue(query, self.run):
                once = (str(name), 0 if str(name) in people else int(attempt))
                if once not in self.answered:  # an answer of a person counts after a kill
                    self.answered.add(once)
                    self.answer(str(name))
            time.sleep(0.1)
        return code

    def answer(self, name: str) -> None:
        step = next(step for step in self.steps if step.name == name)
        with app(str(self.site.base / "drd.yaml")) as opened:
            run, now = opened.catalogue.runs.get(self.run), opened.clock.now()
            deciding = Deciding(opened.catalogue, opened.runbook_of(run), run, now)
            if step.kind in PEOPLE:
                verb = "approve" if step.kind == "approve" else "done"
                deciding.agree(name, verb, "anna", "", {"anna": ["lead", "operator"]})
            elif name in self.happened:
                deciding.skip(name, "anna", "it has happened")
            else:
                deciding.retry(name, "anna")


@pytest.mark.timeout(900)  # some twenty processes, one after the other
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_playbook_of_drd_killed_at_each_boundary_does_each_step_once_and_goes_back(
    site: Site, gateway: Gateway, case: Case
) -> None:
    base = site.base
    text = (SHIPPED / f"{case.name}.yaml").read_text()
    text = text.replace("/var/lib/drd/", f"{base}/secrets/").replace(", two_person: true", "")
    (base / f"playbooks/{case.name}.yaml").write_text(text)
    make_sqlite(base / "shop.db", rows=20)
    if case.more:
        site.plan(PLAN.format(base=base))
        site.drd("backup", "shop")
        site.drd("incident", "open", "the database is gone", "--plan", "shop")
        (base / "shop.db").write_bytes(b"destroyed")
    else:
        site.drd("incident", "open", "something happened")
    before = state(site, gateway)
    given = [
        word
        for name, value in case.given.items()
        for word in (
            "--set",
            f"{name}={value.replace('GW', gateway.url).replace('BASE', str(base))}",
        )
    ]
    steps = load_playbooks(base / "playbooks").get(case.name).runbook
    words = ("playbook", "run", case.name, *given, *case.more, "--yes")
    exercise = Exercise(site, words, steps)
    for step in steps:
        for when in ("before", "undone"):
            child = exercise.begin(f"{when}:{step.name}")
            assert exercise.to_the_end(child) == -signal.SIGKILL, (when, step.name)
            if when == "undone":
                exercise.happened.add(step.name)
    child = exercise.begin()
    assert exercise.to_the_end(child) == 0
    assert state(site, gateway) == {**before, **case.after}
    asked = site.catalogue("select step from decisions where run = ? and action in (?, ?)",
                           exercise.run, "approve", "done")  # fmt: skip
    people = sorted(step.name for step in steps if step.kind in PEOPLE)
    assert sorted(str(name) for (name,) in asked) == people, "each person is asked once"
    if "recovery" in case.once:
        recovered = base / ("beside.db" if "target" in case.given else "shop.db")
        with contextlib.closing(sqlite3.connect(recovered)) as database:
            assert database.execute("select count(*) from orders").fetchone() == (20,)
    effects = [*gateway.asked, *(str(run["kind"]) for run in site.runs())]
    effects += ["evidence"] * effects.count("preservation")
    assert [effects.count(one) for one in case.once] == [1] * len(case.once)

    undoable = [step for step in steps if can_be_undone(step)]
    for step in reversed(undoable):
        site.killed_at(f"undone:rollback {step.name}", "rollback", exercise.run)
    done = site.drd("rollback", exercise.run, code=0 if undoable else 2)
    assert state(site, gateway) == {**before, **case.stays}
    final = {s.name for s in steps if s.live is not None and s.live.final}
    if undoable and final:
        assert (
            set(json.loads(site.drd("rollback", exercise.run, "--dry-run", "--json").out)["final"])
            == final
        ), done
    site.assert_clean()
