"""Alerts of other systems: which incident each belongs to, and what was left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from drd.model.incidents.incident import Incident
from drd.model.records import Draft


@dataclass(frozen=True, slots=True)
class Load:
    """How many incidents of a source are open, suspicions included, and how many entries it made
    since a time."""

    open: int
    entries: int


class IntakeStore(Protocol):
    """What other systems send; a `key` is one alert of one source."""

    def take(
        self, key: str, make: Callable[[Incident | None, int], Sequence[Draft]]
    ) -> Incident | None:
        """Add the entries that `make` returns for the newest incident of this alert, None without
        one, and a free number. Of an incident that was merged, it gets the one that continues.
        Returns the incident, None if there is no entry to add."""

    def load(self, source: str, since: datetime) -> Load:
        """What a source has made so far."""

    def leave_out(self, source: str, why: str, at: datetime) -> None:
        """Count an alert that was left out."""

    def tell_left_out(
        self,
        source: str,
        now: datetime,
        window: timedelta,
        make: Callable[[int, Mapping[str, Any]], Draft],
    ) -> None:
        """Add one entry with how many alerts of a source were left out since the last one, if any
        were, and if the last one is older than the window. `make` gets the number of the newest
        incident of the source."""

    def sources_left_out(self) -> list[str]:
        """The sources of which alerts were left out that no entry tells of yet."""
