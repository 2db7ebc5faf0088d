"""Whether drd says of a log that begins anew that drd itself has replaced the server's data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.flows.log.events import Events
from drd.model.log import LogBatch, LogMark
from drd.model.run import Decision, RunKind, RunState, StepState
from drd.model.run_details import RecoveryDetail
from drd.model.single_item import Part
from drd.ports.logs import LogLost
from tests.catalogue_support import at, plan

LOST = LogLost("the server does not have file 2 of its log any more", hint="drd goes on")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[SqlCatalogue]:
    with closing(open_catalogue(f"sqlite:///{tmp_path}/state/drd.db", create=True)) as made:
        made.plans.load(plan(), file_digest="f", at=at(0))
        yield made


def events(catalogue: SqlCatalogue) -> Events:
    services: Any = SimpleNamespace(
        catalogue=catalogue,
        clock=SimpleNamespace(now=lambda: at(30)),
        kinds=lambda _: SimpleNamespace(log_place=str),
    )
    return Events(services, plan(), plan().components["orders-db"])


def recovered(catalogue: SqlCatalogue, **detail: Any) -> str:
    """A recovery whose step restores orders-db from 10 to 11."""
    owned = catalogue.runs.begin(
        plan(), RunKind.RECOVERY, trigger="manual", at=at(9), detail=RecoveryDetail(**detail)
    )
    begun = catalogue.steps.begin(owned, "restore", "restore", at(10), subject="orders-db")
    catalogue.steps.finish(owned, begun.name, StepState.SUCCEEDED, at=at(11))
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(12))
    return owned.run.id


def reason(catalogue: SqlCatalogue, since: datetime | None = None) -> str:
    found = events(catalogue).gap(LOST, since or at(8))
    assert found.hint == LOST.hint
    return found.message


@pytest.mark.parametrize("detail", [{"target": "in-place"}, {"target": "here", "in_place": True}])
def test_the_recovery_that_replaced_the_server_is_named(
    catalogue: SqlCatalogue, detail: dict[str, Any]
) -> None:
    run = recovered(catalogue, **detail)
    assert reason(catalogue) == (
        f"the log of orders-db begins anew, because recovery {run} of drd replaced the data at "
        f"{at(11):%Y-%m-%d %H:%M:%S} UTC"
    )
    assert reason(catalogue, at(11)) == LOST.message, "the log went on after the recovery"
    assert events(catalogue).gap(LOST, None) is LOST, "nothing was received before"
    catalogue.decisions.add(run, Decision("", "undo", "anna", "", 0, at(20)))
    assert f"because drd undo {run} put the former data back at " in reason(catalogue, at(15))


def test_a_recovery_beside_production_or_of_a_single_table_is_no_reason(
    catalogue: SqlCatalogue,
) -> None:
    recovered(catalogue, target="standby")
    recovered(catalogue, target="in-place", part=Part(tables=("public.orders",)))
    assert reason(catalogue) == LOST.message


def test_the_new_timeline_of_a_recovered_server_names_the_recovery(
    catalogue: SqlCatalogue,
) -> None:
    before = LogBatch("a", "orders-db", "7", 1, 0, LogMark(64, 1, at(8)))
    told = events(catalogue)
    told.switched(before, LogMark(96, 2, at(12)), ((1, 64),), anew=False)
    assert told.text.endswith("a standby took over, or the server was recovered")
    run = recovered(catalogue, target="in-place")
    told.switched(before, LogMark(96, 2, at(12)), ((1, 64),), anew=False)
    assert f"to 2 at 64: recovery {run} of drd replaced the data at " in told.text
