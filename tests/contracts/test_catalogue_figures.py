"""What monitoring is told of the catalogue, on each database."""

from __future__ import annotations

import pytest
from sqlalchemy import Table, create_engine

from drd.catalogue.daemon_tables import copies, verifications
from drd.catalogue.record_tables import incidents
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.catalogue.tables import alerts
from drd.model.figures import (
    AlertFigures,
    CatalogueFigures,
    CopyFigures,
    IncidentFigures,
    RunFigures,
    VerificationFigures,
)
from drd.model.run import RunKind, RunState
from drd.model.run_details import RunDetail
from tests.catalogue_support import at, plan


def run(
    catalogue: SqlCatalogue, kind: RunKind, state: RunState, minutes: float, **detail: int
) -> None:
    owned = catalogue.runs.begin(
        plan(), kind, trigger="manual", detail=RunDetail.from_json(detail), at=at(minutes)
    )
    catalogue.runs.finish(owned, state, at=at(minutes + 1))


def insert(url: str, table: Table, *rows: dict[str, object]) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for row in rows:
            connection.execute(table.insert().values(**row))
    engine.dispose()


def test_empty_catalogue_has_no_figures(catalogue: SqlCatalogue) -> None:
    assert catalogue.figures() == CatalogueFigures()


def test_figures_have_the_last_run_of_each_kind(catalogue: SqlCatalogue) -> None:
    run(catalogue, RunKind.BACKUP, RunState.SUCCEEDED, 0, bytes=500)
    run(catalogue, RunKind.BACKUP, RunState.FAILED, 10)
    run(catalogue, RunKind.BACKUP, RunState.FAILED, 20)
    run(catalogue, RunKind.DRILL, RunState.SUCCEEDED, 30)
    catalogue.runs.begin(plan(), RunKind.RETENTION, trigger="manual", at=at(40))

    assert set(catalogue.figures().runs) == {
        RunFigures("orders-api", "backup", "", at(21), at(1), "failed", 60.0, 500, 2),
        RunFigures("orders-api", "drill", "", at(31), at(31), "succeeded", 60.0, None, 0),
        RunFigures("orders-api", "retention", "", None, None, None, None, None, 0),
    }


def test_figures_of_copies_and_verifications_keep_unknowns(
    catalogue: SqlCatalogue, catalogue_url: str
) -> None:
    copy = {"plan": "orders-api", "copy_of": "primary", "position": 0}
    insert(
        catalogue_url,
        copies,
        {**copy, "repository": "second", "data_time": at(5)},
        {**copy, "repository": "third"},
    )
    cycle = {"plan": "orders-api", "parts": 4, "next_part": 2, "cycle_started_at": at(0)}
    insert(
        catalogue_url,
        verifications,
        {**cycle, "repository": "primary", "last_complete_at": at(7)},
        {**cycle, "repository": "second", "error": "pack 4f2a: does not match its hash"},
    )

    found = catalogue.figures()
    assert set(found.copies) == {
        CopyFigures("orders-api", "second", at(5)),
        CopyFigures("orders-api", "third", None),
    }
    assert set(found.verifications) == {
        VerificationFigures("orders-api", "primary", at(7), damaged=False),
        VerificationFigures("orders-api", "second", None, damaged=True),
    }


@pytest.mark.parametrize("resolved", [True, False])
def test_open_alerts_are_counted_and_resolved_ones_are_not(
    catalogue: SqlCatalogue, catalogue_url: str, resolved: bool
) -> None:
    alert = {
        "plan": "orders-api",
        "kind": "rpo_breached",
        "subject": "",
        "severity": "critical",
        "state": "firing",
        "since": at(0),
        "message": "no backup for 3h",
        "resolved_at": at(5) if resolved else None,
    }
    insert(
        catalogue_url,
        alerts,
        {**alert, "id": "a1"},
        {**alert, "id": "a2"},
        {**alert, "id": "a3", "plan": "", "state": "acknowledged"},
    )
    expected = {
        AlertFigures("orders-api", "rpo_breached", "critical", "firing", 2),
        AlertFigures("", "rpo_breached", "critical", "acknowledged", 1),
    }
    assert set(catalogue.figures().alerts) == (set() if resolved else expected)


def test_figures_have_open_incidents_before_suspicions(
    catalogue: SqlCatalogue, catalogue_url: str
) -> None:
    rest = {
        "severity": "",
        "rule": "",
        "restricted": False,
        "plans": [],
        "opened_at": at(0),
        "next_at": None,
    }
    known = [
        {"number": 1, "title": "odd logins", "state": "reported", "next_at": at(60)},
        {"number": 2, "title": "over", "state": "closed", "closed_at": at(9)},
        {"number": 3, "title": "secret", "state": "contained", "restricted": True},
    ]
    insert(catalogue_url, incidents, *({**rest, **one} for one in known))
    assert catalogue.figures().incidents == (
        IncidentFigures(3, "contained", "", True, None),
        IncidentFigures(1, "reported", "", False, at(60)),
    )
