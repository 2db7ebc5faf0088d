"""Clock and progress, which every port uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the time in aware UTC, for records."""

    def monotonic(self) -> float:
        """Seconds that only grow, for durations."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long operation is. Unknown totals are None; sizes are in bytes."""

    subject: str
    phase: str
    done_bytes: int = 0
    total_bytes: int | None = None


OnProgress = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """Show nothing: for callers that do not watch."""
