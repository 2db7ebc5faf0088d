"""Blackout windows: by the clock on the wall, on the days when it is changed as well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.model.policies import Blackout
from drd.model.windows import (
    blackout_at,
    longest_blackout_s,
    minutes_of,
    released,
    window_text,
)

BERLIN = "Europe/Berlin"
STEP = timedelta(minutes=5)


def window(begin: str, end: str, *days: int) -> Blackout:
    return Blackout(minutes_of(begin), minutes_of(end), days or tuple(range(7)))


NIGHT = window("22:00", "06:00")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "free"),
    [
        ("2026-11-25T21:59:59", "2026-11-25T21:59:59"),
        ("2026-11-25T22:00:00", "2026-11-26T06:00:00"),
        ("2026-11-26T05:59:59", "2026-11-26T06:00:00"),
        ("2026-11-26T06:00:00", "2026-11-26T06:00:00"),
    ],
)
def test_start_in_a_window_waits_until_its_end(at: str, free: str) -> None:
    assert released((NIGHT,), "UTC", utc(at))[0] == utc(free)


def test_window_is_in_the_local_time_of_its_section() -> None:
    assert released((NIGHT,), BERLIN, utc("2026-11-25T21:30:00"))[0] == utc("2026-11-26T05:00:00")
    assert blackout_at((NIGHT,), BERLIN, utc("2026-11-25T20:30:00")) is None


def test_day_of_a_window_is_the_one_on_which_it_begins() -> None:
    friday_night = window("22:00", "06:00", 4)
    saturday_3am = utc("2026-11-28T03:00:00")
    assert released((friday_night,), "UTC", saturday_3am)[0] == utc("2026-11-28T06:00:00")
    assert blackout_at((friday_night,), "UTC", saturday_3am - timedelta(days=1)) is None
    assert blackout_at((friday_night,), "UTC", saturday_3am + timedelta(days=1)) is None


def test_windows_that_touch_are_one() -> None:
    windows = (window("22:00", "24:00"), window("00:00", "03:00"), window("02:00", "06:00"))
    at, last = released(windows, "UTC", utc("2026-11-25T22:10:00"))
    assert at == utc("2026-11-26T06:00:00")
    assert last == windows[2]


@pytest.mark.parametrize("windows", [(), (window("22:00", "23:00", 0),)])
def test_time_outside_of_every_window_stays(windows: tuple[Blackout, ...]) -> None:
    at = utc("2026-11-25T22:10:00.5")
    assert released(windows, "UTC", at) == (at, None)


def test_a_blackout_without_an_end_is_followed_for_a_week_and_a_window() -> None:
    always = window("00:00", "24:00")
    at = utc("2026-11-25T12:00:00")
    assert released((always,), "UTC", at) == (utc("2026-12-03T00:00:00"), always)
    halves = (window("00:00", "12:00"), window("12:00", "24:00"))
    assert released(halves, "UTC", at) == (utc("2026-12-03T00:00:00"), halves[1])


@pytest.mark.parametrize(
    ("windows", "hours"),
    [
        ((), 0),
        ((NIGHT,), 8),
        ((window("22:00", "06:00", 4),), 8),
        ((window("00:00", "24:00", 5, 6),), 48),
        ((window("00:00", "24:00", 5, 6), window("22:00", "06:00", 4, 6)), 56),
        ((window("18:00", "24:00", 6), window("00:00", "07:00", 0)), 13),
        ((window("06:00", "22:00"), NIGHT), 7 * 24),
        ((window("00:00", "24:00"),), 7 * 24),
        ((window("12:00", "13:00"), window("12:30", "13:30")), 1.5),
        ((window("12:00", "14:00"), window("12:30", "13:30")), 2),
        ((window("12:00", "13:00"), window("14:00", "14:30")), 1),
        ((window("12:00", "12:30"), window("14:00", "15:00")), 1),
        ((window("00:00", "00:01", 0), window("00:02", "00:03", 0)), 1 / 60),
    ],
)
def test_longest_time_without_a_start(windows: tuple[Blackout, ...], hours: float) -> None:
    assert longest_blackout_s(windows) == hours * 3600


@pytest.mark.parametrize(
    ("text", "minutes"), [("00:00", 0), ("6:05", 365), ("22:00", 1320), ("24:00", 1440)]
)
def test_times_of_day_are_parsed(text: str, minutes: int) -> None:
    assert minutes_of(text) == minutes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "22",
        "22:0",
        "22:60",
        "24:01",
        "-1:00",
        "1:2:3",
        "²2:00",
        "022:00",
        ":00",
        "1:000",
        "x:00",
    ],
)
def test_invalid_times_of_day_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match='write hours and minutes in quotes, like "22:00"'):
        minutes_of(text)


def test_windows_are_shown_in_words() -> None:
    assert window_text(NIGHT) == "22:00-06:00"
    assert window_text(window("00:00", "24:00", 5, 6)) == "sat,sun 00:00-24:00"


# --- against looking at the clock every five minutes
# ----------------------------------------------------

CHANGES = [
    (BERLIN, "2026-03-29"),
    (BERLIN, "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Africa/Cairo", "2026-04-24"),
    ("Asia/Tokyo", "2026-04-24"),
]


@pytest.mark.parametrize("windows", [
    (NIGHT,),
    (window("02:30", "06:00"),),
    (window("22:00", "02:30"),),
    (window("02:00", "03:00"),),
    (window("02:10", "02:50"), window("03:05", "03:10")),
    (window("00:00", "24:00", 6),),
    (window("23:30", "00:30", 3, 5), window("00:15", "01:15", 6)),
])  # fmt: skip
@pytest.mark.parametrize(("timezone", "day"), CHANGES)
def test_windows_are_what_the_clock_on_the_wall_shows(
    timezone: str, day: str, windows: tuple[Blackout, ...]
) -> None:
    zone = ZoneInfo(timezone)
    start = utc(day) - timedelta(days=1)
    minutes = [start + n * STEP for n in range(3 * 24 * 12)]
    held = [blackout_at(windows, timezone, at) is not None for at in minutes]
    for at, is_held in zip(minutes, held, strict=True):
        if not shown_twice(at, zone):
            local = at.astimezone(zone)
            assert is_held == any(covers(w, local) for w in windows), local
    free = None
    for at, is_held in zip(reversed(minutes), reversed(held), strict=True):
        free = free if is_held else at
        if free is not None:
            assert released(windows, timezone, at)[0] == free


def shown_twice(at: datetime, zone: ZoneInfo) -> bool:
    local = at.astimezone(zone).replace(tzinfo=None)
    both = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return len(both) == 2


def covers(window: Blackout, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    days = window.days
    if window.from_min < window.to_min:
        return local.weekday() in days and window.from_min <= minute < window.to_min
    began_today = local.weekday() in days and minute >= window.from_min
    began_yesterday = (local.weekday() - 1) % 7 in days and minute < window.to_min
    return began_today or began_yesterday


@pytest.mark.parametrize("minute", ["00:15", "00:45", "01:15", "01:45"])
def test_window_holds_through_both_passes_of_a_doubled_hour(minute: str) -> None:
    """From the first time that the clock shows 02:10 to the last time that it shows 02:50."""
    windows = (window("02:10", "02:50"),)
    at = utc(f"2026-10-25T{minute}:00")
    assert released(windows, BERLIN, at)[0] == utc("2026-10-25T01:50:00")


@given(
    st.lists(
        st.builds(
            Blackout,
            st.integers(0, 1439),
            st.integers(0, 1440),
            st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
        ),
        max_size=4,
    ),
    st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
    st.sampled_from([BERLIN, "UTC", "America/New_York"]),
)
def test_release_is_the_end_of_waiting(
    windows: list[Blackout], at: datetime, timezone: str
) -> None:
    free, last = released(windows, timezone, at)
    assert free >= at
    assert (last is None) == (free == at)
    if longest_blackout_s(windows) < 7 * 86400:
        assert blackout_at(windows, timezone, free) is None
        # The clocks may add an hour.
        assert (free - at).total_seconds() <= longest_blackout_s(windows) + 7200


def test_of_several_windows_in_force_the_one_that_ends_last_counts() -> None:
    long, late = Blackout(60, 300, tuple(range(7))), Blackout(120, 180, tuple(range(7)))
    at = utc("2026-11-25T02:30:00")
    for windows in ((long, late), (late, long)):
        found = blackout_at(windows, "UTC", at)
        assert found is not None
        assert found[1:] == (utc("2026-11-25T05:00:00"), long)
