"""Clock and progress: what every port speaks of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC, for records."""

    def monotonic(self) -> float:
        """Seconds, for durations."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long work is. Unknown totals are None; sizes in bytes."""

    subject: str
    phase: str
    done_bytes: int = 0
    total_bytes: int | None = None


OnProgress = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """For callers that do not watch."""
