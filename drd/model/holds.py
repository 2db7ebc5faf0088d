"""Holds on restore points, which keep them whatever the rules say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from drd.model.actor import Actor

LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold on one point. A point may have several, and stays as long as one is active. `until`
    None: until it is released. `id` is 0 before it is recorded."""

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
    """A point that somebody gave up by name. `repository` empty: everywhere."""

    point: str
    plan: str
    reason: str
    at: datetime
    by: Actor | None = None
    repository: str = ""


def held_points(holds: Iterable[Hold], now: datetime) -> dict[str, str]:
    """The points with an active hold, and the reason of the newest one."""
    active = sorted((h for h in holds if h.is_active(now)), key=lambda h: h.held_at)
    return {hold.point: hold.reason for hold in active}
