"""Evidence of drills and recoveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from drd.model.operator_drill import OperatorDrill
from drd.model.run import Evidence
from drd.ports.runs import RunLease


class EvidenceStore(Protocol):
    """What drills and recoveries measured, with their checks."""

    def record(
        self, owned: RunLease, evidence: Evidence, operator: OperatorDrill | None = None
    ) -> None:
        """Record evidence; if a run was resumed, replace its evidence. A drill that passed proves
        its point. `operator` is the people's part of a drill, which gets an entry of its own in the
        records. Raises Fenced when another process has taken over the run."""

    def bring_back(self, plan: str, host: str, found: Sequence[Evidence], at: datetime) -> None:
        """Record drills that the lost `host` had made, each with its run; no entry of the records.
        Evidence and runs that the catalogue has stay as they are."""

    def newest(self, plan: str | None, *, limit: int = 20) -> list[Evidence]:
        """Evidence of drills and recoveries of one plan, or of all, newest first."""

    def of_run(self, run: str) -> Evidence | None:
        """Return the evidence of a run; None if the run has left none."""

    def unrestorable(self, plan: str) -> dict[str, tuple[str, datetime]]:
        """The points whose data a drill could not restore, each with the run of the last such drill
        and its end. A later drill that restored all components clears its point."""

    def find(self, prefix: str) -> Evidence:
        """Return the evidence whose id, or whose run's id, begins with `prefix`. Raises UsageError
        if there is none, or if there are several."""
