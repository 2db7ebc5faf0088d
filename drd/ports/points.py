"""Restore points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from drd.model.snapshot import RestorePoint
from drd.ports.runs import RunLease

RepositoryIds = Mapping[str, str | None]
"""The ids of repositories, by the names under which a restore point lists them."""

NO_IDS: RepositoryIds = {}


class PointStore(Protocol):
    """Restore points with their component snapshots and fingerprints."""

    def record(
        self,
        point: RestorePoint,
        *,
        owned: RunLease | None = None,
        ids: RepositoryIds = NO_IDS,
        at: datetime | None = None,
    ) -> None:
        """Insert or replace a point, complete or not, with its component snapshots and
        fingerprints, and update the summary. A rebuild gives no `owned`. `at` is the time now,
        where points are not recorded in the order of their times.

        `ids` are the ids of the point's repositories. A repository that they do not name has the
        id that its name means in the plan as it was loaded last, which may be another repository
        than when the run began. Raises Fenced when another process has taken over the run."""

    def of_plan(
        self,
        plan: str,
        *,
        kept_only: bool = True,
        fingerprints: bool = False,
        elsewhere: bool = False,
    ) -> list[RestorePoint]:
        """Return the points that a repository of the plan keeps, newest data time first. With
        `elsewhere`, also points that are only in repositories which the plan used before."""

    def get(self, plan: str, prefix: str) -> RestorePoint:
        """Return the point whose id starts with `prefix`, with fingerprints; else the point whose
        copy has this name in another tool (for ids of restic, the beginning is enough). Raises
        NoRestorePoint (none) or UsageError (several)."""

    def copy_name(self, point: str) -> str:
        """Return another tool's name of the copy that is a point, also of a forgotten one; empty if
        drd made it."""

    def forget(self, ids: Sequence[str], at: datetime) -> None:
        """Mark points as forgotten. The rows stay for the history of the attainment; the
        fingerprints are deleted."""

    def forgotten(self, plan: str, ids: Iterable[str]) -> frozenset[str]:
        """Return the ids among `ids` of points that were forgotten."""

    def newest_facts(self, plan: str, component: str, kind: str) -> Mapping[str, Any]:
        """Return the facts of the newest captured snapshot of this kind; empty if there is none."""

    def component_sizes(self, plan: str, component: str, *, limit: int = 10) -> list[int]:
        """Bytes of the newest captured snapshots, newest first."""
