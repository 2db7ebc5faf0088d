"""Divide the time of a recovery into phases."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from drd.named import NamedTuple

PHASES = ("detect", "decide", "fetch", "restore", "validate", "serve")
"""The phases from the loss to the service: until somebody began; waiting for people, or for
somebody who resumes; reading from the repository; putting into place; checks; all other steps.
"""

_FIRST = ("fetch", "restore", "validate", "serve", "decide", "detect")
"""The order of precedence: where phases overlap, the time counts for the first of these."""


class Span(NamedTuple):
    """Work between two times, in seconds on any one clock."""

    phase: str
    begin: float
    end: float


def split(spans: Iterable[Span], begin: float, end: float, *, idle: str) -> dict[str, float]:
    """Return the seconds of each phase, in the order of `PHASES`; they add up to the whole. Time
    without work is `idle`. Phases without work are left out, except fetch, restore and validate.
    """
    end = max(begin, end)
    cut = [Span(s.phase, max(begin, s.begin), min(end, s.end)) for s in spans]
    work = [s for s in cut if s.begin < s.end]
    times = sorted({begin, end, *(s.begin for s in work), *(s.end for s in work)})
    seconds: dict[str, float] = {"fetch": 0.0, "restore": 0.0, "validate": 0.0}
    for start, stop in pairwise(times):
        going = {s.phase for s in work if s.begin <= start and stop <= s.end}
        phase = next((p for p in _FIRST if p in going), idle)
        seconds[phase] = seconds.get(phase, 0.0) + stop - start
    return {f"{p}_s": round(seconds[p], 3) for p in PHASES if p in seconds}
