"""Deadlines calculated a second time, by counting: hour by hour and day by day, with holidays by
hand. Nothing here uses the code or the library that it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def after_hours(start: datetime, hours: int) -> datetime:
    """Count seconds since 1970, which no clock change touches."""
    seconds = int(start.timestamp())
    for _ in range(hours):
        seconds += 3600
    return datetime.fromtimestamp(seconds, UTC)


def end_of_local_day(day: date, zone: str) -> datetime:
    """Search the first quarter of an hour of UTC at which local clocks show a later date."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - DAY
    while at.astimezone(ZoneInfo(zone)).date() <= day:
        at += HOUR
    while (at - QUARTER).astimezone(ZoneInfo(zone)).date() > day:
        at -= QUARTER
    return at


def after_days(start: datetime, days: int, zone: str) -> datetime:
    """Turn over one leaf of a calendar for each day; the day of the event is not counted."""
    day = start.astimezone(ZoneInfo(zone)).date()
    for _ in range(days):
        day += DAY
    return end_of_local_day(day, zone)


def after_months(start: datetime, months: int, zone: str) -> datetime:
    """Walk to the month, then to the day of the same number, or to the last that there is."""
    first = start.astimezone(ZoneInfo(zone)).date()
    day, passed = first, 0
    while passed < months or (day.day != first.day and (day + DAY).month == day.month):
        passed += (day + DAY).month != day.month
        day += DAY
    return end_of_local_day(day, zone)


def after_business_days(
    start: datetime, count: int, zone: str, is_holiday: Callable[[date], bool]
) -> date:
    """Walk day by day, and count those on which people work."""
    day, counted = start.astimezone(ZoneInfo(zone)).date(), 0
    while counted < count:
        day += DAY
        if day.strftime("%a") not in ("Sat", "Sun") and not is_holiday(day):
            counted += 1
    return day


def after_year_end(start: datetime, days: int, zone: str) -> datetime:
    """Walk to New Year's Eve, then on."""
    day = start.astimezone(ZoneInfo(zone)).date()
    while (day.month, day.day) != (12, 31):
        day += DAY
    for _ in range(days):
        day += DAY
    return end_of_local_day(day, zone)


def is_federal_holiday(day: date) -> bool:
    """The holidays of 5 U.S.C. 6103: on a Saturday observed the Friday before, on a Sunday the
    Monday after."""
    fixed = {(1, 1), (6, 19), (7, 4), (11, 11), (12, 25)}
    before, after = day - DAY, day + DAY
    if (day.month, day.day) in fixed:
        return True
    if day.weekday() == 0 and (before.month, before.day) in fixed:
        return True
    if day.weekday() == 4 and (after.month, after.day) in fixed:
        return True
    which = (day.day - 1) // 7 + 1
    monday, last = day.weekday() == 0, (day + 7 * DAY).month != day.month
    return (
        (monday and (day.month, which) in {(1, 3), (2, 3), (9, 1), (10, 2)})
        or (monday and day.month == 5 and last)
        or (day.weekday() == 3 and (day.month, which) == (11, 4))
    )
