"""When periods end.

Hours are elapsed hours, also where clocks change. Days and months end with the last day, at 24:00
local time, which is the instant at which the next day begins.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from drd.model.obligations.calendars import BusinessDays


@dataclass(frozen=True, slots=True)
class Ends:
    """When a period ends: `target_at` by the strictest reading, `due_at` by the letter of the rule.

    `last_day` is the local date on which it ends, of periods that end with a day."""

    target_at: datetime
    due_at: datetime
    last_day: date | None = None


def hours_after(start: datetime, hours: float) -> Ends:
    """Both readings are `start` and so many elapsed hours: no hour is added for a weekend or for
    the hour of the event, which Regulation 1182/71 could be read to allow."""
    at = start.astimezone(UTC) + timedelta(hours=hours)
    return Ends(at, at)


def days_after(start: datetime, days: int, zone: ZoneInfo) -> Ends:
    """The first day is not counted; the period ends at 24:00 of its last day."""
    return _with_day(start, start.astimezone(zone).date() + timedelta(days=days), zone)


def months_after(start: datetime, months: int, zone: ZoneInfo) -> Ends:
    """The period ends on the day with the same number, else on the last day of the month."""
    day = start.astimezone(zone).date()
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    month += 1
    last = monthrange(year, month)[1]
    return _with_day(start, date(year, month, min(day.day, last)), zone)


def business_days_after(
    start: datetime, count: int, zone: ZoneInfo, days: BusinessDays, until: time | None
) -> Ends:
    """The period ends on its last business day at `until`: what an authority gets after this hour
    counts as of the next day. Without `until`, the period ends at 24:00."""
    day = days.after(start.astimezone(zone).date(), count)
    ends = _with_day(start, day, zone)
    if until is None:
        return ends
    due = at_local(day, until, zone)
    return Ends(min(ends.target_at, due), due, day)


def days_after_year_end(start: datetime, days: int, zone: ZoneInfo) -> Ends:
    """So many days after the end of the calendar year, at 24:00."""
    day = date(start.astimezone(zone).year, 12, 31) + timedelta(days=days)
    due = end_of(day, zone)
    return Ends(due, due, day)


def noon_of_next_business_day(
    due_at: datetime, zone: ZoneInfo, days: BusinessDays, noon: time
) -> datetime:
    """Return `due_at`, or, if this day is not a business day, noon of the next business day."""
    day = last_day_of(due_at, zone)
    return due_at if days.has(day) else at_local(days.next(day), noon, zone)


def last_day_of(at: datetime, zone: ZoneInfo) -> date:
    """Return the local date on which a period ends: at 24:00 it is the day that ends."""
    return (at.astimezone(zone) - timedelta(microseconds=1)).date()


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a local day ends."""
    return at_local(day + timedelta(days=1), time(0), zone)


def at_local(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return the instant at which local clocks first show this time. For a time that they skip it
    is the instant of the change or later, never earlier."""
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)


def _with_day(start: datetime, day: date, zone: ZoneInfo) -> Ends:
    """Strictly, the period ends on its last day at the time of day of its start."""
    due = end_of(day, zone)
    clock = start.astimezone(zone).time()
    return Ends(min(at_local(day, clock, zone), due), due, day)
