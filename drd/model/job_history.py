"""The history of the runs of one kind.

The next start, alerts and pauses all use this history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd.model.run import RunState


@dataclass(frozen=True, slots=True)
class JobHistory:
    """The history of one plan's kind of run. `changed` grows with every change of any row. `tries`
    counts failures since the last success; `permanent` says that a retry of the newest one cannot
    help. `last_started_at` is the start of the last run of the schedule, or of the last run by hand
    that did its work. Durations are seconds; `p95_s` is the 95th percentile of the newest
    successful runs.
    """

    plan: str = ""
    kind: str = ""
    subject: str = ""
    changed: int = 0
    last_run: str | None = None
    last_started_at: datetime | None = None
    last_finished_at: datetime | None = None
    last_success_at: datetime | None = None
    last_state: str | None = None
    last_error: str | None = None
    last_error_code: str | None = None
    withheld: Mapping[str, Any] | None = None
    tries: int = 0
    permanent: bool = False
    last_duration_s: float | None = None
    last_bytes: int | None = None
    p95_s: float | None = None

    @property
    def paused(self) -> str | None:
        """Return why the last run decided to change nothing; None if it did its work."""
        return (self.last_error or "paused") if self.last_state == RunState.PAUSED else None


NO_RUNS = JobHistory()
