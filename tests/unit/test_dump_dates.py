"""Which numbers in the names of dumps count the dumps, and which belong to the name."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from drd.model.dump_dates import Numbered, counts_dumps, is_rotated

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def dumps(
    values: Iterable[int], *, apart_s: float = 86400.0, dates: Iterable[str] = ()
) -> list[Numbered]:
    """One dump after the other; `dates` are in their names, one in each."""
    of = list(dates)
    return [
        Numbered(value, (of[n],) if of else (), NOON + timedelta(seconds=n * apart_s))
        for n, value in enumerate(values)
    ]


def unfinished(made: list[Numbered]) -> list[Numbered]:
    """The same dumps, but nobody knows when the last one was finished."""
    return [*made[:-1], made[-1]._replace(at=None)]


@pytest.mark.parametrize(
    ("made", "counts"),
    [
        (dumps([1, 2, 3]), True),
        (dumps([3, 2, 1]), True),
        (dumps([8, 9, 1, 2]), True),  # it begins anew
        (dumps([1, 4, 3, 2]), True),
        (dumps([1, 3, 2, 4]), False),
        (dumps([1, 1, 1]), False),
        (dumps([1, 2]), False),  # two may be two databases
        (dumps([1, 2, 3], apart_s=3600), True),
        (dumps([1, 2, 3], apart_s=3599), False),  # a script that dumps one after the other
        (unfinished(dumps([1, 2, 3, 4])), False),
    ],
)
def test_a_number_without_a_date_counts_if_it_rises_or_falls_with_dumps_an_hour_apart(
    made: list[Numbered], *, counts: bool
) -> None:
    assert counts_dumps(made, rotated=False) is counts


@pytest.mark.parametrize(
    ("made", "counts"),
    [
        (dumps([1]), True),
        (dumps([1, 2], apart_s=1), True),
        (dumps([1, 3, 2, 4]), False),
        (unfinished(dumps([1, 2])), False),
    ],
)
def test_numbers_of_a_rotation_count_from_the_first_dump_on(
    made: list[Numbered], *, counts: bool
) -> None:
    assert counts_dumps(made, rotated=True) is counts


@pytest.mark.parametrize(
    ("made", "counts"),
    [
        (dumps([101, 102, 103, 104], dates="abcd"), True),
        (dumps([101, 102, 103], dates="abc"), False),  # three may be chance
        (dumps([101, 103, 102, 104], dates="abcd"), False),
        (dumps([101, 102, 102, 104], dates="abcd"), False),
        (dumps([101, 102, 103, 104], dates="abca"), False),  # two of one day
        (dumps([101, 102, 103, 104], dates="abcd", apart_s=3600), True),
        (dumps([101, 102, 103, 104], dates="abcd", apart_s=3599), False),
        (unfinished(dumps([101, 102, 103, 104, 105], dates="abcde")), False),
        # One name without a date is enough to have the number beside dates.
        ([*dumps([103, 104, 101], dates="abc"), Numbered(102, (), NOON + timedelta(9))], False),
    ],
)
def test_a_number_beside_dates_counts_if_it_rises_with_four_dumps_of_different_dates(
    made: list[Numbered], *, counts: bool
) -> None:
    assert counts_dumps(made, rotated=False) is counts


def at_hours(*of: tuple[int, int], date: str = "a") -> list[Numbered]:
    """Dumps of one date by the number in their names and the hour at which they were finished."""
    return [Numbered(value, (date,), NOON.replace(hour=hour)) for value, hour in of]


@pytest.mark.parametrize(
    ("made", "counts"),
    [
        (at_hours((2, 3), (14, 15), (22, 23)), True),
        (at_hours((5, 6), (11, 12), (23, 0)), True),  # in the zone of the names it was 23:00
        (at_hours((6, 7), (12, 13), (24, 1)), False),  # no hour
        (at_hours((2, 3), (14, 15)), False),
        (at_hours((2, 3), (14, 15), (22, 22)), False),
        (at_hours((2, 3), (2, 3), (14, 15), (22, 23)), False),  # two of one hour
        (unfinished(at_hours((2, 3), (14, 15), (22, 23), (4, 5))), False),
    ],
)
def test_three_hours_of_a_day_at_which_the_dumps_were_finished_count(
    made: list[Numbered], *, counts: bool
) -> None:
    assert counts_dumps(made, rotated=False) is counts


@pytest.mark.parametrize(
    ("name", "start", "rotated"),
    [
        ("shop.dump.1", 10, True),
        ("shop.dump.1.gz", 10, True),
        ("shop.dump.1.old", 10, False),
        ("shop.7.dump.1", 5, False),
        ("shop1.dump", 4, False),
        ("shop.dump.1000", 10, False),
    ],
)
def test_the_number_of_a_rotation_ends_the_name_or_stands_before_the_packer(
    name: str, start: int, *, rotated: bool
) -> None:
    assert is_rotated(name, start) is rotated
