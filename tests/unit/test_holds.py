"""Which restore points somebody holds, and why."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from drd.errors import NotSupported
from drd.flows.upkeep.holds import hold
from drd.model.aside import Aside
from drd.model.coverage import Coverage
from drd.model.holds import GivenUp, Hold, held_points
from tests.catalogue_support import T0

SECOND = timedelta(seconds=1)


def test_a_hold_lasts_until_its_end_or_until_it_is_released() -> None:
    assert Hold("p1", "shop", "the audit", T0).is_active(T0 + timedelta(days=9999))
    ends = Hold("p1", "shop", "the audit", T0, until=T0)
    assert ends.is_active(T0 - SECOND)
    assert not ends.is_active(T0)


def test_a_held_point_has_the_reason_of_its_newest_active_hold() -> None:
    old = Hold("p1", "shop", "the audit", T0)
    new = Hold("p1", "shop", "a lawsuit", T0 + SECOND)
    over = Hold("p1", "shop", "a week", T0 + 2 * SECOND, until=T0 + 3 * SECOND)
    other = Hold("p2", "shop", "a week", T0, until=T0)
    for holds in ([old, new, over, other], [over, other, new, old]):
        assert held_points(holds, T0 + 3 * SECOND) == {"p1": "a lawsuit"}
    assert held_points([over, old], T0 + 2 * SECOND) == {"p1": "a week"}


@pytest.mark.parametrize(
    ("point", "remedy"),
    [
        ("pgbackrest-1f0c9d3a", "set `repo1-retention-full` high enough"),
        ("restic-1f0c9d3a", "`restic tag --add keep SNAPSHOT`"),
        ("command-1f0c9d3a", "does not remove it."),
    ],
)
def test_a_copy_of_another_tool_is_kept_with_what_that_tool_has(point: str, remedy: str) -> None:
    catalogue: Any = SimpleNamespace(keeping=SimpleNamespace(plan_of=lambda p: ("shop", p)))
    with pytest.raises(NotSupported) as caught:
        hold(catalogue, point, "audit", now=T0)
    assert remedy in caught.value.hint
    assert ("tag" in caught.value.hint) == point.startswith("restic")


def test_a_point_is_given_up_in_all_repositories_unless_one_is_named() -> None:
    assert GivenUp("p1", "shop", "damaged", T0).repository == ""


def test_a_kept_copy_and_a_coverage_come_back_from_json_unchanged() -> None:
    kept = Aside("db", "/a", "/b", 5, former=False)
    assert kept.to_json() == {
        "component": "db",
        "place": "/a",
        "kept": "/b",
        "bytes": 5,
        "former": False,
    }
    assert Aside.of_json(kept.to_json()) == kept
    coverage = Coverage(7, 9, (("dns", "a stand-in"),), ("network",))
    assert coverage.to_json() == {
        "rehearsed": 7,
        "of": 9,
        "simulated": [{"step": "dns", "with": "a stand-in"}],
        "granted": ["network"],
    }
    assert Coverage.from_json(coverage.to_json()) == coverage
    assert (coverage.words(), Coverage(1, 1).words()) == (
        "7 of 9 steps rehearsed",
        "1 of 1 step rehearsed",
    )
