"""Restore points by the names that the tools which made their copies have for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from drd.catalogue.tables import component_snapshots, points
from drd.model.copy_names import copy_in, is_named


def points_named(connection: Connection, name: str, plan: str | None = None) -> list[Row[Any]]:
    """Return the rows of the points whose copy has this name, of one plan or of all. If there are
    none: the points whose copy has an id that begins with `name`, as ids of restic can. If there
    are none either: the points whose own id, after the name of the tool, begins with `name`.
    Forgotten points are returned only if there are no others."""
    if not name:
        return []
    query = (
        select(points, component_snapshots.c.facts)
        .join(component_snapshots, component_snapshots.c.point == points.c.id)
        .where(points.c.id.contains("-", autoescape=True))  # those of other tools
        .order_by(points.c.id)
    )
    rows = connection.execute(query if plan is None else query.where(points.c.plan == plan)).all()
    matching = [row for row in rows if copy_in(row.facts) == name]
    matching = matching or [row for row in rows if is_named(copy_in(row.facts) or "", name)]
    matching = matching or [row for row in rows if row.id.rpartition("-")[2].startswith(name)]
    return _distinct([row for row in matching if row.forgotten_at is None] or matching)


def name_of(connection: Connection, point: str) -> str:
    """Return the other tool's name of the copy, also if the copy is forgotten; empty if drd made
    the copy or does not know the name."""
    query = select(component_snapshots.c.facts).where(component_snapshots.c.point == point)
    names = (copy_in(facts) for facts in connection.execute(query).scalars())
    return next((name for name in names if name is not None), "")


def _distinct(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """One row for each point: each of its components has one."""
    return list({row.id: row for row in rows}.values())
