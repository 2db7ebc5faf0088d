"""A plan that nobody wants to hear of any more leaves nothing but its open alerts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from drd.catalogue import plan_versions
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.catalogue.tables import metadata
from drd.errors import AlreadyRunning, UnknownPlan
from drd.model.alerts import Alert, AlertChange, Transition
from drd.model.run import RunKind, RunState
from tests.catalogue_support import at, evidence, plan, point

STAYING = ("plan_changes", "records", "record_bodies")
"""Readers have to learn that a plan is gone, and records are never removed."""


def rows(catalogue: SqlCatalogue) -> dict[str, int]:
    with catalogue.database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
            if table.name not in STAYING
        }


def lived(catalogue: SqlCatalogue, name: str) -> None:
    """Backups, a drill with evidence, a forgotten point, and the text of the plan."""
    loaded = plan(name)
    catalogue.plans.load(loaded, file_digest="f", at=at(0))
    catalogue.queue.accept(name, "plan: x", {"jobs": []})
    for number in range(3):
        owned = catalogue.runs.begin(loaded, RunKind.BACKUP, trigger="schedule", at=at(number))
        catalogue.steps.begin(owned, "capture", "capture", at(number))
        catalogue.points.record(point(f"{name}-{number}", at(number), plan=name), owned=owned)
        catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(number))
    catalogue.points.forget([f"{name}-0"], at(4))
    owned = catalogue.runs.begin(loaded, RunKind.DRILL, trigger="manual", at=at(5))
    catalogue.evidence.record(owned, evidence(f"e-{name}", plan=name, point=f"{name}-2"))
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(6))


def test_the_texts_of_a_plan_are_kept_until_it_is_forgotten(catalogue: SqlCatalogue) -> None:
    def load(digest: str, minutes: float) -> None:
        text = replace(plan("billing", digest=digest), resolved={"plan": "billing", "is": digest})
        catalogue.plans.load(text, file_digest="f", at=at(minutes))

    for number, digest in enumerate(("d1", "d2", "d1")):
        load(digest, number)
    kept = catalogue.plans.texts("billing")
    assert {digest: text["is"] for digest, text in kept.items()} == {"d1": "d1", "d2": "d2"}
    for number in range(plan_versions.MOST):
        load(f"n{number}", 3 + number)
    kept = catalogue.plans.texts("billing")
    assert (len(kept), "d2" in kept, "n0" in kept, "n199" in kept) == (201, False, True, True)
    catalogue.plans.forget("billing", at(999))
    assert catalogue.plans.texts("billing") == {}


def test_forgetting_a_plan_leaves_other_plans_alone(catalogue: SqlCatalogue) -> None:
    lived(catalogue, "billing")
    before = rows(catalogue)
    lived(catalogue, "orders-api")
    assert {k for k, n in rows(catalogue).items() if n > before[k]} >= {"plan_sources", "checks"}

    known = catalogue.plans.records("orders-api")
    assert (known.points, known.runs, known.evidence) == (3, 4, 1)
    assert catalogue.plans.forget("orders-api", at(9)) == known

    assert rows(catalogue) == before
    assert catalogue.plans.names() == ["billing"]
    assert len(catalogue.points.of_plan("billing")) == 2
    with pytest.raises(UnknownPlan, match="orders-api"):
        catalogue.plans.forget("orders-api", at(9))
    [entry] = catalogue.records.newest(plan="orders-api", kind="plan.forget")
    assert entry.body is not None
    assert '"had":{"evidence":1,' in entry.body.text
    assert [e.header.kind for e in catalogue.records.newest(plan="orders-api", limit=9)] == [
        "plan.forget",
        "evidence",
    ]


def test_every_table_with_rows_of_plans_is_emptied_or_named_here() -> None:
    handled = {"runs", "evidence", "points", "component_snapshots", "alerts", "holds"}
    passing = {"outbox", "plan_changes"}  # messages on their way; what readers have to learn
    of_plans = {t.name for t in metadata.sorted_tables if "plan" in t.columns}
    emptied = {t.name for t in metadata.sorted_tables if "of_a_plan" in t.info}
    assert of_plans - emptied == handled | passing


def test_an_open_alert_stays_until_it_is_resolved(catalogue: SqlCatalogue) -> None:
    lived(catalogue, "billing")
    alert = Alert(
        id="a1", plan="billing", kind="rpo", subject="", severity="critical", state="firing",
        since=at(0), text="late", seen_at=at(0), told_at=at(0),
    )  # fmt: skip
    catalogue.alerts.apply([Transition(AlertChange.FIRED, None, alert)], at(0), lambda _: [])
    catalogue.plans.forget("billing", at(9))
    assert [a.id for a in catalogue.alerts.open()] == ["a1"]


def test_a_plan_with_an_open_run_cannot_be_forgotten(catalogue: SqlCatalogue) -> None:
    loaded = plan("billing")
    catalogue.plans.load(loaded, file_digest="f", at=at(0))
    owned = catalogue.runs.begin(loaded, RunKind.BACKUP, trigger="manual", at=at(1))
    with pytest.raises(AlreadyRunning, match=owned.run.id):
        catalogue.plans.forget("billing", at(9))
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(2))
    catalogue.plans.forget("billing", at(9))


def test_runs_after_the_plan_was_loaded_again_are_seen_as_changes(catalogue: SqlCatalogue) -> None:
    """Readers ask for what changed after the last change that they know, also if the rows which had
    it are gone."""
    lived(catalogue, "billing")
    lived(catalogue, "orders-api")
    seen = max(row.changed for row in catalogue.queue.jobs())
    catalogue.plans.forget("orders-api", at(9))
    assert {row.plan for row in catalogue.queue.jobs()} == {"billing"}
    lived(catalogue, "orders-api")
    changed = catalogue.queue.jobs(seen)
    assert {(row.plan, row.kind) for row in changed} == {
        ("orders-api", "backup"),
        ("orders-api", "drill"),
    }
