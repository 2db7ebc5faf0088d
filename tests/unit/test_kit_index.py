"""The index of a recovery kit is read back as it was written, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from drd.model import strict
from drd.model.drill_facts import Unproven
from drd.model.kit import (
    KitComponent,
    KitDrill,
    KitFailure,
    KitFile,
    KitFormerKey,
    KitIndex,
    KitPlan,
    KitPoint,
    KitRecords,
    KitRepository,
    KitSecret,
    kit_point,
    summary,
)
from drd.model.kit_index import index_from_json, inner_name, reads_back
from drd.model.plan import SecretRef
from drd.model.seals import Seal
from drd.registry import source_version
from tests.catalogue_support import T0, at
from tests.unit.test_manifest import DATABASE, POINT, SNAPSHOT, TREE

KIT_POINT = KitPoint(
    "0badcafe",
    T0,
    at(1),
    True,
    "e1",
    ("primary",),
    (KitComponent("db", "sqlite", SNAPSHOT, T0, 5, {"tables": 2}, "17.2"),),
)
OLDER = replace(KIT_POINT, id="0badcaff", complete=False)
DRILL = KitDrill(
    "0bad-abcdef01",
    "abcdef01",
    "0badcafe",
    "database-loss",
    "failed",
    "p1",
    T0,
    at(2),
    60,
    None,
    True,
    T0,
    0,
    (KitFailure("db", "it is cut off", True),),
    (Unproven("db", "was not restored", "not-restored"),),
)
PLAN = KitPlan(
    "shop",
    "d1",
    "plans/shop.yaml",
    (KitRepository("primary", "/srv/r", "ab" * 32), KitRepository("far", "/f", None, "primary")),
    (OLDER, KIT_POINT),
    ("the password of far",),
    ("pg_restore",),
    (Seal("0badcafe"),),
    drills=(DRILL,),
)
INDEX = KitIndex(
    T0,
    "db1",
    "drd.yaml",
    "/etc/drd",
    (PLAN,),
    (
        KitSecret("secrets/1", SecretRef("file", "/etc/pw"), "password of primary"),
        KitSecret("secrets/2", SecretRef("command", ("pass", "drd")), "token"),
    ),
    {"/etc/ssl/own.pem": "files/own.pem"},
    {"drd": "1"},
    {"drd.yaml": "cd" * 32},
    (KitFile("/usr/local/bin/go", "programs/go", 0o7777),),
    KitRecords(
        "ef" * 32,
        7,
        "01" * 32,
        T0,
        "0123456789abcdef",
        "cHVibGlj",
        (KitFormerKey("fedcba9876543210", "Zm9ybWVy", T0, 5),),
    ),
)


def refused(change: Callable[[dict[str, Any]], object]) -> str:
    raw = INDEX.to_json()
    change(raw)
    with pytest.raises(strict.UnexpectedValue) as caught:
        index_from_json(raw)
    return str(caught.value)


def drill(index: dict[str, Any]) -> Any:
    return index["plans"][0]["drills"][0]


def test_an_index_comes_back_as_it_was() -> None:
    assert index_from_json(INDEX.to_json()) == INDEX
    bare = replace(INDEX, config=None, plans=(replace(PLAN, seals=None, points=()),))
    assert index_from_json(bare.to_json()) == bare
    assert INDEX.plan("shop") is PLAN


def test_indexes_of_older_versions_are_read() -> None:
    raw = INDEX.to_json()
    del raw["programs"]
    del raw["records"]["former"]
    for key in ("needs", "seals", "drills"):
        del raw["plans"][0][key]
    del raw["plans"][0]["repositories"][1]["copy_of"]
    for key in ("summary", "version"):
        del raw["plans"][0]["points"][1]["components"][0][key]
    found = index_from_json(raw)
    assert found.programs == ()
    assert found.records is not None
    assert found.records.former == ()
    [plan] = found.plans
    assert (plan.needs, plan.seals, plan.repositories[1].copy_of) == ((), None, None)
    assert (plan.drills, plan.refuted) == ((), frozenset())
    assert plan.points[1].components[0].summary == {}
    assert plan.points[1].components[0].version == ""


def test_a_reason_in_a_kit_cannot_write_to_the_terminal() -> None:
    raw = INDEX.to_json()
    drill(raw)["failed"][0]["why"] = "it is\n\x1b[31mcut off"
    assert index_from_json(raw).plans[0].drills[0].failed[0].why == r"it is\n\x1b[31mcut off"


def test_a_drill_that_would_make_a_kit_unreadable_is_known() -> None:
    assert reads_back(DRILL)
    assert not reads_back(replace(DRILL, run="another"))
    assert not reads_back(replace(DRILL, rta_s=-1))


def test_the_newest_point_of_a_kit_is_complete() -> None:
    assert PLAN.newest == KIT_POINT
    assert replace(PLAN, points=(OLDER,)).newest is None


def test_a_point_that_a_drill_could_not_restore_is_the_newest_only_without_another() -> None:
    another = replace(KIT_POINT, id="0badcafd")
    assert replace(PLAN, points=(KIT_POINT, another), drills=(DRILL,)).newest == another
    assert replace(PLAN, drills=(DRILL,)).newest == KIT_POINT


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d.update(schema=99), "the kit has schema 99"),
        (lambda d: d.pop("schema"), "schema is missing"),
        (lambda d: d.update(host=1), "host is not text"),
        (lambda d: d.update(made_at="soon"), "made_at is not a time"),
        (lambda d: d.pop("config"), "config is missing"),
        (lambda d: d.update(config="../drd.yaml"), "config is not a file of a kit"),
        (lambda d: d.update(config_dir="etc"), "config_dir is not a plain absolute path"),
        (lambda d: d.update(files={"etc/a": "a"}), "a path in files is not a plain absolute path"),
        (lambda d: d.update(files={"/etc/a": "/a"}), "is not a file of a kit"),
        (lambda d: d.update(versions={str(n): "" for n in range(101)}), "more than 100 entries"),
        (lambda d: d.update(digests={"a": "b"}), "digests.'a' is not a valid sha256"),
        (lambda d: d["programs"][0].update(mode=0o10000), "programs.0.mode is out of range"),
        (
            lambda d: d["programs"][0].update(path="go"),
            "programs.0.path is not a plain absolute path",
        ),
        (lambda d: d["secrets"][0]["reference"].update(source="x"), "source is not one of"),
        (lambda d: d["secrets"][0]["reference"].update(value=1), "reference.value is not text"),
        (
            lambda d: d["secrets"][1]["reference"].update(value=["x"] * 1001),
            "reference.value has more than 1,000 items",
        ),
        (lambda d: d["plans"][0].update(name="a b"), "plans.0.name is not a valid name"),
        (lambda d: d["plans"][0].update(digest="x" * 81), "plans.0.digest is longer than 80"),
        (lambda d: d["plans"][0].update(seals=[{}]), "plans.0.seals.0.digest is missing"),
        (lambda d: d["plans"][0].update(drills=[{}] * 1001), "drills has more than 1,000 items"),
        (lambda d: drill(d).update(run="../x"), "drills.0.run is not a valid id of a run"),
        (lambda d: drill(d).update(result="fine"), "drills.0.result is not one of passed"),
        (lambda d: drill(d).update(proof="x" * 401), "drills.0.proof is longer than 400"),
        (lambda d: drill(d).update(unproven=[["db"]]), "unproven.0 does not have three texts"),
        (lambda d: drill(d).update(unproven=[["db"] * 4]), "unproven.0 has more than 3 items"),
        (lambda d: drill(d)["failed"][0].update(component="a b"), "component is not a valid name"),
        (
            lambda d: d["plans"][0]["repositories"][0].update(id="x"),
            "repositories.0.id is not a valid sha",
        ),
        (lambda d: d["plans"][0]["points"][0].update(complete=0), "points.0.complete is neither"),
        (
            lambda d: d["plans"][0]["points"][0]["components"][0].update(
                summary={str(n): 1 for n in range(101)}
            ),
            "summary has more than 100 entries",
        ),
    ],
)
def test_an_index_that_drd_would_not_write_is_refused_with_the_reason(
    change: Callable[[dict[str, Any]], object], why: str
) -> None:
    assert why in refused(change)


@pytest.mark.parametrize(
    ("key", "most"), [("plans", 100_000), ("secrets", 100_000), ("programs", 100_000)]
)
def test_lists_of_a_kit_are_bounded(key: str, most: int) -> None:
    assert "is missing" in refused(lambda d: d.update({key: [{}] * most}))
    assert refused(lambda d: d.update({key: [{}] * (most + 1)})) == (
        f"{key} has more than {most:,} items"
    )


@pytest.mark.parametrize(("key", "most"), [("files", 100_000), ("digests", 1_000_000)])
def test_names_in_a_kit_are_bounded(key: str, most: int) -> None:
    many: dict[str, object] = {str(n): 1 for n in range(most)}
    assert "is not text" in refused(lambda d: d.update({key: many}))
    many["one more"] = 1
    assert refused(lambda d: d.update({key: many})) == f"{key} has more than {most:,} entries"


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "./a", "a/..", "..", "a/./b"])
def test_files_of_a_kit_lie_below_its_directory(name: str) -> None:
    with pytest.raises(strict.UnexpectedValue, match="is not a file of a kit"):
        inner_name(name, "file")
    assert inner_name("a/..b/.c", "file") == "a/..b/.c"


def test_a_point_in_a_kit_counts_what_its_fingerprints_name() -> None:
    found = kit_point(replace(POINT, proven_by="e1"), source_version)
    assert (found.id, found.complete, found.proven_by) == ("0badcafe", True, "e1")
    assert found.repositories == ("primary",)
    assert [c.summary for c in found.components] == [
        {"tables": 2, "rows": 7},
        {"entries": 3},
        {},
    ]
    assert summary(DATABASE) == {"tables": 2, "rows": 7}
    assert summary(TREE) == {"entries": 3}
    row = replace(POINT.components[0], kind="postgres", facts={"server_version": 17})
    named = kit_point(replace(POINT, components=(row,)), source_version)
    assert named.components[0].version == "17"
    assert found.components[0].version == ""


def test_records_of_another_form_are_refused() -> None:
    for name in ("chain", "seq", "hash", "at", "key", "public"):
        assert name in refused(lambda raw, name=name: raw["records"].pop(name))  # type: ignore[misc]
    assert "chain" in refused(lambda raw: raw["records"].update(chain="x"))


def test_a_public_key_in_a_kit_has_at_most_100_characters() -> None:
    for change in (
        lambda raw, text: raw["records"].update(public=text),
        lambda raw, text: raw["records"]["former"][0].update(public=text),
    ):
        raw = INDEX.to_json()
        change(raw, "A" * 100)
        assert index_from_json(raw).records is not None
        assert "public" in refused(lambda raw, change=change: change(raw, "A" * 101))  # type: ignore[misc]


def test_a_kit_of_before_the_records_knows_nothing_of_them() -> None:
    raw = INDEX.to_json()
    del raw["records"]
    assert index_from_json(raw) == replace(INDEX, records=None)
