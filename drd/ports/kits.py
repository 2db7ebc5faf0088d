"""Recovery kits that were made or verified here."""

from __future__ import annotations

from typing import Protocol

from drd.model.kit_findings import KitRecord


class KitStore(Protocol):
    """What the runs that made and opened recovery kits have recorded. The content of a kit is never
    recorded."""

    def newest(self, plan: str) -> KitRecord | None:
        """Return the newest kit of the plan, and how its last verification ended; None when no kit
        is known."""
