"""Restore points that an open incident may still need."""

from __future__ import annotations

from collections.abc import Iterable

from drd.model.snapshot import RestorePoint
from drd.ports import Catalogue


def needed_points(
    catalogue: Catalogue, plan: str, points: Iterable[RestorePoint]
) -> dict[str, str]:
    """Return the points of a plan in the scope of an open incident whose data is from before the
    incident was opened, each with the reason why retention keeps it. Any of them can turn out to be
    the newest clean one, or the one in which people are counted, when somebody learns that the
    first sign was earlier. Later points cannot."""
    numbers = catalogue.incidents.open_numbers()
    opened = [i for i in map(catalogue.incidents.get, numbers) if plan in i.plans and i.opened_at]
    kept: dict[str, str] = {}
    for point in points:
        needing = [i.number for i in opened if i.opened_at and point.data_time <= i.opened_at]
        if needing:
            kept[point.id] = f"incident {needing[0]} is open"
    return kept
