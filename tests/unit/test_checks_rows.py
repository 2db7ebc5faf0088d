"""Comparing tables of two fingerprints."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drd.checks.rows import RowCounts, RowsCheck
from drd.errors import SourceError, SourceUnreachable
from drd.model.plan import CheckSpec
from drd.model.run import CheckResult, CheckVerdict
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    Fingerprint,
    TableState,
    fingerprint_from_json,
)
from drd.testing.checks import context


class Database:
    """An inspector that has this fingerprint, or this trouble."""

    location = "here"
    environment: dict[str, str] = {}  # noqa: RUF012 - the port's shape

    def __init__(self, now: DatabaseFingerprint | Exception) -> None:
        self.now = now

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        raise NotImplementedError

    def execute(self, statements: str, *, timeout_s: float) -> int:
        raise NotImplementedError

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        assert budget_s == 300.0
        if isinstance(self.now, Exception):
            raise self.now
        return self.now


def tables(_mode: str = "counts", **rows: int | tuple[int, str] | str) -> DatabaseFingerprint:
    """Counts, counts with digests, or the reason why a table was not reached."""
    return DatabaseFingerprint(
        "digest" if _mode == "digest" else "off" if _mode == "off" else "counts",
        {
            n: TableState(r) if isinstance(r, int) else TableState(*r)
            for n, r in rows.items()
            if not isinstance(r, str)
        },
        {n: r for n, r in rows.items() if isinstance(r, str)},
    )


def run(
    before: Fingerprint | None,
    now: DatabaseFingerprint | Exception | None,
    tolerance: int | str = 0,
    *,
    exposed: bool = False,
) -> list[CheckResult]:
    settings = RowsCheck(kind="rows", name="rows", component="db", tolerance=tolerance)
    snapshot = ComponentSnapshot("db", "sqlite", "captured", fingerprint=before)
    inspectors = {} if now is None else {"db": Database(now)}
    seen = replace(context(inspectors, snapshot), exposed=exposed)
    return RowCounts().run(CheckSpec("rows", "rows", "db", settings), seen)


@pytest.mark.parametrize("before", [tables(a=300, b=12), tables(a="it changed", b=12)])
def test_a_table_that_is_damaged_after_the_restore_fails_whatever_the_backup_read(
    before: DatabaseFingerprint,
) -> None:
    now = replace(tables(a="invalid page in block 3", b=12), damaged=frozenset({"a"}))
    (row,) = run(before, now)
    assert row.verdict is CheckVerdict.FAILED
    assert row.observed == "a is damaged and cannot be read: invalid page in block 3"


def test_the_same_counts_pass_with_a_summary() -> None:
    (row,) = run(tables(a=300, b=12), tables(a=300, b=12))
    assert row.verdict is CheckVerdict.PASSED
    assert row.looked_at_data
    assert (row.observed, row.expected) == ("2 tables, 312 rows, 0 differ", "as at backup")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (tables(a=300, b=11), "b has 11 rows, had 12"),
        (tables(a=300), "b is missing (had 12 rows)"),
        (tables(a=300, b=12, c=0), "c did not exist at backup"),
        (tables(a=300, b=12, c="budget"), "c did not exist at backup"),
    ],
)
def test_each_difference_fails_by_name(now: DatabaseFingerprint, said: str) -> None:
    (own, *_) = run(tables(a=300, b=12), now)
    assert own.verdict is CheckVerdict.FAILED
    assert own.observed == said


def test_a_table_that_was_never_counted_still_has_to_be_there() -> None:
    (own,) = run(tables(a=1, b="no time"), tables(a=1))
    assert own.verdict is CheckVerdict.FAILED
    assert "b is missing" in own.observed


def test_more_rows_than_at_the_backup_are_reported_in_words_and_stay_a_failure() -> None:
    before, more = tables(a=300, b=12), tables(a=2300, b=12)
    (drilled,) = run(before, more)
    assert drilled.verdict is CheckVerdict.FAILED
    assert drilled.observed == "a has 2,300 rows, 2,000 rows more than at the backup"
    (recovered,) = run(before, more, exposed=True)
    assert recovered.verdict is CheckVerdict.FAILED
    assert recovered.observed == f"{drilled.observed}: does the application write already?"
    (lost,) = run(before, tables(a=2300, b=11), exposed=True)
    assert lost.verdict is CheckVerdict.FAILED
    assert "does the application" not in lost.observed
    (other,) = run(tables("digest", a=(1, "x")), tables("digest", a=(1, "y")), exposed=True)
    assert other.observed == "a has 1 row as before, but other contents"


def test_contents_that_differ_perhaps_because_of_the_dump_say_so() -> None:
    now = replace(tables("digest", a=(1, "y"), b=(1, "x")), rewritten={"a": "why", "b": "no"})
    (own,) = run(tables("digest", a=(1, "x"), b=(1, "x")), now)
    assert own.verdict is CheckVerdict.FAILED
    assert own.observed == "a has 1 row as before, but other contents (why)"


def test_at_most_five_differences_are_named() -> None:
    before = tables(**{f"t{n}": 1 for n in range(9)})
    (own,) = run(before, tables(**{f"t{n}": 2 for n in range(9)}))
    assert own.observed.startswith(
        "9 tables differ: t0 has 2 rows, 1 row more than at the backup; "
    )
    assert own.observed.endswith("; and 4 more")


def test_digests_count_where_both_sides_have_them() -> None:
    before = tables("digest", a=(1, "x"))
    assert run(before, tables("digest", a=(1, "x")))[0].verdict is CheckVerdict.PASSED
    (own,) = run(before, tables("digest", a=(1, "y")))
    assert own.verdict is CheckVerdict.FAILED
    assert "other contents" in own.observed
    assert run(before, tables(a=1))[0].verdict is CheckVerdict.PASSED


def test_a_tolerance_allows_counts_and_contents_to_move() -> None:
    before = tables("digest", a=(100, "x"))
    assert run(before, tables("digest", a=(99, "y")), "1%")[0].verdict is CheckVerdict.PASSED
    assert run(before, tables("digest", a=(98, "y")), "1%")[0].verdict is CheckVerdict.FAILED
    assert run(before, tables("digest", a=(98, "y")), 2)[0].verdict is CheckVerdict.PASSED
    assert run(before, tables(), 2)[0].verdict is CheckVerdict.FAILED


@pytest.mark.parametrize(
    ("before", "now", "side"),
    [
        (tables(a=1, b="slow"), tables(a=1, b=2), "in the source: slow"),
        (tables(a=1, b=2), tables(a=1, b="slow"), "after the restore: slow"),
    ],
)
def test_a_table_past_the_budget_is_a_part_by_name_and_never_passed(
    before: DatabaseFingerprint, now: DatabaseFingerprint, side: str
) -> None:
    own, part = run(before, now)
    assert own.verdict is CheckVerdict.PASSED
    assert own.observed == "1 table, 1 row, 0 differ"
    assert (part.name, part.part, part.verdict) == ("rows: b", True, CheckVerdict.NOT_RUN)
    assert side in part.observed


def test_thousands_of_tables_past_the_budget_are_counted_by_reason() -> None:
    late = {f"t{n:04}": "slow" for n in range(1, 2001)} | {"t0500": "locked", "t1500": "locked"}
    own, *parts = run(tables(a=1, **dict.fromkeys(late, 1)), tables(a=1, **late))
    assert own.observed == "1 table, 1 row, 0 differ"
    assert [part.name for part in parts[:50]] == [f"rows: t{n:04}" for n in range(1, 51)]
    assert [(part.name, part.observed) for part in parts[50:]] == [
        ("rows: t0051 and 1,947 more tables", "not read after the restore: slow"),
        ("rows: t0500 and 1 more table", "not read after the restore: locked"),
    ]
    assert run(tables(**dict.fromkeys(late, 1)), tables(**late))[0].observed == (
        "none of 2,000 tables could be compared"
    )


def test_nothing_compared_is_not_run_as_a_whole() -> None:
    own, part = run(tables(a="slow"), tables(a=1))
    assert own.verdict is CheckVerdict.NOT_RUN
    assert not own.part
    assert part.part


def test_a_materialised_view_that_is_computed_anew_is_not_run_when_it_differs() -> None:
    before = tables("digest", a=(5, "aa"), stale=(3, "bb"), fresh=(2, "cc"))
    before = replace(before, derived=frozenset({"stale", "fresh", "gone"}))
    again = fingerprint_from_json(before.to_json())
    own, part = run(again, tables("digest", a=(5, "aa"), stale=(4, "dd"), fresh=(2, "cc")))
    assert own.verdict is CheckVerdict.PASSED
    assert own.observed == "2 tables, 7 rows, 0 differ"
    assert (part.name, part.verdict, part.part) == ("rows: stale", CheckVerdict.NOT_RUN, True)
    assert part.observed == (
        "a materialised view, which the restore computed again: has 4 rows, 1 row more than at "
        "the backup"
    )
    missing, *_ = run(again, tables("digest", a=(5, "aa"), fresh=(2, "cc")))
    assert missing.verdict is CheckVerdict.FAILED
    assert missing.observed == "stale is missing (had 3 rows)"


def test_a_database_of_no_tables_proves_nothing() -> None:
    (own,) = run(tables(), tables())
    assert own.verdict is CheckVerdict.NOT_RUN
    assert "the restored data has no table, the source had no table at the backup" in own.observed


def test_a_database_in_which_every_table_is_empty_proves_nothing() -> None:
    (own,) = run(tables(a=0, b=0), tables(a=0, b=0))
    assert own.verdict is CheckVerdict.NOT_RUN
    assert "no row in any of the 2 tables" in own.observed
    (own,) = run(tables(a=0, b=1), tables(a=0, b=1))
    assert own.verdict is CheckVerdict.PASSED


@pytest.mark.parametrize("before", [None, tables("off")])
def test_without_a_fingerprint_it_is_not_run(before: Fingerprint | None) -> None:
    (own,) = run(before, tables(a=1))
    assert own.verdict is CheckVerdict.NOT_RUN
    assert "did not record a fingerprint" in own.observed


def test_a_component_that_is_not_back_is_not_run() -> None:
    (own,) = run(tables(a=1), None)
    assert own.verdict is CheckVerdict.NOT_RUN
    assert "was not restored" in own.observed


def test_unreadable_database_fails_and_unreachable_database_is_not_run() -> None:
    (damaged,) = run(tables(a=1), SourceError("disk image is malformed"))
    assert damaged.verdict is CheckVerdict.FAILED
    (gone,) = run(tables(a=1), SourceUnreachable("connection lost"))
    assert gone.verdict is CheckVerdict.NOT_RUN


def test_odd_table_names_are_printable() -> None:
    (own,) = run(tables(**{"new\nline \udcff": 1}), tables())
    assert own.observed == r"new\nline \xff is missing (had 1 row)"
