"""What every catalogue promises about restore points, evidence and repositories."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.catalogue.summary import read_facts
from drd.catalogue.tables import runs
from drd.errors import AlreadyRunning, NoRestorePoint, UsageError
from drd.model.run import DrillResult, RunKind, RunState
from drd.model.snapshot import FileEntry, TreeFingerprint
from tests.catalogue_support import (
    at,
    captured,
    evidence,
    failed,
    fingerprint,
    opened,
    plan,
    point,
)


def fingerprints_kept(catalogue: SqlCatalogue, tmp_path: Path) -> int:
    """Counted in an export, which is a SQLite file whatever the catalogue is."""
    copy = tmp_path / "count.db"
    catalogue.export_to(copy)
    connection = sqlite3.connect(copy)
    try:
        return int(connection.execute("select count(*) from fingerprints").fetchone()[0])
    finally:
        connection.close()


# --- restore points --------------------------------------------------------------------------


def test_point_comes_back_as_it_was_recorded(catalogue: SqlCatalogue) -> None:
    tree = TreeFingerprint({"/etc/\udcff": FileEntry("file", 0o644, 0, 0, 3, "ab")}, {"/x": "why"})
    whole = point(
        "p1",
        at(0),
        components=(
            captured("orders-db", seen=fingerprint(orders=3, items=9)),
            captured("gateway", seen=tree),
            failed("sessions", "no socket \udcfe"),
        ),
        complete=False,
    )

    catalogue.points.record(whole)

    rest = replace(whole.components[2], error="no socket \\xfe")
    expected = replace(whole, components=(*whole.components[:2], rest))
    assert catalogue.points.get("orders-api", "p1") == expected
    assert catalogue.points.of_plan("orders-api", fingerprints=True) == [expected]
    bare = tuple(replace(c, fingerprint=None) for c in expected.components)
    assert catalogue.points.of_plan("orders-api") == [replace(expected, components=bare)]


def test_points_are_newest_data_first_and_only_the_plans(catalogue: SqlCatalogue) -> None:
    for name, minutes in (("p2", 20), ("p1", 10), ("p3", 30)):
        catalogue.points.record(point(name, at(minutes)))
    catalogue.points.record(point("p4", at(40), plan="billing"))

    assert [p.id for p in catalogue.points.of_plan("orders-api")] == ["p3", "p2", "p1"]


def test_recording_a_point_again_replaces_it(catalogue: SqlCatalogue, tmp_path: Path) -> None:
    catalogue.points.record(point("p1", at(0), components=[captured(seen=fingerprint(a=1))]))

    other = point("p1", at(0), components=[captured(size=7, seen=fingerprint(a=2)), failed()])
    catalogue.points.record(other)

    assert catalogue.points.of_plan("orders-api", fingerprints=True) == [other]
    assert fingerprints_kept(catalogue, tmp_path) == 1


def test_equal_fingerprints_are_kept_once_and_go_with_the_last(
    catalogue: SqlCatalogue, tmp_path: Path
) -> None:
    same = fingerprint(orders=3)
    for name, minutes in (("p1", 10), ("p2", 20)):
        catalogue.points.record(point(name, at(minutes), components=[captured(seen=same)]))
    catalogue.points.record(point("p3", at(30), components=[captured(seen=fingerprint(orders=4))]))
    assert fingerprints_kept(catalogue, tmp_path) == 2

    catalogue.points.forget(["p1"], at(60))
    assert catalogue.points.get("orders-api", "p2").components[0].fingerprint == same

    catalogue.points.forget(["p2", "p3"], at(60))
    assert fingerprints_kept(catalogue, tmp_path) == 0


def test_forgotten_points_stay_for_the_history(catalogue: SqlCatalogue) -> None:
    catalogue.points.record(point("p1", at(0)))
    catalogue.points.record(point("p2", at(10)))

    catalogue.points.forget(["p1", "unknown"], at(60))
    catalogue.points.forget(["p1"], at(70))

    assert [p.id for p in catalogue.points.of_plan("orders-api")] == ["p2"]
    everything = catalogue.points.of_plan("orders-api", kept_only=False)
    assert [(p.id, p.forgotten_at) for p in everything] == [("p2", None), ("p1", at(60))]
    with pytest.raises(
        NoRestorePoint, match="drd forgot restore point p1 of plan orders-api at 2026"
    ):
        catalogue.points.get("orders-api", "p1")


def test_point_is_found_by_the_start_of_its_id(catalogue: SqlCatalogue) -> None:
    for name in ("7c1e0000", "7c1f0000", "7c1f00001111"):
        catalogue.points.record(point(name, at(0)))

    assert catalogue.points.get("orders-api", "7c1e").id == "7c1e0000"
    assert catalogue.points.get("orders-api", "7c1f0000").id == "7c1f0000", (
        "a whole id is not ambiguous"
    )
    with pytest.raises(
        UsageError, match="the ids of several restore points of orders-api begin with '7c1'"
    ):
        catalogue.points.get("orders-api", "7c1")
    for unknown in ("", "9", "%", "7c1_"):
        with pytest.raises(NoRestorePoint) as raised:
            catalogue.points.get("orders-api", unknown)
        assert raised.value.hint == "drd points orders-api lists the restore points."
    with pytest.raises(NoRestorePoint):
        catalogue.points.get("billing", "7c1e")


def test_sizes_are_of_the_newest_captures(catalogue: SqlCatalogue) -> None:
    for minutes in range(5):
        catalogue.points.record(
            point(f"p{minutes}", at(minutes), components=[captured(size=100 + minutes)])
        )
    catalogue.points.record(point("p9", at(9), components=[failed("orders-db")], complete=False))

    assert catalogue.points.component_sizes("orders-api", "orders-db", limit=3) == [104, 103, 102]
    assert catalogue.points.component_sizes("orders-api", "gateway") == []


def test_facts_are_those_of_the_newest_capture(catalogue: SqlCatalogue) -> None:
    for minutes in range(3):
        one = replace(captured("orders-db"), facts={"chain": minutes})
        catalogue.points.record(point(f"p{minutes}", at(minutes), components=[one]))
    catalogue.points.record(point("p9", at(9), components=[failed("orders-db")], complete=False))
    assert catalogue.points.newest_facts("orders-api", "orders-db", "files") == {"chain": 2}
    assert catalogue.points.newest_facts("orders-api", "orders-db", "postgres") == {}


def test_durations_are_of_the_newest_backups_that_succeeded(catalogue: SqlCatalogue) -> None:
    def run(kind: RunKind, state: RunState, start: float, minutes: float) -> None:
        owned = catalogue.runs.begin(plan(), kind, trigger="manual", at=at(start))
        catalogue.runs.finish(owned, state, at=at(start + minutes))

    for n in range(3):
        run(RunKind.BACKUP, RunState.SUCCEEDED, 10 * n, n + 1)
    run(RunKind.BACKUP, RunState.FAILED, 50, 9)
    run(RunKind.DRILL, RunState.SUCCEEDED, 60, 9)

    assert catalogue.runs.backup_durations("orders-api") == [180, 120, 60]
    assert catalogue.runs.backup_durations("orders-api", limit=1) == [180]
    assert catalogue.runs.backup_durations("billing") == []


def test_a_taken_over_backup_has_no_duration(catalogue: SqlCatalogue) -> None:
    owned = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(0))
    owned.release()
    adopted = catalogue.runs.adopt(owned.run, at(600))
    assert adopted is not None

    catalogue.runs.finish(adopted, RunState.SUCCEEDED, at=at(600))

    assert catalogue.runs.backup_durations("orders-api") == []


def test_a_forged_success_without_an_end_has_no_duration(
    catalogue: SqlCatalogue, catalogue_url: str
) -> None:
    ended = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(0))
    catalogue.runs.finish(ended, RunState.SUCCEEDED, at=at(2))
    forged = catalogue.runs.begin(plan(), RunKind.BACKUP, trigger="manual", at=at(10))
    catalogue.runs.finish(forged, RunState.SUCCEEDED, at=at(11))
    engine = create_engine(catalogue_url)
    with engine.begin() as connection:
        connection.execute(runs.update().where(runs.c.id == forged.run.id).values(finished_at=None))
    engine.dispose()

    assert catalogue.runs.backup_durations("orders-api") == [120]


# --- evidence -------------------------------------------------------------------------------


def test_evidence_comes_back_as_it_was_recorded(catalogue: SqlCatalogue) -> None:
    owned = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(0))
    older = evidence("e1", finished_at=at(1), result=DrillResult.FAILED, reason="rows differ")
    newer = evidence("e2", finished_at=at(2), target="standby", lost_at=at(-5), rpa_s=None)

    catalogue.evidence.record(owned, older)
    catalogue.evidence.record(owned, newer)

    assert catalogue.evidence.newest("orders-api") == [newer, older]
    assert catalogue.evidence.newest("orders-api", limit=1) == [newer]
    assert catalogue.evidence.newest("billing") == []
    assert catalogue.evidence.newest(None) == [newer, older]
    assert catalogue.evidence.of_run("00000000") is None
    assert catalogue.evidence.find(newer.id) == newer


def test_evidence_of_a_resumed_run_replaces_the_former(catalogue: SqlCatalogue) -> None:
    owned = catalogue.runs.begin(plan(), RunKind.RECOVERY, trigger="manual", at=at(0))
    catalogue.evidence.record(owned, evidence("e1"))

    last = evidence("e1", finished_at=at(9), checks=evidence().checks[:1])
    catalogue.evidence.record(owned, last)

    assert catalogue.evidence.newest("orders-api") == [last]


@pytest.mark.parametrize(
    ("result", "target", "proven"),
    [
        (DrillResult.PASSED, None, "e1"),
        (DrillResult.FAILED, None, None),
        (DrillResult.INCONCLUSIVE, None, None),
        (DrillResult.PASSED, "standby", None),
    ],
)
def test_only_a_passed_drill_proves_its_point(
    catalogue: SqlCatalogue, result: DrillResult, target: str | None, proven: str | None
) -> None:
    catalogue.points.record(point("p1", at(0)))
    catalogue.points.record(point("p2", at(1)))
    owned = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(0))

    catalogue.evidence.record(owned, evidence("e1", result=result, target=target))

    assert [p.proven_by for p in catalogue.points.of_plan("orders-api")] == [None, proven]


def test_rebuilding_a_point_keeps_what_drills_found(catalogue: SqlCatalogue) -> None:
    catalogue.points.record(point("p1", at(0)))
    owned = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(0))
    catalogue.evidence.record(owned, evidence("e1"))
    catalogue.points.forget(["p1"], at(5))

    catalogue.points.record(point("p1", at(0)))

    [again] = catalogue.points.of_plan("orders-api")
    assert (again.proven_by, again.forgotten_at) == ("e1", None)
    catalogue.points.record(replace(point("p2", at(1)), proven_by="of-a-lost-host"))
    catalogue.points.record(point("p2", at(1)))
    assert catalogue.points.get("orders-api", "p2").proven_by == "of-a-lost-host"


# --- repositories, copies, locks -------------------------------------------------------------


def test_repository_id_is_remembered_for_its_url(catalogue: SqlCatalogue) -> None:
    assert catalogue.repositories.id_of("/srv/r") is None

    catalogue.repositories.record("/srv/r", "abc", at(0))
    catalogue.repositories.record_self_backup("/srv/r", at(1))
    catalogue.repositories.record("/srv/r", "abc", at(2))

    assert catalogue.repositories.id_of("/srv/r") == "abc"
    assert catalogue.repositories.id_of("/srv/other") is None
    assert catalogue.repositories.last_self_backup("/srv/r") == at(1)
    assert catalogue.repositories.last_self_backup("/srv/other") is None
    before = catalogue.repositories.count()
    catalogue.repositories.record("/srv/other", "0" * 64, at(2))
    assert catalogue.repositories.count() == before + 1


def test_a_changed_plan_is_stored_with_its_next_backup(catalogue: SqlCatalogue) -> None:
    """Who has only the repository recovers by the plan in it."""
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    catalogue.repositories.record("/srv/r", "abc", at(0))
    for digest, still in (("f", at(1)), ("f", at(1)), ("a comment more", None)):
        catalogue.repositories.record_self_backup("/srv/r", at(1))
        catalogue.plans.load(plan(), file_digest=digest, at=at(2))
        assert catalogue.repositories.last_self_backup("/srv/r") == still


def test_export_is_one_private_sqlite_file_that_opens_as_a_catalogue(
    catalogue: SqlCatalogue, tmp_path: Path
) -> None:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    original = point("p1", at(0), components=[captured(seen=fingerprint(a=1)), failed()])
    catalogue.points.record(original)
    copy = tmp_path / "copy" / "drd.db"
    copy.parent.mkdir()

    catalogue.export_to(copy)
    catalogue.export_to(copy)

    assert [p.name for p in copy.parent.iterdir()] == ["drd.db"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    [facts] = read_facts(f"sqlite:///{copy}")
    assert facts.newest is not None
    assert facts.newest.id == "p1"
    reopened = opened(f"sqlite:///{copy}", tmp_path)
    assert reopened.points.of_plan("orders-api", fingerprints=True) == [original]
    reopened.close()


def test_lock_excludes_until_it_is_left_and_leaves_no_file(
    catalogue: SqlCatalogue, tmp_path: Path
) -> None:
    name = "init s3:http://127.0.0.1/bucket/../x"
    with catalogue.lock(name, wait_s=0), catalogue.lock("another", wait_s=0):
        with (
            pytest.raises(AlreadyRunning, match="holds the lock init s3") as raised,
            catalogue.lock(name, wait_s=0.1),
        ):
            pass
        assert "drd runs" in raised.value.hint
    assert os.listdir(tmp_path / "state" / "locks") == []  # noqa: PTH208


def test_waiting_processes_get_the_lock_in_turn(catalogue: SqlCatalogue) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        with catalogue.lock("init", wait_s=30):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1] * 8
