"""The plans that drd has loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from drd.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Records:
    """What drd knows about a plan: its file as it was loaded, and the number of its points
    (including forgotten ones), runs and pieces of evidence."""

    file: str
    points: int
    runs: int
    evidence: int


class PlanStore(Protocol):
    """Plans as they were loaded."""

    def load(self, plan: Plan, *, file_digest: str, at: datetime) -> None:
        """Record the compiled plan (objectives, schedule, hash) for `status`. The summary is
        computed again when the objectives changed. The window of the attainment may begin at the
        first load."""

    def mark_broken(self, name: str, error: str, at: datetime) -> None:
        """Record that the plan's file changed or broke and could not be loaded. The figures of the
        plan stay."""

    def names(self) -> list[str]:
        """Return every plan that was ever loaded."""

    def texts(self, plan: str) -> Mapping[str, Mapping[str, Any]]:
        """Return what each text of the plan that was in force means (`Plan.resolved`), by the hash
        of the plan; of very many, the newest."""

    def proofs(self, plan: Plan) -> frozenset[str]:
        """Return the hashes by which evidence counts for this plan: the proof hash; the hash of the
        whole plan, which evidence of an older drd carries; and the hash of the whole plan at the
        upgrade, if no part of the plan that a drill proves has changed since."""

    def records(self, plan: str) -> Records:
        """Count what drd knows about a plan. Raises UnknownPlan."""

    def forget(self, plan: str, at: datetime) -> Records:
        """Delete everything that drd knows about a plan, except its open alerts and the points that
        are held. The repositories are not changed. Raises UnknownPlan, and AlreadyRunning while one
        of its runs is not over."""
