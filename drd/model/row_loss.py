"""Estimate the rows that a recovery would lose, from restore points."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from drd.model.snapshot import DatabaseFingerprint, RestorePoint


@dataclass(frozen=True, slots=True)
class RowLoss:
    """Rows of one database that are not in a point. `counted`: a newer point has at least so many
    more rows; else it is an estimate from the recent growth.
    """

    component: str
    rows: int
    counted: bool


def rows_lost(
    point: RestorePoint,
    newer: RestorePoint | None,
    older: RestorePoint | None,
    lost_at: datetime,
) -> tuple[RowLoss, ...]:
    """Return the loss of each database of the point for which it is known. All points need
    fingerprints: `newer` is the newest point from before the loss, `older` is the point before this
    one.
    """
    losses = []
    for snapshot in point.components:
        name = snapshot.component
        more = _growth(point, newer, name) if newer is not None else None
        if more is not None:
            losses.append(RowLoss(name, more, counted=True))
            continue
        lately = _growth(older, point, name, new=False) if older is not None else None
        if lately is None or older is None:
            continue
        seconds = (point.data_time - older.data_time) / timedelta(seconds=1)
        loss_s = max(0.0, (lost_at - point.data_time) / timedelta(seconds=1))
        if seconds > 0:
            losses.append(RowLoss(name, round(lately * loss_s / seconds), counted=False))
    return tuple(losses)


def _growth(
    before: RestorePoint, after: RestorePoint, component: str, *, new: bool = True
) -> int | None:
    """Return how many rows the tables that grew have gained; None if either state was not counted.
    A `new` table has gained all that it has, but its first rows say nothing of what comes next.
    """
    old, now = _rows(before, component), _rows(after, component)
    if old is None or now is None:
        return None
    return sum(
        max(0, rows - old.get(table, 0)) for table, rows in now.items() if new or table in old
    )


def _rows(point: RestorePoint, component: str) -> dict[str, int] | None:
    snapshot = point.component(component)
    seen = snapshot.fingerprint if snapshot is not None else None
    if not isinstance(seen, DatabaseFingerprint) or seen.mode == "off":
        return None
    return {n: t.rows for n, t in seen.tables.items() if n not in seen.derived}
