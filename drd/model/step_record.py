"""A step of a run, as the catalogue has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from drd.model.run import StepState


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of a run. `result` is JSON; a step whose state is `succeeded` never runs again."""

    run: str
    name: str
    kind: str
    state: StepState
    attempt: int
    started_at: datetime
    finished_at: datetime | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    waiting_for: str | None = None
