"""What the daemon asks its catalogue at each turn does not grow with the number of plans."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from drd.bootstrap import App
from drd.catalogue.changed import KeptFacts
from drd.config.plan_file import load_plan
from drd.daemon.sd_notify import ServiceManager
from drd.daemon.service import Daemon
from drd.flows.alerts.watch import AlertWatch, WatchSources
from drd.model.alert_facts import HostFacts
from drd.model.run import RunKind, RunState
from drd.model.run_details import ReadinessDetail
from drd.plan_files import plan_files

PLAN = """\
plan: {name}
objectives: {{rpo: 1h, rto: 1h}}
components:
  files: {{kind: files, paths: [/etc]}}
repositories:
  primary: {{url: /srv/{name}, password: {{env: X}}}}
  second: {{url: /srv/{name}-2, password: {{env: X}}, copy_of: primary}}
drill: {{every: 30d}}
retention: {{last: 10}}
"""


class Statements:
    """Counts what the thread that made it asks, through SQLAlchemy or without it. A thread of a
    daemon that an earlier test of this process stopped may still ask."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._thread = threading.get_ident()
        connect = sqlite3.connect

        def counted(*args: Any, **keys: Any) -> sqlite3.Connection:
            connection = connect(*args, **keys)
            connection.set_trace_callback(self._asked)
            return connection

        monkeypatch.setattr(sqlite3, "connect", counted)  # the reader of `drd status`
        event.listen(Engine, "before_cursor_execute", self._asked)

    def close(self) -> None:
        event.remove(Engine, "before_cursor_execute", self._asked)

    def _asked(self, *_: Any, **__: Any) -> None:
        if threading.get_ident() == self._thread:
            self.count += 1

    def of(self, work: Callable[[], object]) -> int:
        before = self.count
        work()
        return self.count - before


class House:
    """So many plans in force, none of which has anything due."""

    def __init__(self, directory: Path, count: int) -> None:
        (directory / "plans").mkdir(parents=True)
        config = directory / "drd.yaml"
        config.write_text(
            "state: sqlite:///state/drd.db\nplans: plans\nwork_dir: w\ncache_dir: c\n"
        )
        self.app = App(str(config))
        self.names = [f"service{number}" for number in range(count)]
        for name in self.names:
            file = directory / f"plans/{name}.yaml"
            file.write_text(PLAN.format(name=name))
            self.app.plans.accept(load_plan(file))
        for name in self.names:
            self.run(name, RunKind.READINESS)
        self.daemon = Daemon(self.app, str(config), ServiceManager(), lambda _: None)
        self.daemon._load_plans()
        self.watch = AlertWatch(
            WatchSources(
                catalogue=self.app.catalogue,
                read_facts=KeptFacts(self.app.settings.state_url).read,
                plan_files=lambda: plan_files(directory / "plans"),
                schedule=self.daemon._agenda.schedule,
                places={},
            )
        )

    @property
    def now(self) -> datetime:
        return self.app.clock.now()

    def run(self, name: str, kind: RunKind) -> None:
        plan = self.app.plans.in_force(name)
        began = self.now - timedelta(minutes=1)
        owned = self.app.catalogue.runs.begin(plan, kind, trigger="schedule", at=began)
        self.app.catalogue.runs.finish(
            owned, RunState.SUCCEEDED, at=self.now, detail=ReadinessDetail(findings=())
        )


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """How many statements each part takes, with 10 plans and with 100."""
    found = []
    for count in (10, 100):
        house = House(tmp_path / str(count), count)
        # Alerts that every plan has at first are written one by one.
        house.watch.evaluate(HostFacts(), house.now)
        house.app.state._stop_publishing()  # which asks in a thread of its own
        statements = Statements(monkeypatch)
        try:
            parts = {
                "turn": statements.of(lambda house=house: house.daemon._do_due_work(house.now)),
                "tick": statements.of(
                    lambda house=house: house.daemon.tick(
                        house.app.catalogue.queue.open_runs(), house.now
                    )
                ),
                "look": statements.of(
                    lambda house=house: house.watch.evaluate(HostFacts(), house.now)
                ),
            }
            house.run("service3", RunKind.READINESS)
            parts["turn after a run"] = statements.of(
                lambda house=house: house.daemon._do_due_work(house.now)
            )
            parts["look at its plan"] = statements.of(
                lambda house=house: house.watch.evaluate_plans(["service3"], HostFacts(), house.now)
            )
        finally:
            statements.close()
            monkeypatch.undo()
            house.app.close()
        found.append(parts)
    return found


def test_a_hundred_plans_are_asked_about_in_as_few_statements_as_ten(
    asked: list[dict[str, int]],
) -> None:
    few, many = asked
    assert few == many
    assert all(0 < count <= 25 for count in few.values()), few


def test_hundreds_of_new_plans_neither_take_long_nor_keep_the_manager_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a few statements in a transaction that it shares; the manager hears how far it is."""
    house = House(tmp_path, 0)
    for number in range(120):
        name = f"service{number}"
        (tmp_path / f"plans/{name}.yaml").write_text(PLAN.format(name=name))
    heard: list[str] = []
    manager = house.daemon._manager
    monkeypatch.setattr(manager, "_send", lambda *lines: heard.extend(lines))
    monkeypatch.setattr(manager, "watchdog_s", 60.0)
    statements = Statements(monkeypatch)
    try:
        asked = statements.of(house.daemon._reload)
    finally:
        statements.close()
        monkeypatch.undo()
        house.app.close()
    assert house.daemon._agenda.plans == 120
    assert asked < 120 * 16, asked / 120
    assert heard.count("WATCHDOG=1") == heard.count("EXTEND_TIMEOUT_USEC=90000000") == 2
    assert "STATUS=reading plans: 100 of 120" in heard


def test_the_status_line_of_the_service_says_what_a_reload_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`systemctl reload` ends with 0 whatever the daemon makes of the files."""
    house = House(tmp_path, 1)
    heard: list[str] = []
    monkeypatch.setattr(house.daemon._manager, "_send", lambda *lines: heard.extend(lines))

    def status_line() -> str:
        house.daemon._reload()
        house.daemon.tick([], house.now)
        return [line for line in heard if line.startswith("STATUS=")][-1]

    try:
        assert "REFUSED" not in status_line()
        file = tmp_path / "plans/broken.yaml"
        file.write_text("plan: broken\nnonsense: 1\n")
        refused = "STATUS=REFUSED when drd last read the plans: plan broken (see drd status); "
        assert status_line().startswith(refused)
        file.unlink()
        assert "REFUSED" not in status_line()
    finally:
        monkeypatch.undo()
        house.app.close()
