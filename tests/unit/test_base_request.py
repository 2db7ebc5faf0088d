"""When drd requests a base backup without which the log of a component is of no use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.flows.log.base_request import AGAIN_S, BaseRequest
from drd.model.run import RunKind, RunState
from tests.catalogue_support import at, plan


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[SqlCatalogue]:
    with closing(open_catalogue(f"sqlite:///{tmp_path}/state/drd.db", create=True)) as made:
        made.plans.load(plan(), file_digest="f", at=at(0))
        yield made


class Clock:
    def __init__(self) -> None:
        self.time = at(0)

    def now(self) -> Any:
        return self.time


def request(catalogue: SqlCatalogue, clock: Clock) -> int:
    """One by a process that has requested nothing yet; returns how many are queued then."""
    services: Any = SimpleNamespace(catalogue=catalogue, clock=clock)
    BaseRequest(services, plan(), "orders-db").ask()
    return sum(run.trigger == "log" for run in catalogue.queue.open_runs())


def end(catalogue: SqlCatalogue, clock: Clock, state: RunState) -> None:
    (run,) = [run for run in catalogue.queue.open_runs() if run.trigger == "log"]
    owned = catalogue.runs.begin(
        plan(), RunKind.BACKUP, trigger="log", at=clock.now(), claim=run.id
    )
    catalogue.runs.finish(owned, state, at=clock.now(), error="no" if state == "failed" else None)


def test_a_base_backup_that_failed_is_not_requested_again_at_once(catalogue: SqlCatalogue) -> None:
    """Not by another process, and not for the log of another component, either."""
    clock = Clock()
    assert request(catalogue, clock) == 1
    assert request(catalogue, clock) == 1, "one is open"
    end(catalogue, clock, RunState.FAILED)
    clock.time += timedelta(seconds=AGAIN_S - 1)
    assert request(catalogue, clock) == 0
    clock.time += timedelta(seconds=2)
    assert request(catalogue, clock) == 1


def test_after_a_base_backup_that_succeeded_the_next_need_not_wait(
    catalogue: SqlCatalogue,
) -> None:
    clock = Clock()
    assert request(catalogue, clock) == 1
    end(catalogue, clock, RunState.SUCCEEDED)
    assert request(catalogue, clock) == 1
