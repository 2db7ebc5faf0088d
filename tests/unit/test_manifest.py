"""A manifest contains what drd writes into one, or is refused, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from drd.errors import ManifestRefused, ManifestTooNew
from drd.model import strict
from drd.model.consistency import Spread
from drd.model.manifest import (
    MOST_ANSWERS,
    MOST_COMPONENTS,
    component,
    fingerprint,
    manifest_digest,
    manifest_from_bytes,
)
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    FileEntry,
    MadeDuring,
    Manifest,
    RestorePoint,
    TableState,
    TreeFingerprint,
    fingerprint_from_json,
)
from tests.catalogue_support import T0, at

SNAPSHOT, SEALED = "5a" * 32, "6b" * 32
DATABASE = DatabaseFingerprint(
    "digest",
    {"public.orders": TableState(7, "d1"), "public.log": TableState(0)},
    {"public.big": "no time left"},
    {"owner": "ann"},
    frozenset({"public.view"}),
    {"public.parts": ("public.p1", "public.p2")},
    {"public.v": "view"},
)
TREE = TreeFingerprint(
    {
        "/etc": FileEntry("directory", 0o755, 0, 0),
        "/etc/link": FileEntry("symlink", 0o777, 1, 2, link="/etc"),
        "/etc/file": FileEntry("file", 0o7777, 1, 2, 3, "d2", None, "x", volatile=True),
    },
    {"/etc/shadow": "no right"},
)
ROWS = (
    ComponentSnapshot(
        "db", "sqlite", "captured", T0, SNAPSHOT, 5, 4, 1.5, None, {"a": 1}, {"q": 2}, DATABASE
    ),
    ComponentSnapshot("conf", "files", "captured", T0, "5b" * 32, fingerprint=TREE),
    ComponentSnapshot("lost", "files", "failed", error="no such directory"),
)
POINT = RestorePoint(
    "0badcafe", "shop", T0, at(1), True, "d1", ROWS, {"primary": SEALED}, {"primary": at(2)}
)
WHOLE = Manifest(POINT, {"plan": "shop"}, {"drd": "1"}, {"db": {"roles": ["ann"]}})


def read(data: bytes, **how: Any) -> Manifest:
    return manifest_from_bytes(
        data, repository="primary", snapshot=SEALED, available_at=at(1), **how
    )


def document() -> dict[str, Any]:
    written: dict[str, Any] = json.loads(WHOLE.to_bytes())
    return written


def refused(change: Callable[[dict[str, Any]], object]) -> str:
    raw = document()
    change(raw)
    with pytest.raises(ManifestRefused) as caught:
        read(json.dumps(raw).encode())
    assert caught.value.message.startswith("drd refuses manifest 6b6b6b6b in primary, because")
    assert "forge" in caught.value.hint
    return caught.value.message.rpartition("never writes such a manifest: ")[2]


def test_a_manifest_that_drd_wrote_is_read_back_unchanged() -> None:
    data = WHOLE.to_bytes()
    assert read(data, copied_at=at(2)) == replace(WHOLE, digest=manifest_digest(data))
    assert read(data).point.copied == {}
    assert fingerprint_from_json(DATABASE.to_json()) == DATABASE
    assert fingerprint_from_json(TREE.to_json()) == TREE


def test_a_manifest_says_that_a_recovery_was_unfinished() -> None:
    during = MadeDuring("0badc0de", ("db",), whole=False)
    data = replace(WHOLE, point=replace(POINT, made_during=during)).to_bytes()
    assert read(data).point.made_during == during
    assert b"made_during" not in WHOLE.to_bytes(), "a hash of a manifest stays as it was"


def test_a_manifest_says_how_far_apart_the_data_times_of_groups_are() -> None:
    spreads = (Spread(("db", "conf"), 5.0, 0.25), Spread(("db", "media"), 5.0, None))
    data = replace(WHOLE, point=replace(POINT, consistency=spreads)).to_bytes()
    assert read(data).point.consistency == spreads
    assert b"consistency" not in WHOLE.to_bytes(), "a hash of a manifest stays as it was"


def test_fingerprints_of_older_versions_are_read() -> None:
    old = DATABASE.to_json()
    for key in ("derived", "partitioned", "others"):
        del old[key]
    bare = replace(DATABASE, derived=frozenset(), partitioned={}, others={})
    assert fingerprint(old, "f") == fingerprint_from_json(old) == bare


def test_another_schema_is_refused_by_its_number() -> None:
    for schema in (0, 2):
        with pytest.raises(
            ManifestTooNew, match=f"has schema {schema}, but this drd reads schema 1"
        ):
            read(json.dumps(document() | {"schema": schema}).encode())
    assert refused(lambda d: d.pop("schema")) == "schema is missing"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d.pop("components"), "components is missing"),
        (lambda d: d.update(point="0badcaf"), "point is not a valid id of a restore point"),
        (lambda d: d.update(plan="../shop"), "plan is not a valid name"),
        (lambda d: d.update(data_time="soon"), "data_time is not a time"),
        (lambda d: d.update(complete=1), "complete is neither true nor false"),
        (lambda d: d.update(plan_digest="x" * 81), "plan_digest is longer than 80"),
        (lambda d: d.update(private=[]), "private is not a JSON object"),
        (lambda d: d.update(private={"db": []}), "private.'db' is not a JSON object"),
        (lambda d: d.update(resolved_plan=[]), "resolved_plan is not a JSON object"),
        (lambda d: d.update(versions={"drd": 1}), "versions.'drd' is not text"),
        (
            lambda d: d.update(versions={str(n): "" for n in range(101)}),
            "versions has more than 100 entries",
        ),
        (lambda d: d.update(made_during=[]), "made_during is not a JSON object"),
        (
            lambda d: d.update(made_during={"run": "../x", "components": [], "whole": True}),
            "made_during.run is not a valid id",
        ),
        (
            lambda d: d.update(made_during={"run": "0badc0de", "components": ["a b"]}),
            "made_during.components.0 is not a valid name",
        ),
        (lambda d: d.update(consistency=[5]), "consistency.0 is not a JSON object"),
        (
            lambda d: d.update(consistency=[{"components": ["a b"], "within_s": 5, "spread_s": 1}]),
            "consistency.0.components.0 is not a valid name",
        ),
        (
            lambda d: d.update(consistency=[{"components": [], "within_s": "5", "spread_s": 1}]),
            "consistency.0.within_s is not a number",
        ),
        (
            lambda d: d.update(consistency=[{"components": [], "within_s": 5, "spread_s": 6}]),
            "complete is true, although a group in `consistency` is too wide",
        ),
        (lambda d: d["components"].append(d["components"][0]), "the same component twice"),
        (lambda d: d["components"][0].update(state="lost"), "components.0.state is not one of"),
        (
            lambda d: d["components"][0].update(snapshot="5a"),
            "components.0.snapshot is not a valid id",
        ),
        (lambda d: d["components"][0].pop("snapshot"), "is missing, although it was captured"),
        (lambda d: d["components"][0].update(component="drd"), "is a reserved name of drd"),
        (lambda d: d["components"][1].update(kind="a b"), "components.1.kind is not a valid name"),
        (lambda d: d["components"][0].update(bytes=-1), "components.0.bytes is out of range"),
        (lambda d: d["components"][0].pop("added_bytes"), "added_bytes is missing"),
        (lambda d: d["components"][0].update(duration_s=None), "duration_s is not a number"),
        (lambda d: d["components"][0].update(facts=[]), "facts is not a JSON object"),
        (
            lambda d: d["components"][0].update(facts={str(n): 0 for n in range(10_001)}),
            "facts has more than 10,000 entries",
        ),
        (
            lambda d: d["components"][0].update(
                observations={str(n): 0 for n in range(MOST_ANSWERS + 1)}
            ),
            "observations has more than 10,000 entries",
        ),
        (lambda d: d["components"][2].update(error=1), "components.2.error is not text"),
        (
            lambda d: d["components"][2].update(error="x" * ((1 << 20) + 1)),
            "components.2.error is longer than 1,048,576",
        ),
    ],
)
def test_a_manifest_that_drd_would_not_write_is_refused_with_the_reason(
    change: Callable[[dict[str, Any]], object], why: str
) -> None:
    assert why in refused(change)


def test_an_error_of_an_older_drd_is_read_without_its_remedy() -> None:
    raw = document()
    raw["components"][2] |= {"error": "gone\nremedy: create it."}
    assert "remedy" in raw["components"][2]
    del raw["components"][2]["remedy"]
    failed = read(json.dumps(raw).encode()).point.components[2]
    assert (failed.error, failed.remedy) == ("gone", "create it.")
    raw["components"][2] |= {"error": "gone", "remedy": "look."}
    failed = read(json.dumps(raw).encode()).point.components[2]
    assert (failed.error, failed.remedy) == ("gone", "look.")


def test_as_much_as_drd_may_write_is_read() -> None:
    raw = document() | {"plan_digest": "x" * 80, "versions": {str(n): "" for n in range(100)}}
    raw["components"][2]["error"] = "x" * (1 << 20)
    raw["components"][0]["facts"] = {str(n): 0 for n in range(10_000)}
    raw["components"][0]["observations"] = {str(n): 0 for n in range(MOST_ANSWERS)}
    row = raw["components"][2] | {"error": "no such directory"}
    raw["components"] += [row | {"component": f"c{n}"} for n in range(MOST_COMPONENTS - 3)]
    raw["private"] = {f"c{n}": {} for n in range(MOST_COMPONENTS)}
    assert len(read(json.dumps(raw).encode()).point.components) == MOST_COMPONENTS
    raw["components"].append(row | {"component": "more"})
    with pytest.raises(ManifestRefused, match="components has more than 1,000 items"):
        read(json.dumps(raw).encode())
    del raw["components"][-1]
    raw["private"]["more"] = {}
    with pytest.raises(ManifestRefused, match="private has more than 1,000 entries"):
        read(json.dumps(raw).encode())


def test_the_kind_is_asked_about_captured_components_alone() -> None:
    asked: list[tuple[str, Mapping[str, Any]]] = []
    read(
        WHOLE.to_bytes(),
        require_written=lambda row, private: asked.append((row.component, private)),
    )
    assert asked == [("db", {"roles": ["ann"]}), ("conf", {})]


def test_a_component_that_its_kind_refuses_makes_the_manifest_refused() -> None:
    def refuse(row: ComponentSnapshot, _: object) -> None:
        raise strict.UnexpectedValue(f"{row.component} has a path of its own")

    with pytest.raises(ManifestRefused, match="db has a path of its own"):
        read(WHOLE.to_bytes(), require_written=refuse)


def test_a_component_without_what_may_be_missing() -> None:
    raw = ROWS[2].to_json()
    for key in ("data_time", "snapshot", "fingerprint"):
        del raw[key]
    assert component(raw, "c") == ROWS[2]


# --- fingerprints ---


def no_fingerprint(change: Mapping[str, Any], of: DatabaseFingerprint | TreeFingerprint) -> str:
    with pytest.raises(strict.UnexpectedValue) as caught:
        fingerprint(of.to_json() | dict(change), "f")
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"type": "cloud"}, "f.type is not one of database, tree"),
        ({"mode": "some"}, "f.mode is not one of counts, digest, off"),
        ({"tables": {"a": [1]}}, "f.tables.'a' is not a pair of rows and digest"),
        ({"tables": {"a": []}}, "f.tables.'a' is not a pair of rows and digest"),
        ({"tables": {"a": [1, None, 2]}}, "f.tables.'a' has more than 2 items"),
        ({"tables": {"a": [-1, None]}}, "f.tables.'a' is out of range"),
        ({"tables": {"a": [1, "x" * 201]}}, "f.tables.'a' is longer than 200"),
        ({"not_reached": {"a": "x" * ((1 << 20) + 1)}}, "f.not_reached.'a' is longer than"),
        ({"properties": []}, "f.properties is not a JSON object"),
        ({"derived": [1]}, "f.derived.0 is not text"),
        ({"partitioned": {"a": "b"}}, "f.partitioned.'a' is not a JSON array"),
        ({"others": {"a": 1}}, "f.others.'a' is not text"),
    ],
)
def test_a_fingerprint_of_a_database_is_read_strictly(change: dict[str, Any], why: str) -> None:
    assert why in no_fingerprint(change, DATABASE)


def test_the_longest_texts_of_a_fingerprint_are_read() -> None:
    raw = DATABASE.to_json() | {"tables": {"a": [strict.MOST, "x" * 200]}}
    raw["not_reached"] = {"a": "x" * (1 << 20)}
    found = fingerprint(raw, "f")
    assert isinstance(found, DatabaseFingerprint)
    assert found.tables == {"a": TableState(strict.MOST, "x" * 200)}


FILE: dict[str, Any] = {"kind": "file", "mode": 0o644, "uid": 1, "gid": 2, "size": 3}
LONG = "x" * (4 * strict.LONGEST_TEXT)


@pytest.mark.parametrize(
    "entry",
    [FILE | {"kind": kind} for kind in ("file", "directory", "symlink", "fifo", "socket", "device")]
    + [
        FILE | {"mode": 0},
        FILE | {"mode": 0o7777},
        FILE | {"uid": 0, "gid": 0},
        FILE | {"uid": (1 << 32) - 1, "gid": (1 << 32) - 1},
        FILE | {"size": 0},
        FILE | {"size": strict.MOST},
        FILE | {"digest": LONG, "link": LONG, "xattrs": LONG, "volatile": True},
    ],
)
def test_entries_within_their_bounds_are_read(entry: dict[str, Any]) -> None:
    found = fingerprint(TREE.to_json() | {"entries": {"/a": entry}}, "f")
    assert isinstance(found, TreeFingerprint)
    assert found.entries == {"/a": FileEntry(**entry)}


def test_a_missing_field_of_a_file_entry_has_its_default() -> None:
    bare = {k: FILE[k] for k in ("kind", "mode", "uid", "gid")}
    found = fingerprint(TREE.to_json() | {"entries": {"/a": bare}}, "f")
    assert isinstance(found, TreeFingerprint)
    assert found.entries["/a"] == FileEntry("file", 0o644, 1, 2)


@pytest.mark.parametrize(
    "entry",
    [
        [],
        None,
        {},
        FILE | {"kind": "door"},
        FILE | {"kind": []},
        *(
            FILE | {key: bad}
            for key in ("mode", "uid", "gid", "size")
            for bad in (-1, True, 1.0, "1", None, 1 << 63)
        ),
        FILE | {"mode": 0o10000},
        FILE | {"uid": 1 << 32},
        FILE | {"gid": 1 << 32},
        *(FILE | {key: bad} for key in ("digest", "link", "xattrs") for bad in (1, LONG + "x", [])),
        FILE | {"volatile": 1},
        FILE | {"volatile": None},
    ],
)
def test_an_entry_that_drd_does_not_write_is_refused(entry: Any) -> None:
    why = no_fingerprint({"entries": {"/a": entry}}, TREE)
    assert why == "f.entries has an entry that drd never writes: '/a'"


@pytest.mark.parametrize(
    "path", ["a", "/a/", "//a", "/a//b", "/a/./b", "/a/../b", "/a\0b", "", "/."]
)
def test_an_entry_with_another_path_is_refused(path: str) -> None:
    assert "a path of f.entries" in no_fingerprint({"entries": {path: FILE}}, TREE)


def test_hidden_files_have_a_path_like_others() -> None:
    for path in ("/a/.b", "/..a", "/"):
        assert fingerprint(TREE.to_json() | {"entries": {path: FILE}}, "f")
