"""Which host a state belongs to."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from drd.model.actor import Actor
from drd.model.custody import Custody
from drd.model.state_place import StatePlace


class Custodian(Protocol):
    """Distinguishes a state from a copy of it. A state that several hosts share (PostgreSQL)
    belongs to no single host, and every method returns None for it.

    Every method is one transaction. Raises CatalogueError.
    """

    def here(self) -> StatePlace | None:
        """Return the place where the state is now."""

    def check(self, at: datetime) -> Custody | None:
        """Return the owner of the state. The first check makes it the place where the state is. The
        state is contested when it is at another place than before, or when `contest` was called,
        until `take`."""

    def contest(self, why: str, at: datetime) -> None:
        """Record that somebody else works with a copy of this state."""

    def take(self, at: datetime, by: Actor | None, reason: str) -> Custody | None:
        """Make this place the owner of the state. This place then settles what the former owner
        left behind."""

    def knows_run(self, run: str) -> bool:
        """Return whether the catalogue knows this run, or a point that the run made."""
