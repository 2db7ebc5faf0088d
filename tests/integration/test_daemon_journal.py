"""What the daemon writes into its journal about runs and about its catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drd.bootstrap import App
from drd.catalogue import trouble
from drd.daemon import service
from drd.daemon.sd_notify import ServiceManager
from drd.daemon.service import Daemon
from drd.errors import CatalogueError
from drd.model.run import Run, RunKind, RunState
from drd.model.run_details import BackupDetail
from tests.flow_support import SetClock
from tests.integration.test_schedule_command import PLAN

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Journal:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **given: Any) -> None:
        self.lines.append((event, given))

    error = warning = info


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    journal = Journal()
    monkeypatch.setattr(service, "_log", journal)
    monkeypatch.setattr(service, "POLL_S", 0.0)
    return journal


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    config = tmp_path / "drd.yaml"
    config.write_text("state: sqlite:///state/drd.db\nplans: plans\nwork_dir: w\ncache_dir: c\n")
    app = App(str(config))
    yield Daemon(app, str(config), ServiceManager(), lambda _: None)
    app.close()


def _failing(error: CatalogueError) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def test_each_failure_of_the_catalogue_is_logged_and_alerted_once(
    daemon: Daemon, journal: Journal
) -> None:
    alerted: list[str | None] = []
    path = Path("/var/lib/drd/drd.db")
    found = [
        CatalogueError("drd could not upgrade its catalogue"),
        CatalogueError("run 'x y' is not the id of a run"),
        trouble.malformed(path, str(path), "runs.state of r1"),
        trouble.malformed(path, str(path), "runs.kind of r2"),
    ]
    for error in found:
        daemon._run_guarded(_failing(error))
        daemon._run_guarded(_failing(error))
        alerted.append(daemon._monitor._host.facts.catalogue_error)
    messages = [error.message for error in found]
    assert [said["error"] for _, said in journal.lines] == messages
    assert alerted == messages


def test_a_locked_catalogue_is_trouble_when_it_stays_locked(
    daemon: Daemon, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SetClock()
    monkeypatch.setattr(daemon._app, "clock", clock)
    locked = trouble.busy("/var/lib/drd/drd.db")

    def events_after(seconds: float, work: Callable[[], None]) -> list[str]:
        clock.at += timedelta(seconds=seconds)
        journal.lines.clear()
        daemon._run_guarded(work)
        return [event for event, _ in journal.lines]

    assert events_after(0, _failing(locked)) == ["catalogue.busy"]
    assert events_after(20, _failing(locked)) == ["catalogue.busy"]
    assert events_after(1, lambda: None) == [], "nobody was told of trouble that is over"
    assert events_after(20, _failing(locked)) == ["catalogue.busy"], "counted anew"
    assert daemon._monitor._host.facts.catalogue_error is None
    assert events_after(31, _failing(locked)) == ["catalogue.trouble"]
    assert events_after(6, _failing(locked)) == []
    assert daemon._monitor._host.facts.catalogue_error == locked.line
    assert events_after(1, lambda: None) == ["catalogue.works_again"]
    assert daemon._monitor._host.facts.catalogue_error is None


def test_the_end_of_a_run_is_logged_in_one_line_with_the_remedy(
    daemon: Daemon, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon._monitor, "on_run_ended", lambda _: None)
    detail = BackupDetail(remedy="start it.")
    for state, error in (
        (RunState.FAILED, "cannot connect\nFATAL: no"),
        (RunState.SUCCEEDED, None),
    ):
        run = Run("r1", "shop", RunKind.BACKUP, "manual", state, AT, detail=detail, error=error)
        daemon._on_run_ended(run)
    assert [(event, said["error"]) for event, said in journal.lines] == [
        ("run.over", "cannot connect; FATAL: no; remedy: start it."),
        ("run.over", None),
    ]


def test_a_secret_that_is_back_is_seen_at_the_end_of_the_run_that_could_read_it(
    daemon: Daemon, tmp_path: Path
) -> None:
    """Else its alert would fire once more: the failed runs, which told of it, are over."""
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    (tmp_path / "plans").mkdir()
    text = PLAN.format(name="shop").replace("{env: X}", f"{{file: {secret}}}")
    (tmp_path / "plans/shop.yaml").write_text(text)
    daemon._load_plans()
    book, monitor = daemon._app.catalogue.alerts, daemon._monitor

    def missing() -> list[str]:
        return [alert.plan for alert in book.open() if alert.kind == "secret-missing"]

    monitor._assess()
    assert missing() == []
    secret.unlink()
    monitor._assess()
    assert missing() == ["shop"]
    secret.touch(mode=0o600)
    monitor._changed = {"shop"}
    monitor._assess_changed()
    assert missing() == []
