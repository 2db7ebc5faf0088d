"""The outcome of a plan's last retention, which the next one uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from drd.model.pauses import Pause


@dataclass(frozen=True, slots=True)
class RetentionState:
    """The outcome of the last retention. `paused_since` is when it was first paused, None while it
    is not paused. `succeeded_at` is when the last successful retention read the listing. `waiting`
    are points that exceed the limit of a run; `missing` has by repository the points of which
    others removed snapshots (with these snapshots); `leaving` are the points that drd itself began
    to forget.
    """

    plan: str
    at: datetime
    run: str
    paused_since: datetime | None = None
    pauses: tuple[Pause, ...] = ()
    succeeded_at: datetime | None = None
    waiting: tuple[str, ...] = ()
    missing: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    leaving: tuple[str, ...] = ()
