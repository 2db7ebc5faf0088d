"""What the catalogue knows of manifests by itself, and not from a repository."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from drd.model.seals import KitBase, Seal


class Origins(Protocol):
    """Which restore points this host has stored, or has from the kit that it was made from."""

    def record_seals(self, plan: str, found: Iterable[Seal]) -> None:
        """Note what this host knows of restore points that it has stored, in the place of what it
        knew of each before."""

    def seals(self, plan: str) -> dict[str, Seal]:
        """By restore point, how its manifest was when this host stored it, or by the kit that this
        host was made from."""

    def seal(self, plan: str, point: str) -> Seal | None:
        """The same of one point."""

    def base_on_kit(self, plan: str, made_at: datetime, found: Iterable[Seal] | None) -> None:
        """This host has the plan from a kit, with its list of points (None: it has none). What the
        catalogue had of seals before is gone: it came out of a repository."""

    def kit_base(self, plan: str) -> KitBase | None:
        """The kit that this host has the plan from."""
