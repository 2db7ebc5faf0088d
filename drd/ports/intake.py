"""Alerts of other systems: which incident each belongs to, and how many were left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from drd.errors import DrdError
from drd.model.incidents.incident import Incident
from drd.model.records import Draft


class TooMany(DrdError):
    """A user may not report more for now."""

    permanent = False


@dataclass(frozen=True, slots=True)
class Load:
    """How many incidents of a source are open, including suspicions, and how many entries it made
    since a time. For a user who may only report: how many of the user's suspicions nobody has
    examined, and how many entries the user's alerts made."""

    open: int
    entries: int


class Taking(Protocol):
    """One transaction that takes the alerts of one message; a `key` is one alert of one source."""

    def known(self, key: str) -> Incident | None:
        """The newest incident of this alert; an open incident comes first. If it was merged into
        another incident, return that incident. None if there is none."""

    def free_number(self) -> int:
        """The number of the next incident."""

    def add(self, drafts: Sequence[Draft]) -> Incident:
        """Add entries to one incident, and return it."""

    def load(self, source: str, since: datetime, *, products: bool = False) -> Load:
        """Return what a source has made so far; with `products`, include all its products: the
        sources whose names begin with its own name and a slash."""

    def load_of_user(self, user: str, since: datetime) -> Load:
        """Return what a user has reported so far, by alerts of any source and by hand."""

    def leave_out(self, source: str, count: Mapping[str, int], at: datetime) -> None:
        """Note how many alerts were left out, by the reason."""

    def tell_left_out(
        self,
        source: str,
        now: datetime,
        window: timedelta,
        make: Callable[[int, Mapping[str, Any]], Draft],
    ) -> None:
        """Add one entry that says how many alerts of a source were left out since the last such
        entry, if any were, and if the last entry is older than the window. `make` gets the number
        of the newest incident of the source."""


class IntakeStore(Protocol):
    """What other systems send, and what users report who may only report."""

    def taking(self) -> AbstractContextManager[Taking]:
        """Begin the transaction for a message. It is committed unless the body raises an error."""

    def report(self, user: str, most: int, make: Callable[[int], Draft]) -> Incident | None:
        """Add the first entry of a suspicion of this user: `make` gets its number. Add nothing and
        return None if the user already has `most` suspicions that nobody has examined."""

    def sources_left_out(self) -> list[str]:
        """The sources of which alerts were left out that no entry tells of yet."""
