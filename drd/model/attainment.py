"""When the objective was missed, from the intervals between restore points and not from samples.

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
    """The intervals within [since, until] during which the objective was missed.

    `points` are (data time, available at) of complete points, in any order and also those that
    were forgotten since; a slow run may become available after a younger one. The result is
    sorted, disjoint and without empty intervals; adjacent ones are merged. A data time after the
    point became available (a clock that was set back meanwhile) counts as that availability.
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
    if start >= end:
        return
    if missed and missed[-1][1] >= start:
        missed[-1] = (missed[-1][0], max(missed[-1][1], end))
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
    """Share (0 to 1) of the window during which the objective was met; None for no window yet.

    The window ends now and begins no earlier than the plan was first loaded. `missed` is
    `missed_intervals` up to when `newest` (its data time, available at) became available; what
    came after is worked out here, so that the figure ages without anything being written. During
    `outages` what there was could not be read, and that was known.
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
    """Of their union, within [begin, end]."""
    total, reached = timedelta(), begin
    for start, stop in sorted(intervals):
        first, last = max(start, reached), min(stop, end)
        if first < last:
            total += last - first
            reached = last
    return total
