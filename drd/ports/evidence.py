"""Evidence of drills and recoveries."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from drd.model.run import Evidence
from drd.ports.runs import RunLease


class EvidenceStore(Protocol):
    """What drills and recoveries measured, with their checks."""

    def record(self, owned: RunLease, evidence: Evidence) -> None:
        """Record evidence, or replace that of a run that was resumed. A drill that passed proves
        its point. Raises Fenced when another process has taken over the run."""

    def newest(self, plan: str | None, *, limit: int = 20) -> list[Evidence]:
        """Evidence of drills and recoveries of one plan, or of all, newest first."""

    def of_run(self, run: str) -> Evidence | None:
        """The evidence of a run; None if it has left none."""

    def unrestorable(self, plan: str) -> dict[str, tuple[str, datetime]]:
        """The points whose data a drill could not restore, each with the run of the last such drill
        and its end. A later drill that restored all components clears its point."""

    def find(self, prefix: str) -> Evidence:
        """The evidence whose id, or whose run's id, begins so. Raises UsageError if there is none,
        or several."""
