"""The host's clocks."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic


class SystemClock:
    """Implements the port `Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return monotonic()
