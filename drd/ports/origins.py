"""What the catalogue knows about manifests without reading a repository."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from drd.model.seals import KitBase, Seal


class Origins(Protocol):
    """Which restore points this host has stored, or has from the kit from which it was made."""

    def record_seals(self, plan: str, found: Iterable[Seal]) -> None:
        """Record what this host knows about restore points that it has stored. This replaces what
        was recorded about these points before."""

    def seals(self, plan: str) -> dict[str, Seal]:
        """By restore point: the seal of its manifest from the time when this host stored it, or
        from the kit that this host was made from."""

    def seal(self, plan: str, point: str) -> Seal | None:
        """The seal of one point, as `seals` has it."""

    def base_on_kit(self, plan: str, made_at: datetime, found: Iterable[Seal] | None) -> None:
        """Record that this host has the plan from a kit, with its list of points; None: the kit has
        no list. The seals that the catalogue had before are deleted: they came out of a repository.
        """

    def kit_base(self, plan: str) -> KitBase | None:
        """Return the kit from which this host has the plan."""
