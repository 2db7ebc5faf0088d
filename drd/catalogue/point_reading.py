"""Makes restore points from their rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, select

from drd.catalogue import places
from drd.catalogue.engine import batches
from drd.catalogue.fingerprints import read
from drd.catalogue.tables import component_snapshots, fingerprints, point_repositories
from drd.model.consistency import Spread
from drd.model.snapshot import ComponentSnapshot, MadeDuring, RestorePoint


def to_points(
    connection: Connection, rows: Sequence[Row[Any]], with_fingerprints: bool
) -> list[RestorePoint]:
    ids = [row.id for row in rows]
    components: dict[str, list[ComponentSnapshot]] = defaultdict(list)
    for row in _below(connection, component_snapshots, ids):
        components[row.point].append(_to_snapshot(row))
    if with_fingerprints:
        _add_fingerprints(connection, ids, components)
    where: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in _below(connection, point_repositories, ids):
        where[row.point].append(row)
    known = {plan: places.of_plan(connection, plan) for plan in {row.plan for row in rows}}
    return [_to_point(row, components[row.id], where[row.id], known[row.plan]) for row in rows]


def _below(connection: Connection, table: Any, ids: Sequence[str]) -> Iterable[Row[Any]]:
    for some in batches(ids):
        query = select(table).where(table.c.point.in_(some))
        yield from connection.execute(query.order_by(table.c.point, table.c.position))


def _add_fingerprints(
    connection: Connection, ids: Sequence[str], components: Mapping[str, list[ComponentSnapshot]]
) -> None:
    for some in batches(ids):
        query = (
            select(
                component_snapshots.c.point,
                component_snapshots.c.component,
                fingerprints.c.content,
            )
            .join(fingerprints, fingerprints.c.digest == component_snapshots.c.fingerprint)
            .where(component_snapshots.c.point.in_(some))
        )
        for point, component, content in connection.execute(query):
            components[point][:] = [
                replace(c, fingerprint=read(content)) if c.component == component else c
                for c in components[point]
            ]


def _to_snapshot(row: Row[Any]) -> ComponentSnapshot:
    return ComponentSnapshot(
        component=row.component,
        kind=row.kind,
        state=row.state,
        data_time=row.data_time,
        snapshot=row.snapshot,
        bytes=row.bytes,
        added_bytes=row.added_bytes,
        duration_s=row.duration_s,
        error=row.error,
        remedy=row.remedy or "",
        facts=row.facts,
        observations=row.observations,
    )


def _to_point(
    row: Row[Any],
    components: Iterable[ComponentSnapshot],
    where: Iterable[Row[Any]],
    known: places.PlanRepositories,
) -> RestorePoint:
    named = [(known.name_of(r), r) for r in where]
    return RestorePoint(
        id=row.id,
        plan=row.plan,
        data_time=row.data_time,
        available_at=row.available_at,
        complete=row.complete,
        plan_digest=row.plan_digest,
        components=tuple(components),
        repositories={name: r.manifest for name, r in named if name is not None},
        copied={
            name: r.available_at
            for name, r in named
            if name is not None and r.available_at is not None
        },
        elsewhere={r.repository: r.repository_id or "" for name, r in named if name is None},
        proven_by=row.proven_by,
        forgotten_at=row.forgotten_at,
        made_during=row.made_during and MadeDuring.from_json(row.made_during),
        consistency=tuple(Spread.from_json(one) for one in row.consistency or ()),
    )
