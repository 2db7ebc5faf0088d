"""Cron lines come due as Debian's cron runs them, also when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.model.cron import ALIASES, longest_gap, next_after, normalised

BERLIN = "Europe/Berlin"
NEW_YORK = "America/New_York"


def instants(expression: str, timezone: str, start: datetime, end: datetime) -> list[datetime]:
    """All times after `start` and before `end`, one after the other."""
    found = []
    at = start
    while (at := next_after(normalised(expression), timezone, at)) < end:
        found.append(at)
    return found


def times(expression: str, timezone: str, start: datetime, end: datetime) -> list[str]:
    """The same as the clock on the wall shows them."""
    zone = ZoneInfo(timezone)
    found = instants(expression, timezone, start, end)
    return [at.astimezone(zone).strftime("%a %d %H:%M %z") for at in found]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- by hand ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sunday", ["0", "7", "sun", "SUN"])
def test_sunday_has_two_numbers_and_a_name(sunday: str) -> None:
    found = times(f"0 3 * * {sunday}", "UTC", utc("2026-11-25"), utc("2026-12-08"))
    assert found == ["Sun 29 03:00 +0000", "Sun 06 03:00 +0000"]


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 0 L * *", "30 31 31 28"),
        ("0 0 LW * *", "30 31 29 26"),
        ("0 0 * * 5L", "27 25 29 26"),
        ("0 0 * * friL", "27 25 29 26"),
        ("0 0 * * SunL,5L", "27 29 25 27 29 31 26 28"),
        ("0 0 * * mon#1", "07 04 01"),
        ("0 0 * * 1#5", "30"),
        ("0 0 13 * fri", "27 04 11 13 18 25 01 08 13 15 22 29 05 12 13 19 26"),
        ("0 0 */10 * fri", "11 01"),
        ("0 0 1 jan,dec *", "01 01"),
        ("0 0 31 * *", "31 31"),
    ],
)
def test_days_are_those_of_debians_cron(expression: str, days: str) -> None:
    """A day of the month *or* of the week, unless one of the two begins with a star."""
    found = times(expression, "UTC", utc("2026-11-26"), utc("2027-03-01"))
    assert " ".join(f.split()[1] for f in found) == days


@pytest.mark.parametrize(
    ("alias", "first"),
    [
        ("@hourly", "2026-11-25T01:00:00"),
        ("@daily", "2026-11-26T00:00:00"),
        ("@midnight", "2026-11-26T00:00:00"),
        ("@weekly", "2026-11-29T00:00:00"),
        ("@monthly", "2026-12-01T00:00:00"),
        ("@yearly", "2027-01-01T00:00:00"),
        ("@annually", "2027-01-01T00:00:00"),
        ("@Daily", "2026-11-26T00:00:00"),
    ],
)
def test_aliases_like_daily_are_understood(alias: str, first: str) -> None:
    assert next_after(normalised(alias), "UTC", utc("2026-11-25T00:31:00")) == utc(first)


def test_every_alias_has_been_tried() -> None:
    assert len(ALIASES) == 7


@pytest.mark.parametrize(
    "unknown", ["@reboot", "0 0 30 2 *", "0 0 0 * *", "0 0 * * 8", "0 24 * * *"]
)
def test_a_cron_line_that_never_comes_is_refused(unknown: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        normalised(unknown)


@pytest.mark.parametrize(
    ("expression", "gap"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("0 3 * * *", timedelta(days=1)),
        ("0 3 * * mon-fri", timedelta(days=3)),
        ("0 0 1 */2 *", timedelta(days=62)),
        ("0 0 29 2 *", timedelta(days=8 * 365 + 1)),  # 2100 has no such day
        ("0-49 0-19 1-12 * *", timedelta(days=19, hours=4, minutes=11)),
        ("1-50 0-19 1-12 * *", timedelta(hours=4, minutes=11)),  # 12,000 starts before the gap
    ],
)
def test_longest_gap_is_found_within_two_months_twenty_starts_and_no_more_than_twelve_thousand(
    expression: str, gap: timedelta
) -> None:
    assert longest_gap(expression, "UTC") == gap.total_seconds()


def test_longest_gap_is_that_of_the_clock_on_the_wall() -> None:
    assert longest_gap("0 3 * * *", BERLIN) == 86400.0
    assert longest_gap("30 2 1 * *", BERLIN) == 31 * 86400.0 + 3600  # and an hour of October


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (10, "is not a cron expression"),
        ("@sometimes", "@sometimes is not a known word for a schedule"),
        ("* * * *", r"'\* \* \* \*' has 4 fields"),
        ("*", r"'\*' has 1 field"),
        ("* * * * * *", "has 6 fields"),
        ("0 0 30 2 *", "is not a cron expression: "),
    ],
)
def test_a_text_that_is_not_an_expression_says_what_is_wrong(value: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        normalised(value)


def test_expressions_have_single_blanks_and_numbers_for_the_last_weekday() -> None:
    assert normalised(" 0  3\t* * * ") == "0 3 * * *"
    assert normalised("0 3 * * monL,SUNL") == "0 3 * * 1L,0L"


SPRING = (utc("2026-03-28T00:00:00"), utc("2026-03-30T23:59:00"))
AUTUMN = (utc("2026-10-24T00:00:00"), utc("2026-10-26T23:59:00"))


def test_time_that_does_not_exist_runs_once_after_the_change() -> None:
    assert times("30 2 * * *", BERLIN, *SPRING) == [
        "Sat 28 02:30 +0100",
        "Sun 29 03:00 +0200",
        "Mon 30 02:30 +0200",
    ]
    assert times("0,30 2,3 * * *", BERLIN, *SPRING)[4:6] == [
        "Sun 29 03:00 +0200",
        "Sun 29 03:30 +0200",
    ]


def test_time_that_exists_twice_runs_the_first_time_only() -> None:
    assert times("30 2 * * *", BERLIN, *AUTUMN) == [
        "Sat 24 02:30 +0200",
        "Sun 25 02:30 +0200",
        "Mon 26 02:30 +0100",
    ]


@pytest.mark.parametrize("minutes_before", [20, 80])
def test_start_in_the_doubled_hour_never_leads_back(minutes_before: int) -> None:
    """From the second 02:10 the next 02:30 is tomorrow's, from the first it is today's."""
    second = utc("2026-10-25T01:30:00")
    at = next_after("30 2 * * *", BERLIN, second - timedelta(minutes=minutes_before))
    assert at == (utc("2026-10-25T00:30:00") if minutes_before > 60 else utc("2026-10-26T01:30:00"))


def test_every_ten_minutes_goes_by_real_time_through_both_changes() -> None:
    for start, end in (SPRING, AUTUMN):
        found = instants("*/10 * * * *", BERLIN, start, end)
        assert {(b - a) for a, b in pairwise(found)} == {timedelta(minutes=10)}


def test_one_step_from_any_distance() -> None:
    long_ago = utc("1991-01-01T00:00:00")
    assert next_after("0 3 * * 0", BERLIN, long_ago) == utc("1991-01-06T02:00:00")


# --- against a clock that is looked at every minute ---------------------------------------------

EXPRESSIONS = [
    "30 2 * * *",
    "0 0 * * *",
    "15,45 1-3 * * *",
    "0 3 * * *",
    "59 1 * * *",
    "5-7 2 * * sun",
    "0 2 1-31/2 * *",
    "*/20 2 * * *",
    "7 */2 * * *",
    "* 1 * * *",
    "30 * * * *",
]

CHANGES = [
    (BERLIN, "2026-03-29"),
    (BERLIN, "2026-10-25"),
    (NEW_YORK, "2026-03-08"),
    (NEW_YORK, "2026-11-01"),
    ("Africa/Cairo", "2026-04-24"),
    ("Africa/Cairo", "2026-10-29"),
    ("Asia/Beirut", "2026-03-29"),
    ("America/Santiago", "2026-09-06"),
    ("America/Santiago", "2026-04-04"),
    ("Asia/Kolkata", "2026-06-01"),
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize(("timezone", "day"), CHANGES)
def test_next_times_equal_a_minute_by_minute_search(
    expression: str, timezone: str, day: str
) -> None:
    start = utc(day) - timedelta(days=1)
    end = start + timedelta(days=3)
    expected = sorted(looked(expression, ZoneInfo(timezone), start, end))
    assert instants(expression, timezone, start - timedelta(seconds=1), end) == expected


@pytest.mark.parametrize("expression", [e for e in EXPRESSIONS if "*" not in e[:4]])
@pytest.mark.parametrize("day", ["2026-04-05", "2026-10-04"])
def test_a_clock_change_of_half_an_hour_works(expression: str, day: str) -> None:
    lord_howe = "Australia/Lord_Howe"
    start, end = utc(day) - timedelta(days=1), utc(day) + timedelta(days=2)
    expected = sorted(looked(expression, ZoneInfo(lord_howe), start, end))
    assert instants(expression, lord_howe, start - timedelta(seconds=1), end) == expected


def looked(expression: str, zone: ZoneInfo, start: datetime, end: datetime) -> set[datetime]:
    """When Debian's cron, which wakes up every minute, would run it."""
    fields = expression.split()
    by_real_time = fields[0].startswith("*") or fields[1].startswith("*")
    found = set()
    shown = None
    for at, local in each_minute(zone, start - timedelta(hours=3), end):
        if by_real_time:
            times_now = [local]
        else:
            # Each time of the clock once: those that were jumped over when the jump is seen.
            first = local if shown is None else shown + timedelta(minutes=1)
            times_now = [first + timedelta(minutes=m) for m in range((local - first) // MINUTE + 1)]
        if any(matches(fields, time) for time in times_now) and at >= start:
            found.add(at)
        shown = local if shown is None else max(shown, local)
    return found


@cache
def each_minute(zone: ZoneInfo, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """With what the clock on the wall shows."""
    instants = (start + n * MINUTE for n in range((end - start) // MINUTE))
    return [(at, at.astimezone(zone).replace(tzinfo=None)) for at in instants]


MINUTE = timedelta(minutes=1)
NAMES = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def matches(fields: list[str], local: datetime) -> bool:
    if local.minute not in numbers(fields[0], 0, 59) or local.hour not in numbers(fields[1], 0, 23):
        return False
    month_day = local.day in numbers(fields[2], 1, 31)
    week_day = local.isoweekday() % 7 in {n % 7 for n in numbers(fields[4], 0, 7)}
    both = fields[2].startswith("*") or fields[4].startswith("*")
    return local.month in numbers(fields[3], 1, 12) and (
        (month_day and week_day) if both else (month_day or week_day)
    )


@cache
def numbers(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span in NAMES:
            span = str(NAMES.index(span))
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


@given(
    st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
    st.sampled_from([*EXPRESSIONS, "0 0 29 2 *", "0 12 * * mon#5"]),
    st.sampled_from([BERLIN, NEW_YORK, "UTC", "Pacific/Apia", "Africa/Cairo"]),
)
def test_next_is_always_later_and_a_whole_minute(
    after: datetime, expression: str, timezone: str
) -> None:
    at = next_after(expression, timezone, after)
    assert at > after
    assert (at.second, at.microsecond) == (0, 0)
