"""What a fingerprint says of a restore, and which point is the newest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from drd.model.snapshot import (
    WAS_EMPTY,
    DatabaseFingerprint,
    FileEntry,
    TableState,
    TreeFingerprint,
    canonical_json,
    evidence_id,
    fingerprint_from_json,
    json_digest,
    made_by,
    newest_complete,
    torn,
)
from tests.catalogue_support import T0, at, captured, failed, point

FILE = FileEntry("file", 0o644, 0, 0, 100)
CHANGED = replace(FILE, size=10, volatile=True)
TOP = FileEntry("directory", 0o755, 0, 0)
HOUR = timedelta(hours=1)


def tree(*entries: FileEntry) -> TreeFingerprint:
    return TreeFingerprint({f"/{n}": e for n, e in enumerate((TOP, *entries))})


def tables(**rows: int) -> DatabaseFingerprint:
    return DatabaseFingerprint("counts", {n: TableState(r) for n, r in rows.items()})


def test_a_tree_of_which_much_changed_proves_nothing() -> None:
    assert torn(10, 100) == ""
    assert torn(11, 100).startswith("11 B of 100 B changed")
    steady = replace(FILE, size=90)
    assert tree(steady, CHANGED).says_nothing(may_be_empty=False) == ""
    moved = tree(replace(FILE, size=80), CHANGED, replace(TOP, size=4096))
    assert moved.says_nothing(may_be_empty=True).startswith("10 B of 90 B changed")


def test_a_tree_without_files_proves_nothing_unless_it_may_be_empty() -> None:
    assert "may_be_empty" in tree().says_nothing(may_be_empty=False)
    assert tree().says_nothing(may_be_empty=True) == ""
    assert tree().was_empty(may_be_empty=False)
    assert not tree().was_empty(may_be_empty=True)
    assert not tree(FILE).was_empty(may_be_empty=False)
    unread = replace(tree(), not_reached={"/a": "no right"})
    assert not unread.was_empty(may_be_empty=False)
    assert unread.says_nothing(may_be_empty=False) == ""


def test_a_database_without_rows_proves_nothing_unless_it_may_be_empty() -> None:
    assert "no table" in tables().says_nothing(may_be_empty=False)
    assert "no row" in tables(a=0, b=0).says_nothing(may_be_empty=False)
    assert tables(a=0, b=1).says_nothing(may_be_empty=False) == ""
    for empty in (tables(), tables(a=0)):
        assert empty.was_empty(may_be_empty=False)
        assert empty.says_nothing(may_be_empty=True) == ""
        assert not empty.was_empty(may_be_empty=True)
        assert replace(empty, mode="off").says_nothing(may_be_empty=False) == ""
        assert replace(empty, not_reached={"b": "no time"}).says_nothing(may_be_empty=False) == ""
    computed = replace(tables(view=5, a=0), derived=frozenset({"view"}))
    assert "no row" in computed.says_nothing(may_be_empty=False)
    assert "no table" in replace(computed, tables={"view": TableState(5)}).says_nothing(
        may_be_empty=False
    )


def test_the_fingerprint_of_some_tables_has_their_partitions() -> None:
    whole = DatabaseFingerprint(
        "digest",
        {n: TableState(1) for n in ("a", "b", "p1", "p2")},
        {"c": "no time", "p3": "no time"},
        {"owner": "ann"},
        frozenset({"v"}),
        {"p": ("p1", "p3"), "q": ("p2",)},
        {"x": "view"},
    )
    assert whole.only(["a", "p", "c"]) == DatabaseFingerprint(
        "digest",
        {n: TableState(1) for n in ("a", "p1")},
        {"c": "no time", "p3": "no time"},
        partitioned={"p": ("p1", "p3")},
    )


def test_the_newest_point_is_complete_and_kept() -> None:
    old, new = point("a", at(0)), point("b", at(1))
    assert newest_complete([old, new]) == newest_complete([new, old]) == new
    assert newest_complete([old, replace(new, complete=False)]) == old
    assert newest_complete([old, replace(new, forgotten_at=T0)]) == old
    assert newest_complete([]) is None


@pytest.mark.parametrize(
    ("ahead", "counts"), [(HOUR, True), (HOUR + timedelta(microseconds=1), False)]
)
def test_a_point_of_the_far_future_counts_only_where_there_is_no_other(
    ahead: timedelta, counts: bool
) -> None:
    sound, future = point("a", T0 - HOUR), point("b", T0 + ahead)
    assert newest_complete([sound, future], T0) == (future if counts else sound)
    assert newest_complete([sound, future]) == future
    assert newest_complete([future], T0) == future


def test_an_entry_is_written_without_what_it_does_not_have() -> None:
    assert tree(CHANGED).to_json()["entries"] == {
        "/0": {"kind": "directory", "mode": 0o755, "uid": 0, "gid": 0, "size": 0},
        "/1": {
            "kind": "file",
            "mode": 0o644,
            "uid": 0,
            "gid": 0,
            "size": 10,
            "volatile": True,
        },
    }


def test_the_same_data_has_the_same_bytes() -> None:
    assert canonical_json({"b": [1, {"d": None, "c": "\udcff"}], "a": 2}) == (
        b'{"a":2,"b":[1,{"c":"\\udcff","d":null}]}'
    )
    assert json_digest({"b": 1, "a": 2}) == json_digest({"a": 2, "b": 1})


def test_sizes_and_components_of_a_point() -> None:
    made = point("a", T0, components=[captured(size=3), failed("gateway"), captured("log", size=4)])
    assert made.size_bytes == 7
    assert made.component("gateway") == failed("gateway")
    assert made.component("nothing") is None


LINK = FileEntry("symlink", 0o777, 0, 0, link="away")


@pytest.mark.parametrize(
    ("entries", "outside"),
    [
        ({"/a": LINK}, {"/a"}),
        ({"/a": replace(LINK, link=None)}, {"/a"}),
        ({"/a": replace(LINK, link="/a")}, {"/a"}),
        ({"/a": replace(LINK, link="/b"), "/b": replace(LINK, link="/a")}, {"/a", "/b"}),
        ({"/a": replace(LINK, link="b"), "/b": TOP}, set()),
        ({"/a": replace(LINK, link="/b/../c"), "/c": FILE}, set()),
        ({"/a": replace(LINK, link="/b"), "/b": replace(LINK, link="c"), "/c": FILE}, set()),
        ({"/d/a": replace(LINK, link="../e/x"), "/e/x": FILE}, set()),
        ({"/d": TOP, "/d/a": LINK}, set()),
        ({"/a": FILE, "/b": LINK}, {"/b"}),
        ({"/a": replace(FILE, link="/elsewhere")}, set()),
    ],
)
def test_named_paths_that_link_out_of_the_tree_are_found_and_count_as_empty(
    entries: dict[str, FileEntry], outside: set[str]
) -> None:
    found = TreeFingerprint(entries)
    assert found.links_outside() == outside
    files = {path for path, entry in entries.items() if entry.kind != "directory"}
    assert found.was_empty(may_be_empty=False) is (files == outside)
    assert found.was_empty(may_be_empty=True) is False


def test_a_tree_of_links_alone_names_them() -> None:
    links = {f"/{name}": LINK for name in "dbca"}
    few = {f"/{name}": LINK for name in "cab"}
    alone = TreeFingerprint(links).says_nothing(may_be_empty=False)
    assert alone.startswith(
        "the backup contains only the link /a, /b, /c, …, not the target of the link"
    )
    three = TreeFingerprint(few).says_nothing(may_be_empty=False)
    assert three.startswith("the backup contains only the link /a, /b, /c, not the")
    assert TreeFingerprint({"/": TOP}).says_nothing(may_be_empty=False) == WAS_EMPTY


def test_all_of_a_tree_that_changed_is_too_much_and_nothing_is_not() -> None:
    assert torn(0, 0) == ""
    assert torn(1, 0) != ""


def test_fingerprints_are_written_and_read() -> None:
    database = DatabaseFingerprint(
        "digest",
        {"b": TableState(2, "x"), "a": TableState(0)},
        {"d": "no right", "c": "no time"},
        {"owner": "ann"},
        frozenset({"b", "a"}),
        {"p": ("q", "r")},
        {"v": "view"},
    )
    for known in (database, tree(FILE, CHANGED, LINK)):
        assert fingerprint_from_json(known.to_json()) == known
    written = database.to_json()
    assert [list(written[key]) for key in ("tables", "not_reached", "derived")] == [
        ["a", "b"], ["c", "d"], ["a", "b"],
    ]  # fmt: skip
    older = {k: v for k, v in written.items() if k not in ("derived", "partitioned", "others")}
    assert fingerprint_from_json(older) == replace(
        database, derived=frozenset(), partitioned={}, others={}
    )


def test_a_component_is_written_with_its_error_or_its_fingerprint() -> None:
    whole = captured(seen=tables(a=1)).to_json()
    assert whole["data_time"] == "2026-11-25T12:00:00Z"
    assert whole["fingerprint"]["tables"] == {"a": [1, None]}
    assert "remedy" not in whole
    bad = replace(failed(), remedy="make it").to_json(with_fingerprint=False)
    assert (bad["error"], bad["remedy"], bad["data_time"]) == ("no such directory", "make it", None)
    assert "fingerprint" not in bad


@pytest.mark.parametrize(
    ("run", "names", "size"),
    [
        ("1f0c", ["db", "log", "conf"], 3 + 4 + 9),
        ("1f0c", ["log"], 4),
        ("1f0c", [], 0),
        ("restic-1f0c", ["db", "log", "conf"], 9),  # the whole copy has both trees
        ("restic-1f0c", ["db", "log"], 4),
        ("restic-1f0c", ["db"], 3),
        ("restic-1f0c", ["dump"], 5),
        ("pgbackrest-1f0c", ["db", "log"], 7),
    ],
)
def test_a_copy_of_which_several_components_are_parts_counts_once(
    run: str, names: list[str], size: int
) -> None:
    sizes = {"db": 3, "log": 4, "conf": 9, "dump": 5}
    parts = [replace(captured(name, size=size), facts={}) for name, size in sizes.items()]
    parts[-1] = replace(parts[-1], facts={"filename": "dump.sql"})
    assert point(run, T0, components=parts).bytes_of(names) == size


@pytest.mark.parametrize(
    ("name", "tool", "evidence"),
    [
        ("1f0c9d3a", "", "1f0c-77"),
        ("restic-1f0c9d3a", "restic", "1f0c-77"),
        ("a-b-c", "a-b", "c-77"),
    ],
)
def test_the_id_of_a_point_names_its_tool_and_its_evidence(
    name: str, tool: str, evidence: str
) -> None:
    assert made_by(name) == tool
    assert evidence_id(point(name, T0), "77") == evidence


def test_of_points_of_the_same_time_the_one_made_last_is_the_newest() -> None:
    first, second = point("a", T0, available_at=at(1)), point("b", T0, available_at=at(2))
    assert newest_complete([first, second]) == newest_complete([second, first]) == second
