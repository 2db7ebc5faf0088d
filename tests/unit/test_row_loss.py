"""What would be lost, in rows: counted by a newer point, or as many as came in lately."""

from __future__ import annotations

from dataclasses import replace

from drd.model.row_loss import RowLoss, rows_lost
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, RestorePoint, TableState
from tests.catalogue_support import at


def point(minute: int, mode: str = "counts", **tables: int) -> RestorePoint:
    seen = DatabaseFingerprint(
        mode,  # type: ignore[arg-type]
        {n: TableState(r) for n, r in tables.items()},
        derived=frozenset({"totals"}),
    )
    snapshot = ComponentSnapshot("db", "postgres", "captured", at(minute), "s", 1, fingerprint=seen)
    return RestorePoint(
        f"p{minute}",
        "shop",
        at(minute),
        at(minute),
        complete=True,
        plan_digest="",
        components=(snapshot,),
    )


OLD, CHOSEN = point(0, orders=100, people=50), point(10, orders=200, people=40, totals=7)


def test_lost_rows_are_counted_with_a_newer_point() -> None:
    newer = point(20, orders=230, people=10, fresh=5, totals=900)
    assert rows_lost(CHOSEN, newer, OLD, at(30)) == (RowLoss("db", 35, counted=True),)


def test_lost_rows_are_estimated_from_recent_growth() -> None:
    assert rows_lost(CHOSEN, None, OLD, at(13)) == (RowLoss("db", 30, counted=False),)
    assert rows_lost(CHOSEN, None, OLD, at(10)) == (RowLoss("db", 0, counted=False),)


def test_the_rows_that_a_new_table_began_with_are_no_growth_to_expect() -> None:
    chosen = point(10, orders=200, imported=1_000_000)
    assert rows_lost(chosen, None, OLD, at(13)) == (RowLoss("db", 30, counted=False),)
    newer = point(20, orders=200, imported=1_000_000, fresh=5)
    assert rows_lost(chosen, newer, OLD, at(30)) == (RowLoss("db", 5, counted=True),)


def test_uncounted_tables_have_no_loss() -> None:
    assert rows_lost(CHOSEN, None, None, at(13)) == ()
    assert rows_lost(point(10, "off"), None, OLD, at(13)) == ()
    assert rows_lost(CHOSEN, point(20, "off"), None, at(30)) == ()
    assert rows_lost(CHOSEN, None, point(0, "off"), at(13)) == ()


def test_points_of_the_same_moment_or_in_the_wrong_order_show_no_growth() -> None:
    assert rows_lost(CHOSEN, None, point(10, orders=100), at(13)) == ()
    assert rows_lost(CHOSEN, None, point(11, orders=100), at(13)) == ()
    assert rows_lost(CHOSEN, None, OLD, at(9)) == (RowLoss("db", 0, counted=False),)


def test_no_time_without_a_backup_loses_no_rows_however_many_come_in() -> None:
    busy = point(10, orders=1_000_000)
    for minute in (9, 10):
        assert rows_lost(busy, None, OLD, at(minute)) == (RowLoss("db", 0, counted=False),)


def test_a_newer_point_without_the_database_counts_nothing() -> None:
    newer = replace(point(20, orders=230), components=())
    assert rows_lost(CHOSEN, newer, OLD, at(13)) == (RowLoss("db", 30, counted=False),)
    assert rows_lost(CHOSEN, newer, replace(OLD, components=()), at(13)) == ()
