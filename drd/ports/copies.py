"""Copies of restore points, and readings of repositories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from drd.model.read_progress import Reading
from drd.ports.runs import RunLease


class CopyStore(Protocol):
    """Which repository keeps which points, and how far each repository was read back. A method
    that takes a RunLease raises Fenced when another process has taken over the run."""

    def record(
        self, owned: RunLease, repository: str, manifests: Mapping[str, str], at: datetime
    ) -> None:
        """Record that `repository` keeps copies of these points: `manifests` has the snapshot of
        the manifest there by the id of the point. Points whose copy was not known before have `at`
        as the time of their copy."""

    def remove(self, plan: str, repository: str, ids: Sequence[str]) -> None:
        """Record that `repository` no longer keeps these points. This forgets no point: see
        `PointStore.forget`."""

    def reading(self, plan: str, repository: str) -> Reading | None:
        """Return how much of the repository was read; None before the first reading."""

    def record_reading(self, owned: RunLease, repository: str, reading: Reading) -> None:
        """Record how far the repository was read back."""
