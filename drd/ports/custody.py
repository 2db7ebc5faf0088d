"""Whose state this is."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from drd.model.actor import Actor
from drd.model.custody import Custody, StatePlace


class Custodian(Protocol):
    """Tells a state from a copy of it. A state that hosts share (PostgreSQL) is nobody's alone, and
    everything here is None for it.

    Every method is one transaction. Raises CatalogueError.
    """

    def here(self) -> StatePlace | None:
        """Where the state lies now."""

    def check(self, at: datetime) -> Custody | None:
        """Whose it is; the first look makes it the one of the place where it lies. Contested where
        that is another one than before, or where `contest` was called, until `take`."""

    def contest(self, why: str, at: datetime) -> None:
        """Note that somebody else works with a copy of this state."""

    def take(self, at: datetime, by: Actor | None, reason: str) -> Custody | None:
        """This one goes on: the state is this place's, and what was left behind is its to
        settle."""

    def knows_run(self, run: str) -> bool:
        """Whether a run, or a point that one made, is known here."""
