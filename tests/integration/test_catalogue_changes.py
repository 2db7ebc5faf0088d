"""Which plans' status may have changed: noted by the database, whatever code has written."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from drd.catalogue import summary, summary_queries
from drd.catalogue.changed import identity, read_changed
from drd.catalogue.changes import WATCHED
from drd.catalogue.engine import Database
from drd.catalogue.export import export_to
from drd.catalogue.sql_catalogue import open_catalogue
from drd.catalogue.summary import read_status
from drd.flows.records.noted import note_check
from drd.model import step_results
from drd.model.aside import Aside
from drd.model.chain import Fault
from drd.model.drd_facts import SIGN_OF_LIFE
from drd.model.run import (
    SET_ASIDE,
    CheckResult,
    CheckVerdict,
    Decision,
    DrillResult,
    RunKind,
    RunState,
    StepState,
)
from drd.model.run_details import RecoveryDetail
from drd.model.single_item import Part
from drd.model.step_results import AsideStepResult
from tests.catalogue_support import at, captured, evidence, fresh_url, plan, point


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request, tmp_path)


BY_DRD = {"alembic_version", "daemon_state", "incidents"}
BY_URL = {"repositories"}
"""Of no plan: whoever records one touches the rows of the plans that have its place."""


WITH_EVIDENCE = {"checks"}
"""Of no plan either: they are written with their evidence, in one transaction."""


WITH_RUN = {"steps", "decisions"}
"""What is read of a recovery that is over: its end touches the row of the run, and so does a
decision about all of it."""

WITH_INCIDENT = {"records"}
"""The entries of an incident: its row is written with each of them, in one transaction."""


def names(found: summary.StatusFacts) -> list[str]:
    return [f.plan for f in found.plans]


def test_every_table_that_the_status_reads_is_watched() -> None:
    queries = [v for k, v in vars(summary_queries).items() if k.isupper() and isinstance(v, str)]
    read = {t for q in queries for t in re.findall(r"\b(?:FROM|JOIN) (\w+)", q)}

    assert len(read) > 8
    written_with_another = WITH_EVIDENCE | WITH_RUN | WITH_INCIDENT
    assert read - set(WATCHED) - BY_DRD - BY_URL - written_with_another - {"plan_changes"} == set()


def test_what_a_check_of_the_records_found_is_seen_at_once(url: str, tmp_path: Path) -> None:
    catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
    note_check(catalogue, at(1), [], [Fault(7, "truncated", "cut off")])
    before = read_changed(url, None)
    fault = "the last check of the records found 1 fault: entry 7 (truncated)"
    assert before.facts.records_damage == fault

    note_check(catalogue, at(2), [], [])
    since = read_changed(url, before.seq)
    catalogue.close()
    assert since.seq > before.seq
    assert since.facts.records_damage == ""


def test_the_checks_of_a_drill_are_seen_with_its_evidence(url: str, tmp_path: Path) -> None:
    catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    owned = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(1))
    before = read_changed(url, None)

    def failed(observed: str) -> list[str]:
        bad = CheckResult("few orders", None, CheckVerdict.FAILED, observed, "< 10")
        found = evidence(result=DrillResult.FAILED, run=owned.run.id, checks=(bad,))
        catalogue.evidence.record(owned, found)
        [facts] = read_changed(url, before.seq).facts.plans
        assert facts.last_drill is not None
        return [check.observed for check in facts.last_drill.failed]

    assert failed("2,433") == ["2,433"]
    before = read_changed(url, None)
    assert failed("11") == ["11"], "of a run that was resumed"
    catalogue.close()


def test_a_recovery_that_stopped_is_seen_with_its_end_and_until_somebody_decides(
    url: str, tmp_path: Path
) -> None:
    catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    detail = RecoveryDetail(target="in-place", begun=("db", "conf"))
    owned = catalogue.runs.begin(
        plan(), RunKind.RECOVERY, trigger="manual", at=at(1), detail=detail
    )
    catalogue.steps.begin(owned, "restore db", "restore", at(1), subject="db")
    catalogue.steps.finish(owned, "restore db", StepState.SUCCEEDED, at=at(2))
    before = read_changed(url, None)
    catalogue.runs.finish(owned, RunState.CANCELLED, at=at(3), error="cancelled")
    [facts] = read_changed(url, before.seq).facts.plans
    assert facts.unfinished is not None
    assert (facts.unfinished.replaced, facts.unfinished.left) == (("db",), ("conf",))
    assert (facts.unfinished.kept, facts.unfinished.keeps) == ((), True)
    before = read_changed(url, None)
    catalogue.steps.begin(owned, SET_ASIDE, "aside", at(3))
    copies = (Aside("db", "/db", "/db_before"), Aside("conf", "/c", "/c_after", former=False))
    kept = AsideStepResult(aside=copies)
    catalogue.steps.finish(owned, SET_ASIDE, StepState.SUCCEEDED, at=at(4), result=kept)
    [facts] = read_changed(url, before.seq).facts.plans
    assert facts.unfinished is not None
    assert facts.unfinished.kept == ("db",), "also where it is noted after the end"
    before = read_changed(url, None)
    given_up = Decision("", "done", "anna", "", 1, at(4))
    catalogue.decisions.add(owned.run.id, given_up)
    [facts] = read_changed(url, before.seq).facts.plans
    assert facts.unfinished is None
    catalogue.close()


def test_a_recovery_whose_process_died_is_unfinished_and_does_not_run(
    url: str, tmp_path: Path
) -> None:
    catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    detail = RecoveryDetail(target="in-place", begun=("db", "conf", "web"))
    owned = catalogue.runs.begin(
        plan(), RunKind.RECOVERY, trigger="manual", at=at(1), detail=detail
    )
    for name, kind, result in (
        ("halt", "stop", {"down": ["shop.service", 5]}),
        ("restore db", "restore", {}),
    ):
        subject = "db" if kind == "restore" else ""
        catalogue.steps.begin(owned, name, kind, at(1), subject=subject)
        told = step_results.read(kind, result)
        catalogue.steps.finish(owned, name, StepState.SUCCEEDED, at=at(2), result=told)
    catalogue.steps.begin(owned, "restore conf", "restore", at(2), subject="conf")
    [facts] = read_status(url).plans
    assert (facts.unfinished, facts.running is not None) == (None, True)
    owned.release()
    before = read_changed(url, None)
    assert catalogue.runs.leave(owned.run, at(4))
    [facts] = read_changed(url, before.seq).facts.plans
    assert facts.running is None
    left = facts.unfinished
    assert left is not None
    assert (left.replaced, left.partly, left.left) == (("db",), ("conf",), ("web",))
    assert (left.at, left.state, left.down) == (at(4), "waiting", ("shop.service",))
    adopted = catalogue.runs.adopt(catalogue.runs.get(owned.run.id), at(5))
    assert adopted is not None
    [facts] = read_status(url).plans
    assert (facts.unfinished, facts.running is not None) == (None, True)
    adopted.release()
    catalogue.close()


def test_an_undo_of_a_later_recovery_brings_back_what_an_unfinished_one_left(
    url: str, tmp_path: Path
) -> None:
    catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    detail = RecoveryDetail(target="in-place", begun=("db", "conf"))
    beside = replace(detail, part=Part(into="/restored"))
    known: list[str] = []
    for minute, end, asked in (
        (1, RunState.CANCELLED, detail),
        (4, RunState.SUCCEEDED, detail),
        (7, RunState.CANCELLED, beside),  # it replaces nothing of production
    ):
        owned = catalogue.runs.begin(
            plan(), RunKind.RECOVERY, trigger="manual", at=at(minute), detail=asked
        )
        catalogue.steps.begin(owned, "restore db", "restore", at(minute), subject="db")
        catalogue.steps.finish(owned, "restore db", StepState.SUCCEEDED, at=at(minute + 1))
        catalogue.runs.finish(owned, end, at=at(minute + 2), error=None)
        known.append(owned.run.id)

    def unfinished() -> str | None:
        [facts] = read_status(url).plans
        return facts.unfinished.run if facts.unfinished is not None else None

    assert unfinished() is None, "the later one has replaced everything"
    catalogue.decisions.add(known[1], Decision("", "undo", "anna", "", 1, at(10)))
    assert unfinished() == known[0]
    catalogue.decisions.add(known[0], Decision("", "undo", "anna", "", 1, at(11)))
    assert unfinished() is None
    catalogue.close()


def test_repository_that_is_found_changes_the_plans_of_its_place(url: str, tmp_path: Path) -> None:
    catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    before = read_changed(url, None)
    place = next(iter(plan().repositories.values())).url

    catalogue.repositories.record(place, "a" * 64, at(1))
    found = read_changed(url, before.seq)
    assert names(found.facts) == ["orders-api"]
    assert [r.met for r in found.facts.plans[0].repositories if r.repository == "primary"] == [True]
    catalogue.close()


def test_the_status_reads_the_plans_that_changed_and_no_others(url: str, tmp_path: Path) -> None:
    catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
    for name in ("orders-api", "shop"):
        catalogue.plans.load(replace(plan(), name=name), file_digest="f", at=at(0))

    first = read_changed(url, None)
    assert (names(first.facts), first.everything) == (["orders-api", "shop"], True)
    assert read_changed(url, first.seq).facts.plans == []

    owned = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(1))
    began = read_changed(url, first.seq)
    assert (names(began.facts), began.everything, began.gone) == (["orders-api"], False, ())
    catalogue.points.record(point("p1", at(2), components=[captured()]))
    owned.release()
    stored = read_changed(url, began.seq)
    assert [f.newest and f.newest.id for f in stored.facts.plans] == ["p1"]

    catalogue.queue.note(SIGN_OF_LIFE, {"version": "1"}, at(3))
    lives = read_changed(url, stored.seq)
    assert (lives.facts.plans, lives.facts.daemon is not None) == ([], True)
    catalogue.queue.note("jumped", {}, at(3))
    assert read_changed(url, lives.seq).seq == lives.seq, "of no concern for the status"

    everything = read_status(url)
    assert read_changed(url, None).facts == everything
    catalogue.close()


@pytest.mark.parametrize("kind", [RunKind.BACKUP, RunKind.RECOVERY])
def test_the_status_reads_a_plan_whose_run_may_have_died_each_time(
    url: str, tmp_path: Path, kind: RunKind
) -> None:
    catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
    for name in ("orders-api", "shop"):
        catalogue.plans.load(replace(plan(), name=name), file_digest="f", at=at(0))
    lease = catalogue.runs.begin(plan(), kind, trigger="manual", at=at(1))
    seq = read_changed(url, None).seq
    for _ in range(2):
        assert names(read_changed(url, seq).facts) == ["orders-api"]
    catalogue.runs.finish(lease, RunState.FAILED, error="it died", at=at(2))
    seq = read_changed(url, None).seq
    assert names(read_changed(url, seq).facts) == []
    catalogue.close()


def test_a_count_from_another_catalogue_leads_to_everything(url: str, tmp_path: Path) -> None:
    catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    catalogue.close()

    assert read_changed(url, 10**9).everything
    assert identity(url)


def test_a_change_count_without_its_triggers_is_ignored(url: str, tmp_path: Path) -> None:
    catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    catalogue.close()
    seq = read_changed(url, None).seq
    assert not read_changed(url, seq).everything
    database = Database(url)
    with database.write() as connection:
        of = "" if url.startswith("sqlite") else " ON points"
        connection.execute(text(f"DROP TRIGGER plan_changed_points_insert{of}"))
    database.close()

    assert read_changed(url, seq).everything


def test_a_plan_that_was_forgotten_is_named(url: str, tmp_path: Path) -> None:
    catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    seq = read_changed(url, None).seq
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("DELETE FROM plan_summary"))
        connection.execute(text("DELETE FROM component_summary"))
        connection.execute(text("DELETE FROM plans"))
    database.close()
    catalogue.close()

    assert read_changed(url, seq).gone == ("orders-api",)


def test_a_replica_from_any_database_goes_on_counting(url: str, tmp_path: Path) -> None:
    catalogue = open_catalogue(url, create=True, state_dir=tmp_path / "state")
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    database = Database(url)
    export_to(database, tmp_path / "replica.db")
    database.close()
    catalogue.close()

    with closing(sqlite3.connect(tmp_path / "replica.db")) as replica:
        [[before]] = replica.execute("SELECT max(seq) FROM plan_changes").fetchall()
        replica.execute("UPDATE plans SET owner = 'somebody'")
        [[after]] = replica.execute("SELECT max(seq) FROM plan_changes").fetchall()
    assert after == before + 1
