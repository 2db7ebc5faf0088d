"""Find when the objective was missed, from the intervals between restore points instead of samples.

Exposure at a moment t is t minus the latest data time among the points available at t. The
objective is missed while exposure exceeds the RPO, and while there is no point at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

Interval = tuple[datetime, datetime]


def missed_intervals(
    points: Iterable[tuple[datetime, datetime]], rpo_s: float, since: datetime, until: datetime
) -> list[Interval]:
    """Return the intervals within [since, until] during which the objective was missed: sorted,
    disjoint, none empty, adjacent ones merged.

    `points` are (data time, available at) of complete points in any order, including points that
    were forgotten later. A slow run may become available after a younger one. A data time after the
    point became available (a clock was set back meanwhile) counts as the time when it became
    available.
    """
    rpo = timedelta(seconds=rpo_s)
    missed: list[Interval] = []
    decided = since  # whether the objective was missed is known up to here
    for data_time, available_at in sorted(points, key=lambda p: p[1]):
        if available_at >= until:
            break
        _add(missed, decided, available_at)
        decided = max(decided, available_at, min(data_time, available_at) + rpo)
    _add(missed, decided, until)
    return missed


def _add(missed: list[Interval], start: datetime, end: datetime) -> None:
    """Append an interval, or extend the last one by it; each call has a later end."""
    if start >= end:
        return
    if missed and missed[-1][1] >= start:
        missed[-1] = (missed[-1][0], end)
    else:
        missed.append((start, end))


def attainment(
    missed: Iterable[Interval],
    newest: tuple[datetime, datetime] | None,
    *,
    rpo_s: float,
    first_loaded_at: datetime,
    window_s: float,
    now: datetime,
    outages: Iterable[Interval] = (),
) -> float | None:
    """Return the share (0 to 1) of the window during which the objective was met; None if the
    window is empty.

    The window ends now and begins no earlier than the plan was first loaded. `missed` are the
    `missed_intervals` up to when `newest` (its data time, available at) became available. The time
    since then is computed here, so the figure ages although nothing is written. During `outages`
    drd knew that the points could not be read.
    """
    begin = max(first_loaded_at, now - timedelta(seconds=window_s))
    if begin >= now:
        return None
    if newest is None:
        return 0.0
    data_time, available_at = newest
    horizon = min(max(available_at, begin), now)
    lost = [(start, min(end, horizon)) for start, end in missed]
    lost.append((max(horizon, min(data_time, available_at) + timedelta(seconds=rpo_s)), now))
    lost += outages
    return max(0.0, 1 - _length(lost, begin, now) / (now - begin))


def _length(intervals: Iterable[Interval], begin: datetime, end: datetime) -> timedelta:
    """Return the seconds that the union of the intervals covers within [begin, end]."""
    total, reached = timedelta(), begin
    for start, stop in sorted(intervals):
        first, last = max(start, reached), min(stop, end)
        if first < last:
            total += last - first
            reached = last
    return total
