"""The figures that the daemon reports about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DaemonFigures:
    """`at` is when the plans were assessed: the last tick. `running` counts runs by their kind;
    kinds without runs may be left out. `channels` says for each notification channel whether its
    last message was delivered; unused channels are left out."""

    version: str
    started_at: datetime
    at: datetime
    tick_duration_s: float
    running: Mapping[str, int] = field(default_factory=dict)
    queued: int = 0
    channels: Mapping[str, bool] = field(default_factory=dict)
