"""Which dumps are a series, by their names alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import pytest

from drd.model.dump_names import base_of, is_dated, series_of

NIGHT = datetime(2026, 11, 20, 3, tzinfo=UTC)


def groups(*names: str, times: Mapping[str, datetime] | None = None) -> set[frozenset[str]]:
    made: dict[object, set[str]] = {}
    for name, series in series_of(names, times).items():
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
        ("_shop-Fri.dump", "_shop-Mon.dump"),
    ],
)
def test_days_and_months_in_names_make_one_series(series: tuple[str, ...]) -> None:
    assert groups(*series) == {frozenset(series)}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("shop-fri.dump", "shop-[a-z]*.dump"),
        ("shop-Fri.dump", "shop-[A-Z]*.dump"),
        ("shop-20261128.dump", "shop-*.dump"),
        ("shop[1].dump", "shop[1].dump"),
    ],
)
def test_people_see_a_pattern_for_a_shell(name: str, pattern: str) -> None:
    assert series_of([name])[name].pattern == pattern


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


NAMES = (
    "tenant{}-202611{}.dump",
    "shard-{}-202611{}.dump",
    "2026-11-{1}/shop{0}.dump",
    "shop-202611{1}-{0}.dump",
    "db{0}_2026-11-{1}_03h1{0}m.sql.gz",
    "{0}-202611{1}T030{0}00Z.dump",
    "shop{}-{}-Nov-2026.dump",
    "shop{}-market-{}-11-2026.tar",
)


@pytest.mark.parametrize("pattern", NAMES)
def test_a_number_that_is_no_date_belongs_to_the_name_of_the_database(pattern: str) -> None:
    apart = {
        frozenset(pattern.format(database, day) for day in range(20, 26)) for database in (1, 2)
    }
    names = [name for names in apart for name in names]
    minutes = {n: NIGHT + timedelta(minutes=at) for at, n in enumerate(sorted(names))}
    assert groups(*names, times=minutes) == apart
    assert groups(*names) == apart
    made = {series.expression for series in series_of(names).values()}
    for other in (pattern.format(3, 26), "shop-2.dump", "2026.dump"):
        assert not any(re.fullmatch(expression, other) for expression in made)


def every(hours: int, *names: str) -> dict[str, datetime]:
    return {name: NIGHT + timedelta(hours=hours * n) for n, name in enumerate(names)}


@pytest.mark.parametrize(
    "times",
    [
        every(24, "shop.dump.3", "shop.dump.2", "shop.dump.1"),
        every(24, "shop.dump.2.gz", "shop.dump.1.gz"),
        every(24, *(f"shop-{n}.dump" for n in (5, 6, 0, 1, 2))),
        every(24, *(f"shop-{n:04}.dump" for n in range(97, 103))),
        every(24, *(f"shop-00{n}-202611{n}.dump" for n in range(20, 26))),
        every(1, *(f"shop-2026-11-28_{n:02}.dump" for n in range(5, 9))),
        every(24, *(f"shop-17644{n}0000.dump" for n in range(1, 4))),
        every(168, "shop-2026-W47.dump", "shop-2026-W48.dump"),
        every(24, "shop-20261128.dump", "shop-20261129.dump"),
        every(24, *(f"{n}-shop.dump" for n in range(1, 5))),
    ],
)
def test_counters_and_dates_make_one_series(times: dict[str, datetime]) -> None:
    assert groups(*times, times=times) == {frozenset(times)}


def test_numbers_without_a_date_are_counters_only_if_the_dumps_follow_one_another() -> None:
    names = ("shard-1.dump", "shard-2.dump", "shard-3.dump")
    one_night = {name: NIGHT + timedelta(minutes=n) for n, name in enumerate(names)}
    stale = {**one_night, names[0]: NIGHT - timedelta(days=5)}
    for times in (None, one_night, stale):
        assert len(groups(*names, times=times)) == 3
    attached = every(24, "tenant1.dump", "tenant2.dump", "tenant3.dump")
    assert len(groups(*attached, times=attached)) == 3


def test_a_counter_beside_another_number_counts_the_dumps_of_that_number() -> None:
    times = {
        f"shop-{database}-{n}.dump": NIGHT + timedelta(hours=24 * n + database)
        for database in (1, 2)
        for n in range(5, 9)
    }
    assert groups(*times, times=times) == {
        frozenset(f"shop-{database}-{n}.dump" for n in range(5, 9)) for database in (1, 2)
    }


def test_two_dumps_are_a_rotation_only_if_each_has_a_number_of_one() -> None:
    times = every(24, "shop.dump.1", "shop.dump.1000")
    assert len(groups(*times, times=times)) == 2


@pytest.mark.parametrize(
    ("names", "series"),
    [
        (("home-mar", "home-may", "home-jun", "home-jul"), 1),
        (("home-jun", "home-june", "home-jul", "home-july"), 4),
        (("mon-shop", "tue-shop", "wed-blog", "thu-blog"), 4),
        (("mon-shop", "tue-shop", "wed-shop", "sat-shop", "sun-blog"), 2),
    ],
)
def test_words_at_one_place_are_dates_if_there_are_four_days_or_months(
    names: tuple[str, ...], series: int
) -> None:
    assert len(groups(*names)) == series


def test_numbers_that_neither_rise_nor_fall_from_dump_to_dump_are_no_counters() -> None:
    for pattern in ("shop-{}.dump", "shop.dump.{}"):
        times = every(24, *(pattern.format(n) for n in (2, 4, 1, 3)))
        assert len(groups(*times, times=times)) == 4


def test_the_base_name_of_a_dump_is_without_its_date_and_number() -> None:
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


@pytest.mark.parametrize(
    ("name", "dated"),
    [
        ("2026-nov-shop", True),
        ("shop-2026nov", True),
        ("shop-29-nov", True),
        ("shop-nov-2026", True),
        ("nov2026-shop", True),
        ("shop-32-nov", False),
        ("shop-29--nov", False),
        ("shop-nov--2026", False),
        ("nov-shop-2026", False),
        ("nov-05", False),
        ("april", False),
        ("a/Mon/shop", True),
        ("a/mon-shop.dump", False),
        ("mon-shop.dump", False),
        ("mon.dump", True),
        ("mon.2.dump", False),
        ("shop-fri-full.dump", True),
        ("shop-FRIDAY.dump", True),
        ("shop-fRI.dump", False),
    ],
)
def test_a_word_is_a_date_where_no_database_would_have_it_as_its_name(
    name: str, *, dated: bool
) -> None:
    assert is_dated(name) is dated
