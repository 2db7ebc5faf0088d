"""Which dumps are a series, by their names alone."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from drd.model.dump_names import base_of, is_dated, series_of


def groups(*names: str) -> set[frozenset[str]]:
    made: dict[object, set[str]] = {}
    for name, series in series_of(names).items():
        assert re.fullmatch(series.expression, name)
        assert fnmatchcase(name, series.pattern)
        made.setdefault(series, set()).add(name)
    return set(map(frozenset, made.values()))


@pytest.mark.parametrize(
    "series",
    [
        ("shop-Fri.dump", "shop-Mon.dump"),
        ("shop-friday.sql.gz", "shop-wednesday.sql.gz", "shop-thursday.sql.gz"),
        ("shop.Mon.gz", "shop.Tue.gz"),
        ("shop-29-Nov-2026.dump", "shop-1-May-2026.dump", "shop-30-June-2026.dump"),
        ("shop-29NOV2026.dump", "shop-30DEC2026.dump"),
        ("shop_2026-11-28_03h14m.Saturday.sql.gz", "shop_2026-11-27_03h15m.Friday.sql.gz"),
        ("Fri.dump", "Sat.dump"),
        ("Mon/shop.dump", "Tue/shop.dump"),
        ("Mon-shop.dump", "Tue-shop.dump", "Wed-shop.dump", "Thu-shop.dump"),
        ("shop-nov.dump", "shop-dec.dump", "shop-jan.dump", "shop-feb.dump"),
    ],
)
def test_days_and_months_in_names_make_one_series(series: tuple[str, ...]) -> None:
    assert groups(*series) == {frozenset(series)}


def test_names_of_databases_and_people_that_look_like_days_make_series_of_their_own() -> None:
    apart = {
        frozenset({"mon-2026-11-28.dump", "mon-2026-11-29.dump"}),
        frozenset({"sat-2026-11-28.dump"}),
        frozenset({"2-2026-11-28.dump"}),
        frozenset({"home-jan-2026-11-28.tar"}),
        frozenset({"home-april-2026-11-28.tar"}),
        frozenset({"shop-Fri.dump"}),
        frozenset({"shop-1.dump"}),
        frozenset({"shop-test-Fri.dump"}),
        frozenset({"shop-Frigo.dump"}),
    }
    assert groups(*(name for names in apart for name in names)) == apart


def test_what_is_dumped_has_its_name_without_what_changes() -> None:
    named = {
        "shop-Fri": "shop",
        "shop-29-Nov-2026": "shop",
        "shop_2026-11-28_03h14m": "shop",
        "shop-20261128T030000Z": "shop",
        "shop-2-main": "shop-main",
        "home-april": "home-april",
        "mon-2026-11-28": "mon",
        "Fri": "Fri",
        "2026-11-28": "",
    }
    assert {name: base_of(name) for name in named} == named


def test_a_name_that_the_next_copy_does_not_have_is_dated() -> None:
    assert all(map(is_dated, ("shop-2026-11-28.dump", "shop-Fri.dump", "shop-20261128.db")))
    assert not any(map(is_dated, ("shop.dump", "orders-2026.db", "home-april.tar", "shop-2.db")))
