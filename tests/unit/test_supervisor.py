"""What the supervisor makes of workers that ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from drd.daemon.supervisor import Supervisor
from drd.daemon.workers import Ended
from drd.errors import CatalogueError
from drd.model.cause import Cause
from drd.model.run import Run, RunKind, RunState

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def run(name: str) -> Run:
    return Run(
        id=name,
        plan="shop",
        kind=RunKind.BACKUP,
        trigger="schedule",
        state=RunState.SUCCEEDED,
        started_at=NOW,
        plan_digest="d",
    )


class Workers:
    """Two that end at once."""

    def __init__(self) -> None:
        self.ended = [Ended(SimpleNamespace(run=run(n)), 0, "") for n in "ab"]  # type: ignore[arg-type]

    def kill_overdue(self) -> list[Any]:
        return []

    def reap(self) -> list[Ended]:
        ended, self.ended = self.ended, []
        return ended


def test_run_ends_that_could_not_be_read_are_reported_later() -> None:
    """A worker is reaped once: what the catalogue could not say then would be lost."""
    broken = [CatalogueError("the catalogue cannot be read or written")] * 2

    def look_up(name: str) -> Run:
        if broken:
            raise broken.pop()
        return run(name)

    over: list[str] = []
    catalogue: Any = SimpleNamespace(runs=SimpleNamespace(get=look_up))
    workers: Any = Workers()
    supervisor = Supervisor(catalogue, workers, lambda r: over.append(r.id))
    for _ in range(2):
        with pytest.raises(CatalogueError):
            supervisor.reap(NOW)
    supervisor.reap(NOW)
    assert over == ["a", "b"]
    supervisor.reap(NOW)
    assert over == ["a", "b"]


def test_a_death_that_cannot_be_recorded_is_logged_once(logged: Callable[[], str]) -> None:
    """On a full disk each look tries again: a line a second would be all that the journal holds."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise CatalogueError("the disk of drd's catalogue is full")

    running = replace(run("a"), state=RunState.RUNNING)
    catalogue: Any = SimpleNamespace(runs=SimpleNamespace(get=lambda _: running, adopt=refuse))
    workers: Any = SimpleNamespace(
        kill_overdue=list, reap=lambda: ended.pop() if ended else [], start=refuse
    )
    ended = [[Ended(SimpleNamespace(run=running, cancelled=False), 1, Cause("killed"))]]  # type: ignore[arg-type]
    supervisor = Supervisor(catalogue, workers, lambda _: None)
    for _ in range(10):
        with pytest.raises(CatalogueError):
            supervisor.reap(NOW)
    assert logged().count("run.died") == 1


def test_a_killed_run_is_logged_with_the_cause_in_words(logged: Callable[[], str]) -> None:
    why = Cause("the run did not finish within 2h", "run-too-long", "raise `timeout`.")
    workers: Any = Workers()
    late = [SimpleNamespace(run=run("a"), why=why), SimpleNamespace(run=run("b"), why=None)]
    workers.kill_overdue = lambda: late
    catalogue: Any = SimpleNamespace(runs=SimpleNamespace(get=run))
    Supervisor(catalogue, workers, lambda _: None).reap(NOW)
    first, second = (line for line in logged().splitlines() if "run.killed" in line)
    assert '"why": "the run did not finish within 2h"' in first
    assert '"code": "run-too-long"' in first
    assert '"remedy": "raise `timeout`."' in first
    assert '"why"' not in second
    assert "Cause(" not in first + second
