"""What drd calls an unusual change from one restore point to the next: where it begins, and what is
not compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    FileEntry,
    Fingerprint,
    RestorePoint,
    TableState,
    TreeFingerprint,
)
from drd.model.unusual import Changes, changes

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
MIB = 1 << 20


def component(seen: Fingerprint | None = None, size: int = 0, **of: Any) -> ComponentSnapshot:
    return replace(
        ComponentSnapshot("db", "x", "captured", NOON, "s", size, fingerprint=seen), **of
    )


def point(*components: ComponentSnapshot, name: str = "p1") -> RestorePoint:
    return RestorePoint(name, "shop", NOON, NOON, True, "", components)


def between(old: Fingerprint | None, new: Fingerprint | None) -> Changes:
    return changes(point(component(old)), point(component(new)))


def rows(**tables: int) -> DatabaseFingerprint:
    return DatabaseFingerprint(
        "counts", {name: TableState(count) for name, count in tables.items()}
    )


def files(count: int, changed: int = 0, first: int = 0) -> TreeFingerprint:
    return TreeFingerprint(
        {
            f"/srv/{n:03}": FileEntry("file", 0o644, 0, 0, 1, "b" if n < changed else "a")
            for n in range(first, first + count)
        }
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (2 * MIB, MIB, "db: shrank from 2.0 MiB to 1.0 MiB"),
        (MIB, 2 * MIB, "db: grew from 1.0 MiB to 2.0 MiB"),
        (2 * MIB - 2, MIB - 1, None),  # less than 1 MiB is little
        (4 * MIB, 2 * MIB + 1, None),  # less than twice
        (2 * MIB + 1, 4 * MIB, None),
        (8 * MIB, 8 * MIB, None),
    ],
)
def test_a_size_that_halves_or_doubles_by_a_mebibyte_is_unusual(
    old: int, new: int, told: str | None
) -> None:
    found = changes(point(component(size=old)), point(component(size=new)))
    assert found.unusual == ((told,) if told else ())


@pytest.mark.parametrize(
    ("before", "after", "facts", "unusual"),
    [
        ("restic-1a2b", "p2", {}, False),
        ("p1", "restic-1a2b", {}, False),
        ("restic-1a2b", "restic-3c4d", {"filename": "/dump.sql"}, True),
        ("p1", "p2", {}, True),
    ],
)
def test_the_size_of_a_whole_copy_of_restic_is_not_compared(
    before: str, after: str, facts: dict[str, str], *, unusual: bool
) -> None:
    old = point(component(size=8 * MIB, facts=facts), name=before)
    new = point(component(size=MIB, facts=facts), name=after)
    assert bool(changes(old, new).unusual) is unusual


def test_a_component_that_was_not_captured_before_is_not_compared() -> None:
    old = point(component(state="failed", size=8 * MIB))
    assert changes(old, point(component(size=MIB))) == Changes()


def test_a_component_that_failed_is_missing_in_the_new_point() -> None:
    found = changes(point(component()), point(component(state="failed")))
    assert found == Changes(("db: this component is not in the restore point any more",))


def test_of_a_component_of_another_kind_only_the_kind_is_told() -> None:
    old, new = component(rows(t=1), 8 * MIB, kind="y\x1b"), component(rows(), MIB)
    [told] = changes(point(old), point(new)).unusual
    assert told.startswith("db: the kind of this component was y")
    assert "\x1b" not in told
    assert changes(point(old), point(new)).unknown == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, None),
        (None, rows(t=1)),
        (rows(t=1), None),
        (rows(t=1), files(3)),
        (DatabaseFingerprint("off"), rows(t=1)),
        (rows(t=1), DatabaseFingerprint("off")),
    ],
)
def test_a_side_without_a_fingerprint_of_the_same_type_cannot_be_compared(
    old: Fingerprint | None, new: Fingerprint | None
) -> None:
    assert between(old, new) == Changes(
        unknown=("db: drd does not have two fingerprints to compare",)
    )


def test_what_drd_did_not_read_is_counted_as_unknown() -> None:
    seen = DatabaseFingerprint("counts", {"t": TableState(1)}, {"a": "no right", "b": "no right"})
    assert between(seen, seen) == Changes(unknown=("db: drd did not read 2 tables",))
    assert between(rows(t=1), rows(t=1)) == Changes()


def test_views_that_are_gone_are_counted_with_the_tables_and_new_ones_are_not() -> None:
    old = DatabaseFingerprint("counts", {"t": TableState(1)}, others={"v": "view", "w": "view"})
    new = DatabaseFingerprint("counts", others={"w": "view", "x": "view"})
    assert between(old, new).unusual == ("db: 2 tables and views are gone: t, v",)
    assert between(new, DatabaseFingerprint("counts", others={"w": "view"})).unusual == (
        "db: 1 table or view is gone: x",
    )


def test_changed_properties_of_the_database_are_named() -> None:
    old, new = (DatabaseFingerprint("counts", properties={"owner": one}) for one in "ab")
    assert between(old, new).unusual == ("db: properties of the database changed: owner",)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (20, 10, "table t shrank from 20 to 10 rows"),
        (10, 20, "table t grew from 10 to 20 rows"),
        (20, 11, None),  # less than ten rows
        (21, 11, None),  # less than twice
        (11, 21, None),
        (1, 0, "table t was emptied: 1 row before"),
        (0, 1_000, None),  # a table that was empty has only begun
    ],
)
def test_a_table_that_halves_or_doubles_by_ten_rows_or_is_emptied_is_unusual(
    old: int, new: int, told: str | None
) -> None:
    assert between(rows(t=old), rows(t=new)).unusual == ((f"db: {told}",) if told else ())


@pytest.mark.parametrize(
    ("tables", "lines", "more"),
    [
        (5, 5, None),
        (6, 6, "db: 1 more table shrank or grew strongly"),
        (7, 6, "db: 2 more tables shrank or grew strongly"),
    ],
)
def test_five_tables_that_changed_are_named_and_the_others_counted(
    tables: int, lines: int, more: str | None
) -> None:
    old, new = (rows(**dict.fromkeys("abcdefg"[:tables], count)) for count in (40, 5))
    found = between(old, new).unusual
    assert len(found) == lines
    assert found[4] == "db: table e shrank from 40 to 5 rows"
    assert found[5:] == ((more,) if more else ())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (files(20), files(20, changed=10), "10 of 20 files changed"),
        (files(21), files(21, changed=10), None),  # less than half
        (files(18), files(18, changed=9), None),  # less than ten files
        (files(10), files(20), "10 new files, 10 files before"),
        (files(11), files(21), None),  # fewer than there were
        (files(9), files(18), None),  # less than ten files
        (files(3), files(1), "2 of 3 files are gone: /srv/001, /srv/002"),
    ],
)
def test_ten_files_are_unusual_if_half_changed_or_as_many_are_new_as_there_were(
    old: Fingerprint, new: Fingerprint, told: str | None
) -> None:
    assert between(old, new).unusual == ((f"db: {told}",) if told else ())


def test_another_owner_of_a_file_is_no_unusual_change() -> None:
    """Whether drd may read the ownership depends on its user, not on the files."""
    old, new = (
        TreeFingerprint({f"/{n}": FileEntry("file", 0o644, uid, uid, 1, "a") for n in range(20)})
        for uid in (0, 1000)
    )
    assert between(old, new) == Changes()
