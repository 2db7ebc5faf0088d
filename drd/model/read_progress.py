"""Read a whole repository in parts, and decide how many parts a run reads."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime

MOST_PARTS = 256
"""The largest number of parts: restic assigns packs by the first byte of their names."""

LATE_SHARE = 0.1
"""The last run of a cycle may end later than planned by this share of the time between two runs."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How much was read: `next_part` of `parts`, counted from 1. `cycle_started_at` is when the
    first part of this cycle was read, `last_complete_at` the end of the last cycle that read
    everything. `error` is the problem that the last run found; None if it found none.
    """

    parts: int
    next_part: int
    cycle_started_at: datetime
    last_part_at: datetime | None = None
    last_complete_at: datetime | None = None
    error: str | None = None

    def read(self, at: datetime) -> Reading:
        """Return the progress after `next_part` was read and found intact."""
        if self.next_part < self.parts:
            return replace(self, next_part=self.next_part + 1, last_part_at=at, error=None)
        return replace(
            self,
            next_part=1,
            cycle_started_at=at,
            last_part_at=at,
            last_complete_at=at,
            error=None,
        )

    def read_all(self, at: datetime) -> Reading:
        """Return the progress after everything was read at once and found intact: a new cycle
        begins.
        """
        return replace(self, next_part=self.parts).read(at)


def parts_of(interval_s: float | None, read_all_within_s: float) -> int:
    """Return the number of parts for runs every `interval_s`, so that all parts are read within
    `read_all_within_s`; one, the whole repository, without a schedule.
    """
    if interval_s is None:
        return 1
    return max(1, min(MOST_PARTS, int(read_all_within_s / interval_s)))


def begun(known: Reading | None, parts: int, now: datetime) -> Reading:
    """Return the progress to continue from. If the number of parts changed, a new cycle begins."""
    if known is None:
        return Reading(parts, 1, now)
    if known.parts != parts:
        return replace(known, parts=parts, next_part=1, cycle_started_at=now)
    if known.cycle_started_at > now:  # a clock was set back
        return replace(known, cycle_started_at=now)
    return known


def due_parts(
    reading: Reading, interval_s: float | None, read_all_within_s: float, now: datetime
) -> int:
    """Return how many parts this run has to read for the cycle to end in time: one, and more after
    missed runs.
    """
    left = reading.parts - reading.next_part + 1
    if interval_s is None:
        return left
    time_left_s = read_all_within_s - (now - reading.cycle_started_at).total_seconds()
    runs_left = 1 + max(0, int(time_left_s / interval_s - LATE_SHARE))  # this one and later ones
    return min(left, math.ceil(left / runs_left))
