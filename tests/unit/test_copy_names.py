"""Names that other tools have for their copies, and which of them a person may mean."""

from __future__ import annotations

from typing import Any

import pytest

from drd.model.copy_names import copy_in, is_named, named, short_copy

ID = "5d1a03be" + "0" * 56


@pytest.mark.parametrize(
    ("facts", "name"), [({}, None), ({"copy": None}, None), ({"copy": 7}, "7"), ({"copy": ""}, "")]
)
def test_only_a_copy_of_another_tool_has_a_name(facts: dict[str, Any], name: str | None) -> None:
    assert copy_in(facts) == name


@pytest.mark.parametrize(
    ("name", "short"),
    [(ID, "5d1a03be"), (ID[:-1], ID[:-1]), (f"{ID}0", f"{ID}0"), ("shop-1.dump", "shop-1.dump")],
)
def test_only_an_id_of_restic_is_shortened(name: str, short: str) -> None:
    assert short_copy(name) == short
    assert named("restic-1f0c", name) == f"restic-1f0c (copy {short})"


def test_a_point_of_drd_is_named_alone() -> None:
    assert named("4f2a1c3e", None) == named("4f2a1c3e", "") == "4f2a1c3e"


@pytest.mark.parametrize(
    ("name", "given", "meant"),
    [
        (ID, ID, True),
        (ID, "5d1a", True),
        (ID, "5d1b", False),
        ("shop-1.dump", "shop-1.dump", True),
        ("shop-1.dump", "shop-1", False),  # the beginning of shop-10.dump, too
    ],
)
def test_the_beginning_of_an_id_means_the_copy_and_of_other_names_it_does_not(
    name: str, given: str, *, meant: bool
) -> None:
    assert is_named(name, given) is meant
