"""Holds on restore points: a hold keeps a point, whatever the retention rules say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from drd.model.actor import Actor

LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold on one point. A point may have several, and is kept as long as one of them is
    active. With `until` None, the hold is active until somebody releases it. `id` is 0 before the
    hold is recorded.
    """

    point: str
    plan: str
    reason: str
    held_at: datetime
    by: Actor | None = None
    until: datetime | None = None
    id: int = 0

    def is_active(self, now: datetime) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A point that somebody gave up by name. `repository` is empty if it was given up in all."""

    point: str
    plan: str
    reason: str
    at: datetime
    by: Actor | None = None
    repository: str = ""


def held_points(holds: Iterable[Hold], now: datetime) -> dict[str, str]:
    """Return the points with an active hold, each with the reason of its newest hold."""
    active = sorted((h for h in holds if h.is_active(now)), key=lambda h: h.held_at)
    return {hold.point: hold.reason for hold in active}
