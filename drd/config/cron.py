"""Cron expressions of five fields, as Debian's cron reads them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_MOST_STARTS = 12_000
_TWO_MONTHS_S = 62 * 86400
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
"""Where looking at an expression begins: fixed, so that a plan's warnings do not change by day."""


def normalised(value: Any) -> str:
    """The five fields of `*/10 * * * *` or `@daily`, single-spaced. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError('is not a cron expression; write "*/10 * * * *" in quotes')
    text = re.sub(r"\s+", " ", value.strip())
    if text.startswith("@"):
        if text.lower() not in ALIASES:
            raise ValueError(f"{text} is not known; use {', '.join(sorted(ALIASES))}")
        return ALIASES[text.lower()]
    if text.count(" ") != 4:
        raise ValueError(
            f"{text!r} has {len(text.split())} fields; write 5: minute, hour, day, month, weekday"
        )
    try:
        next(CronSim(text, _ANY_DAY))
    except (CronSimError, StopIteration) as error:
        reason = str(error).lower() or "never comes due"
        hint = "write minute, hour, day, month, weekday, like */10 * * * *"
        raise ValueError(f"{text!r} is not a cron expression: {reason}; {hint}") from None
    return text


def longest_gap(expression: str, timezone: str) -> float:
    """Seconds of the longest time between two starts, over two months or twenty starts.

    Two months hold every night, weekend and end of a month. At most 12,000 starts are looked at
    (eight days of every minute): 30 ms.
    """
    start = _ANY_DAY.astimezone(ZoneInfo(timezone))
    longest, before = 0.0, None
    for count, at in enumerate(islice(CronSim(expression, start), _MOST_STARTS)):
        now = at.timestamp()
        longest = max(longest, now - before) if before is not None else longest
        before = now
        if count >= 20 and now - start.timestamp() > _TWO_MONTHS_S:
            break
    return longest
