"""Evidence of drills and recoveries."""

from __future__ import annotations

from typing import Protocol

from drd.model.run import Evidence
from drd.ports.runs import RunLease


class EvidenceStore(Protocol):
    """What drills and recoveries measured, with their checks."""

    def record(self, owned: RunLease, evidence: Evidence) -> None:
        """Record evidence, or replace that of a run that was resumed. A drill that passed proves
        its point. Raises Fenced when another process has taken over the run."""

    def newest(self, plan: str, *, limit: int = 20) -> list[Evidence]:
        """Evidence of drills and recoveries, newest first."""
