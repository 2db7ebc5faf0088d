"""How a plan's last retention went, which the next one goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from drd.model.pauses import Pause


@dataclass(frozen=True, slots=True)
class RetentionState:
    """`paused_since` is when it was first paused, None while it is not. `succeeded_at` is when the
    last one that succeeded looked. `waiting` are points over a run's limit, `missing` by repository
    those of which others removed snapshots (with these), `leaving` those that drd itself began to
    forget."""

    plan: str
    at: datetime
    run: str
    paused_since: datetime | None = None
    pauses: tuple[Pause, ...] = ()
    succeeded_at: datetime | None = None
    waiting: tuple[str, ...] = ()
    missing: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    leaving: tuple[str, ...] = ()
