"""Blackout windows: times of the week in which nothing may start.

Windows are written in local time and worked out to instants, so that the days on which the clocks
change come out right: a window begins with the first time that its `from` is on the clock and
ends with the last time that its `to` is; where a time does not exist, the change itself counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from drd.model.malformed import Malformed
from drd.model.policies import Blackout

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 24 * 60
_WEEK_MIN = 7 * DAY_MIN


def minutes_of(text: str) -> int:
    """Return the minutes after midnight of `22:00`; `24:00` is 1440. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,2}):([0-5]\d)", text, re.ASCII)
    total = int(match[1]) * 60 + int(match[2]) if match else None
    if total is None or total > DAY_MIN:
        raise Malformed(
            f"{text!r} is not a time of day", 'write hours and minutes in quotes, like "22:00"'
        )
    return total


def window_text(window: Blackout) -> str:
    """Format a window: `22:00-06:00`, with the days if it is not every day: `mon,tue
    22:00-06:00`.
    """
    times = "-".join(f"{m // 60:02d}:{m % 60:02d}" for m in (window.from_min, window.to_min))
    if set(window.days) == set(range(7)):
        return times
    return f"{','.join(DAYS[day] for day in sorted(window.days))} {times}"


def blackout_at(
    windows: Sequence[Blackout], timezone: str, at: datetime
) -> tuple[datetime, datetime, Blackout] | None:
    """Return the blackout in force at `at`: its begin, its end (the first instant after it), and
    itself; if there are several, the one that ends last. None if runs may start.
    """
    spans = [span for span in _spans(windows, timezone, at) if span[0] <= at < span[1]]
    return max(spans, key=lambda span: span[1], default=None)


def released(
    windows: Sequence[Blackout], timezone: str, at: datetime
) -> tuple[datetime, Blackout | None]:
    """Return the first instant from `at` on at which something may start, and the last window that
    delays it. Windows that follow each other without a gap are one.
    """
    last = None
    for _ in range(7 * len(windows) + 1):
        span = blackout_at(windows, timezone, at)
        if span is None:
            break
        _, at, last = span
    return at, last


def longest_blackout_s(windows: Sequence[Blackout]) -> float:
    """Return the seconds of the longest time in a usual week without any start; a week or more:
    always.
    """
    longest = begin = reach = 0
    for start, end in sorted(_weekly(windows)):
        if start > reach:
            begin = start
        reach = max(reach, end)
        longest = max(longest, reach - begin)
    return min(longest, _WEEK_MIN) * 60.0


def _weekly(windows: Sequence[Blackout]) -> Iterator[tuple[int, int]]:
    """Return begin and end in minutes of two weeks in a row, so that a window across Sunday is
    whole.
    """
    for week in (0, _WEEK_MIN):
        for window in windows:
            for day in window.days:
                start = week + day * DAY_MIN + window.from_min
                yield start, start + _length(window)


def _length(window: Blackout) -> int:
    return (window.to_min - window.from_min) % DAY_MIN or DAY_MIN


def _spans(
    windows: Sequence[Blackout], timezone: str, at: datetime
) -> Iterator[tuple[datetime, datetime, Blackout]]:
    """Return the windows that begin on the local day of `at` or on the day before, as instants."""
    zone = ZoneInfo(timezone)
    today = at.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        for window in windows:
            if day.weekday() in window.days:
                end_min = window.from_min + _length(window)
                yield (
                    _instant(day, window.from_min, zone, last=False),
                    _instant(day, end_min, zone, last=True),
                    window,
                )


def _instant(day: date, minute: int, zone: ZoneInfo, *, last: bool) -> datetime:
    """Return when the local clock shows this, the first or the last time; if it never shows it,
    when it jumps over it.
    """
    local = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
    instant = local.replace(tzinfo=zone, fold=int(last)).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    before, after = sorted(local.replace(tzinfo=zone, fold=f).astimezone(UTC) for f in (0, 1))
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
