"""Incidents, which are their entries in the chain of records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from drd.model.incidents.cadence import Cadence
from drd.model.incidents.incident import Incident
from drd.model.message import Routed
from drd.model.records import Draft, Entry
from drd.ports.notify import Closed


class IncidentStore(Protocol):
    """Incidents and reported suspicions, by their numbers."""

    def begin(self, make: Callable[[int], Draft]) -> Incident:
        """Add the first entry of a new incident, or of a suspicion: `make` gets its number."""

    def begin_by_rule(self, rule: str, make: Callable[[int], Draft]) -> Incident | None:
        """Begin an incident, unless an incident is open that this rule has opened; in this case
        return None."""

    def add(
        self,
        number: int,
        make: Callable[[Incident], Sequence[Draft]],
        *,
        routed: Sequence[Routed] = (),
        closed: Closed | None = None,
    ) -> Incident:
        """Add the entries that `make` returns for the present state of the incident; if `make`
        raises an error, add nothing. In the same transaction, put messages into the outbox, and
        close one there. Raises UsageError if there is no such incident."""

    def get(self, number: int) -> Incident:
        """Return the incident with this number. Raises UsageError if there is none."""

    def open_numbers(self) -> list[int]:
        """The numbers of the open incidents, without reported suspicions."""

    def newest(self, *, closed: bool = False, limit: int = 50) -> list[Incident]:
        """The newest incidents and suspicions, newest first; without closed ones unless asked."""

    def entries(self, incident: Incident) -> list[Entry]:
        """The entries of the incident, of incidents that were merged into it, and of the plans in
        its scope since they came into the scope, in the order of the chain."""

    def wrong_rows(self) -> list[int]:
        """The numbers of the incidents whose rows say something else than their entries."""

    def use(self, cadence: Cadence) -> None:
        """Use this cadence of updates from now on, also for the rows that there are."""

    def rebuild(self) -> int:
        """Make the rows of all incidents anew from their entries. Returns how many were wrong."""
