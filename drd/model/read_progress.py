"""Reading a whole repository bit by bit: which part is next, and how many a run takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime

MOST_PARTS = 256
"""restic deals packs out by the first byte of their names."""

LATE_SHARE = 0.1
"""Of the time between two runs: by so much the last one of a cycle may end later than planned."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How far it has come: `next_part` of `parts`, from 1. `cycle_started_at` is when the first
    part of this cycle was read, `last_complete_at` the end of the last one that read everything.
    `error` is what the last reading found, None for nothing.
    """

    parts: int
    next_part: int
    cycle_started_at: datetime
    last_part_at: datetime | None = None
    last_complete_at: datetime | None = None
    error: str | None = None

    def read(self, at: datetime) -> Reading:
        """After `next_part` was read and found sound."""
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
        """After everything was read at once and found sound: a new cycle begins."""
        return replace(self, next_part=self.parts).read(at)


def parts_of(interval_s: float | None, read_all_within_s: float) -> int:
    """How many parts a run every `interval_s` can take in turn, so that all have been read within
    `read_all_within_s`; one, all of it, where nothing is scheduled."""
    if interval_s is None:
        return 1
    return max(1, min(MOST_PARTS, int(read_all_within_s / interval_s)))


def begun(known: Reading | None, parts: int, now: datetime) -> Reading:
    """The reading to go on with. Where the number of parts changed, a new cycle begins."""
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
    """How many parts this run has to read for the cycle to end in time: one, and more after runs
    that were missed."""
    left = reading.parts - reading.next_part + 1
    if interval_s is None:
        return left
    time_left_s = read_all_within_s - (now - reading.cycle_started_at).total_seconds()
    runs_left = 1 + max(0, int(time_left_s / interval_s - LATE_SHARE))  # this one and later ones
    return min(left, math.ceil(left / runs_left))
