"""Attainment from intervals equals a count of every second, whatever order points appear in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.model.attainment import attainment, missed_intervals

T0 = datetime(2026, 11, 25, 23, 50, tzinfo=UTC)
"""Midnight lies within what the tests look at."""


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def missed(
    points: list[tuple[int, int]], rpo: int, since: int, until: int
) -> list[tuple[int, int]]:
    found = missed_intervals([(at(d), at(a)) for d, a in points], rpo, at(since), at(until))
    return [(int((s - T0).total_seconds()), int((e - T0).total_seconds())) for s, e in found]


def missed_seconds(points: list[tuple[int, int]], rpo: int, since: int, until: int) -> list[int]:
    """Brute force: the seconds [t, t+1) in the middle of which the objective was missed."""
    found = []
    for second in range(since, until):
        middle = second + 0.5
        data = [min(d, a) for d, a in points if a <= middle]
        if not data or middle - max(data) > rpo:
            found.append(second)
    return found


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], [(0, 100)]),
        ([(5, 10)], [(0, 10), (25, 100)]),
        ([(-30, -20)], [(0, 100)]),
        ([(-5, -3)], [(15, 100)]),
        ([(0, 5), (20, 25), (40, 45)], [(0, 5), (20, 25), (40, 45), (60, 100)]),
        ([(0, 5), (15, 20), (30, 35)], [(0, 5), (50, 100)]),
        ([(10, 60)], [(0, 100)]),
        ([(70, 80), (10, 60)], [(0, 80), (90, 100)]),
        ([(50, 55), (40, 60)], [(0, 55), (70, 100)]),
        ([(90, 100)], [(0, 100)]),
        ([(90, 200)], [(0, 100)]),
        ([(50, 30)], [(0, 30), (50, 100)]),
    ],
    ids=[
        "no point",
        "one point",
        "a point from before, too old",
        "a point from before, still good",
        "gaps between points",
        "no gap when the next comes at the very second",
        "a run longer than the rpo changes nothing",
        "a slow run between, merged",
        "an older point after a younger one",
        "available only at the end",
        "available after the end",
        "data time after availability counts as availability",
    ],
)
def test_intervals_without_a_point_within_the_rpo_are_missed(
    points: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    assert missed(points, 20, 0, 100) == expected


points_st = st.lists(
    st.tuples(st.integers(-60, 260), st.integers(0, 80)).map(lambda p: (p[0], p[0] + p[1])),
    max_size=12,
)


clocks_set_back = st.lists(st.tuples(st.integers(-60, 260), st.integers(-60, 260)), max_size=12)
"""Data times after their availability among them."""


@given(points_st | clocks_set_back, st.integers(1, 90), st.integers(0, 100), st.integers(0, 150))
def test_missed_intervals_equal_a_count_of_every_second(
    points: list[tuple[int, int]], rpo: int, since: int, length: int
) -> None:
    until = since + length
    found = missed(points, rpo, since, until)
    seconds = [s for start, end in found for s in range(start, end)]
    assert seconds == missed_seconds(points, rpo, since, until)
    assert all(start < end for start, end in found)
    assert all(a[1] < b[0] for a, b in pairwise(found)), "merged and sorted"


@given(points_st, st.integers(1, 90), st.integers(0, 60), st.integers(1, 300), st.integers(1, 200))
def test_attainment_equals_a_count_of_every_second(
    points: list[tuple[int, int]], rpo: int, loaded: int, window: int, later: int
) -> None:
    now = loaded + later
    there = [p for p in points if p[1] <= now]
    newest = max(there, default=None)
    until = newest[1] if newest else now
    stored = missed_intervals(
        [(at(d), at(a)) for d, a in points], rpo, at(loaded), max(at(until), at(loaded))
    )
    share = attainment(
        stored,
        newest and (at(newest[0]), at(newest[1])),
        rpo_s=rpo,
        first_loaded_at=at(loaded),
        window_s=window,
        now=at(now),
    )
    begin = max(loaded, now - window)
    count = len(missed_seconds(there, rpo, begin, now))
    assert share == pytest.approx(1 - count / (now - begin))


def test_window_begins_no_earlier_than_the_first_load() -> None:
    given_ = {"rpo_s": 10.0, "window_s": 1000.0, "now": at(100)}
    newest = (at(50), at(50))
    assert attainment([], newest, first_loaded_at=at(50), **given_) == pytest.approx(10 / 50)
    assert attainment([], newest, first_loaded_at=at(0), **given_) == pytest.approx(60 / 100)


def test_without_a_point_nothing_was_attained() -> None:
    given_ = {"rpo_s": 10.0, "window_s": 1000.0, "first_loaded_at": at(0)}
    assert attainment([], None, now=at(1), **given_) == 0.0


@pytest.mark.parametrize("now", [0, -5])
def test_no_window_yet_is_unknown_and_not_full(now: int) -> None:
    """Also when the clock was set back before the first load."""
    share = attainment(
        [], (at(-9), at(-9)), rpo_s=10, first_loaded_at=at(0), window_s=100, now=at(now)
    )
    assert share is None


def test_time_after_the_newest_point_is_not_counted_twice() -> None:
    """A younger point that is gone made the stored intervals reach further."""
    stored = [(at(10), at(20)), (at(60), at(80))]
    share = attainment(
        stored, (at(40), at(50)), rpo_s=20, first_loaded_at=at(0), window_s=1000, now=at(100)
    )
    assert share == pytest.approx(1 - (10 + 40) / 100)


def test_data_dated_after_its_availability_is_no_younger_than_that() -> None:
    share = attainment(
        [], (at(90), at(10)), rpo_s=20, first_loaded_at=at(0), window_s=1000, now=at(100)
    )
    assert share == pytest.approx(1 - 70 / 100)
