"""Whether the daemon does its work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class DaemonHealth:
    """`tick_age_s` is how long ago the last tick ended, by a clock that nobody sets; more than
    `limit_s` means that the daemon hangs, even if its process lives."""

    version: str
    tick_age_s: float
    limit_s: float

    @property
    def ok(self) -> bool:
        return self.tick_age_s <= self.limit_s

    def document(self) -> dict[str, Any]:
        """Return the document for programs: durations in seconds."""
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "tick_age_s": round(self.tick_age_s, 3),
            "limit_s": self.limit_s,
            "version": self.version,
        }
