"""Whether a manifest or a snapshot is the one that drd stored, by what this host noted of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drd.model import strict
from drd.model.seals import Seal, seal_from_json, seal_of
from drd.model.snapshot import Manifest
from tests.unit.test_manifest import POINT, SEALED, SNAPSHOT, WHOLE

FIRST, SECOND = SNAPSHOT, "5b" * 32
SEAL = seal_of(POINT)


def of(**change: object) -> Manifest:
    return replace(WHOLE, point=replace(POINT, **change))  # type: ignore[arg-type]


def test_the_sealed_manifest_is_not_broken() -> None:
    assert SEAL.broken_by(WHOLE) is None
    assert seal_of(POINT, "d9").broken_by(replace(WHOLE, digest="d9")) is None
    assert SEAL.snapshots == {"db": FIRST, "conf": SECOND}


def test_another_point_is_named() -> None:
    assert SEAL.broken_by(of(id="deadbeef")) == "it belongs to restore point deadbeef"


def test_other_contents_are_found_by_the_digest() -> None:
    sealed = seal_of(POINT, "d9")
    assert sealed.broken_by(replace(WHOLE, digest="d8")) == "its content differs"


def test_without_a_digest_the_manifest_s_own_id_says_enough() -> None:
    moved = of(components=(), repositories={"primary": SEALED})
    assert SEAL.broken_by(moved) is None
    copied = of(components=(), repositories={"primary": SEALED, "offsite": "7c" * 32})
    assert SEAL.broken_by(copied) is None
    for places in ({"primary": "7c" * 32}, {"offsite": SEALED}):
        assert SEAL.broken_by(of(components=(), repositories=places)) == (
            "it names other snapshots"
        )
        assert SEAL.broken_by(of(repositories=places)) is None


def test_trees_are_not_snapshots() -> None:
    noted = SEAL.with_trees({FIRST: "t1", SEALED: "t0"})
    elsewhere = {"offsite": "7c" * 32}
    assert noted.broken_by(of(repositories=elsewhere)) is None


def test_trees_are_noted_once() -> None:
    noted = SEAL.with_trees({FIRST: "t1", SEALED: "t0", "9d" * 32: "t9", SECOND: ""})
    assert noted.tree_of(FIRST) == "t1"
    assert noted.tree_of(SEALED) == "t0"
    assert noted.tree_of(SECOND) is None
    assert noted.tree_of("9d" * 32) is None
    again = noted.with_trees({FIRST: "forged", SECOND: "t2"})
    assert (again.tree_of(FIRST), again.tree_of(SECOND)) == ("t1", "t2")


def test_a_snapshot_is_true_as_long_as_nothing_else_was_noted() -> None:
    assert SEAL.is_true(FIRST, "any", is_manifest=False)
    noted = SEAL.with_trees({FIRST: "t1"})
    assert noted.is_true(FIRST, "t1", is_manifest=False)
    assert not noted.is_true(FIRST, "t2", is_manifest=False)
    assert noted.is_true(SECOND, "any", is_manifest=False)
    assert noted.is_true("9d" * 32, "any", is_manifest=False)


def test_a_second_manifest_is_not_true_once_the_tree_of_the_first_is_noted() -> None:
    assert SEAL.is_true("9d" * 32, "any", is_manifest=True)
    noted = SEAL.with_trees({SEALED: "t0"})
    assert noted.is_true(SEALED, "t0", is_manifest=True)
    assert not noted.is_true(SEALED, "t1", is_manifest=True)
    assert not noted.is_true("9d" * 32, "t0", is_manifest=True)
    assert noted.is_true("9d" * 32, "t0", is_manifest=False)


def test_a_seal_comes_back_from_json() -> None:
    for seal in (SEAL, seal_of(POINT, "ab" * 32)):
        assert seal_from_json(seal.to_json(), "s") == seal


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "short"},
        {"digest": None},
        {"point": "x"},
        {"manifests": {"primary": "x"}},
        {"snapshots": []},
    ],
)
def test_a_seal_is_read_strictly(change: dict[str, object]) -> None:
    with pytest.raises(strict.UnexpectedValue, match=rf"^s\.{next(iter(change))}"):
        seal_from_json(SEAL.to_json() | change, "s")


def test_an_empty_seal_knows_nothing() -> None:
    assert Seal("0badcafe").tree_of(FIRST) is None
