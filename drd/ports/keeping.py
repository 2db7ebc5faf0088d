"""Which restore points are kept, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from drd.model.actor import Actor
from drd.model.holds import GivenUp, Hold
from drd.model.retention_state import RetentionState


class Keeping(Protocol):
    """Holds, points that were given up, and how the last retention of each plan went.

    Every method is one transaction. Raises CatalogueError.
    """

    def hold(self, hold: Hold) -> Hold:
        """Record a hold, and return it with its id. Raises AlreadyRunning for a point that a run is
        just forgetting (see `record_leaving`)."""

    def bring_back(self, found: Sequence[Hold]) -> list[Hold]:
        """Record the holds of a lost catalogue on points that this catalogue knows. Returns the
        holds that were neither recorded nor released here before."""
        ...

    def release(self, point: str, *, at: datetime, by: Actor | None, reason: str) -> list[Hold]:
        """End all holds on a point. Returns the holds that were active."""

    def holds(self, plan: str | None = None) -> list[Hold]:
        """Return the holds that nobody released, oldest first, including holds whose time is over
        (see `Hold.is_active`)."""

    def give_up(self, points: Sequence[GivenUp]) -> None:
        """Record who gave these points up, and why."""

    def given_up(self, plan: str) -> list[GivenUp]:
        """Return the points of the plan that were given up, oldest first."""

    def vanished(self, plan: str) -> list[str]:
        """Points that others removed from every repository, newest data first."""

    def state(self, plan: str) -> RetentionState | None:
        """How the last retention ended; None before the first retention of this version of drd."""

    def record_state(self, state: RetentionState) -> None:
        """Record how the retention went."""

    def record_leaving(self, state: RetentionState) -> Mapping[str, str]:
        """Record the state, with those of its `leaving` points that nobody holds at that moment.
        Nobody can hold these points until the run is over. Returns the points that are held, each
        with the reason."""

    def last_success(self, plan: str) -> datetime | None:
        """Return when the last retention that succeeded began, by the recorded runs."""

    def completed_since(self, plan: str, since: datetime | None) -> int:
        """Return how many complete points the backups of this catalogue made after `since`; None
        counts all of them."""

    def plan_of(self, prefix: str) -> tuple[str, str]:
        """Return the plan and the id of the point whose id starts with `prefix`; the point may be
        forgotten. Raises NoRestorePoint (none) or UsageError (several)."""
