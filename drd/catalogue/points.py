"""Restore points with their component snapshots and fingerprints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select, update

from drd.catalogue import (
    copies,
    copy_names,
    fingerprints,
    health_rows,
    missed,
    places,
    point_reading,
    runs,
    summaries,
)
from drd.catalogue.engine import SqlStore, batches, insert_all, upsert
from drd.catalogue.tables import (
    component_snapshots,
    evidence,
    holds,
    point_repositories,
    points,
)
from drd.errors import NoRestorePoint, UsageError
from drd.model.run import DrillResult, Run
from drd.model.snapshot import RestorePoint
from drd.model.units import format_time
from drd.ports import RunLease
from drd.ports.points import NO_IDS, RepositoryIds


class SqlPointStore(SqlStore):
    """See `drd.ports.points.PointStore`."""

    def record(
        self,
        point: RestorePoint,
        *,
        owned: RunLease | None = None,
        ids: RepositoryIds = NO_IDS,
        at: datetime | None = None,
    ) -> None:
        with self._database.write() as connection:
            if owned is not None:
                runs.fence(connection, owned)
            row = select(points).where(points.c.id == point.id)
            before = connection.execute(row).one_or_none()
            replaced = fingerprints.of_points(connection, [point.id])
            _write(connection, point, ids, before)
            at = _recorded_at(owned.run, point) if owned is not None else at
            if before is None:
                missed.add_point(connection, point)
            else:
                fingerprints.remove_unused(connection, replaced)
                missed.recompute(connection, point.plan, at)
            summaries.refresh_points(connection, point.plan, at)
            copies.refresh(connection, point.plan, at or point.available_at)
            if before is not None and before.vanished_at is not None:
                health_rows.count_vanished(connection, point.plan)

    def of_plan(
        self,
        plan: str,
        *,
        kept_only: bool = True,
        fingerprints: bool = False,
        elsewhere: bool = False,
    ) -> list[RestorePoint]:
        query = (
            select(points)
            .where(points.c.plan == plan)
            .order_by(points.c.data_time.desc(), points.c.available_at.desc(), points.c.id)
        )
        if kept_only:
            query = query.where(points.c.forgotten_at.is_(None))
        if kept_only and not elsewhere:
            query = query.where(points.c.here)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            return point_reading.to_points(connection, rows, fingerprints)

    def get(self, plan: str, prefix: str) -> RestorePoint:
        starting = points.c.id.startswith(prefix, autoescape=True)
        query = select(points).where(points.c.plan == plan, starting)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            if not any(row.forgotten_at is None for row in rows):
                rows = copy_names.points_named(connection, prefix, plan) or rows
            row = _only(plan, prefix, rows)
            return point_reading.to_points(connection, [row], with_fingerprints=True)[0]

    def forget(self, ids: Sequence[str], at: datetime) -> None:
        """Unknown points and those already forgotten are passed over."""
        plans: set[str] = set()
        with self._database.write() as connection:
            for some in batches(ids):
                wanted = (points.c.id.in_(some), points.c.forgotten_at.is_(None))
                plans.update(connection.execute(select(points.c.plan).where(*wanted)).scalars())
                connection.execute(update(points).where(*wanted).values(forgotten_at=at))
                released = fingerprints.of_points(connection, some)
                connection.execute(
                    update(component_snapshots)
                    .where(component_snapshots.c.point.in_(some))
                    .values(fingerprint=None)
                )
                fingerprints.remove_unused(connection, released)
            for plan in sorted(plans):
                summaries.refresh_points(connection, plan, at)
                summaries.refresh_scenarios(connection, plan, at)
                copies.refresh(connection, plan, at)

    def forgotten(self, plan: str, ids: Iterable[str]) -> frozenset[str]:
        gone: set[str] = set()
        with self._database.read() as connection:
            for some in batches(list(ids)):
                query = select(points.c.id).where(
                    points.c.plan == plan, points.c.id.in_(some), points.c.forgotten_at.is_not(None)
                )
                gone.update(connection.execute(query).scalars())
        return frozenset(gone)

    def copy_name(self, point: str) -> str:
        with self._database.read() as connection:
            return copy_names.name_of(connection, point)

    def newest_facts(self, plan: str, component: str, kind: str) -> Mapping[str, Any]:
        query = (
            select(component_snapshots.c.facts)
            .where(
                component_snapshots.c.plan == plan,
                component_snapshots.c.component == component,
                component_snapshots.c.kind == kind,
                component_snapshots.c.state == "captured",
            )
            .order_by(component_snapshots.c.available_at.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar() or {}

    def component_sizes(self, plan: str, component: str, *, limit: int = 10) -> list[int]:
        query = (
            select(component_snapshots.c.bytes)
            .where(
                component_snapshots.c.plan == plan,
                component_snapshots.c.component == component,
                component_snapshots.c.state == "captured",
            )
            .order_by(component_snapshots.c.available_at.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())


def remove(connection: Connection, ids: Sequence[str]) -> None:
    """Delete every trace of these points, which were forgotten. Unknown ids are passed over."""
    for some in batches(ids):
        _remove(connection, some)


def remove_all(connection: Connection, plan: str) -> None:
    """Delete every trace of a plan's points, including forgotten ones, except for the points that
    are held."""
    held = select(holds.c.point).where(holds.c.plan == plan, holds.c.released_at.is_(None))
    of_plan = select(points.c.id).where(points.c.plan == plan, points.c.id.not_in(held))
    digests = select(component_snapshots.c.fingerprint).where(
        component_snapshots.c.point.in_(of_plan), component_snapshots.c.fingerprint.is_not(None)
    )
    let_go = set(connection.execute(digests).scalars())
    _remove(connection, of_plan)
    fingerprints.remove_unused(connection, let_go)


def _remove(connection: Connection, ids: Sequence[str] | Select[tuple[str]]) -> None:
    for column in (component_snapshots.c.point, point_repositories.c.point, points.c.id):
        connection.execute(delete(column.table).where(column.in_(ids)))


def exists(connection: Connection, point: str) -> bool:
    return connection.execute(select(points.c.id).where(points.c.id == point)).first() is not None


def _recorded_at(run: Run, point: RestorePoint) -> datetime | None:
    """Return the time at which the point of a backup run is recorded, by the clock that the run
    had: when the point became available, but not before the run began. A point whose time is far
    ahead of that was made while a clock was wrong, and summaries pass it over."""
    return run.started_at and max(run.started_at, point.available_at)


def _write(
    connection: Connection, point: RestorePoint, ids: RepositoryIds, before: Row[Any] | None
) -> None:
    """Write the rows of the point. A drill that passed it is kept, also from before a rebuild, and
    from a lost host, of which this catalogue has no evidence but the id."""
    known = places.of_plan(connection, point.plan)
    proven_by = point.proven_by or _newest_pass(connection, point.id)
    if before is not None:
        proven_by = proven_by or before.proven_by
        _clear(connection, point, known)
    upsert(
        connection,
        points,
        {
            "id": point.id,
            "plan": point.plan,
            "data_time": point.data_time,
            "available_at": point.available_at,
            "complete": point.complete,
            "plan_digest": point.plan_digest,
            "bytes": point.size_bytes,
            "proven_by": proven_by,
            "forgotten_at": point.forgotten_at,
            "vanished_at": None,
            "made_during": point.made_during and point.made_during.to_json(),
            "consistency": [spread.to_json() for spread in point.consistency] or None,
        },
    )
    insert_all(
        connection,
        point_repositories,
        [
            {
                "point": point.id,
                "repository": name,
                "position": n,
                "manifest": manifest,
                "available_at": point.copied.get(name),
                "repository_id": ids.get(name) or known.id_of(name),
            }
            for n, (name, manifest) in enumerate(point.repositories.items())
        ],
    )
    insert_all(
        connection,
        component_snapshots,
        [_snapshot_row(connection, point, n) for n in range(len(point.components))],
    )
    places.refresh(connection, [point.plan], [point.id])


def _only(plan: str, prefix: str, rows: Sequence[Row[Any]]) -> Row[Any]:
    """Return the one row of a kept point among those whose ids start with the prefix. The id itself
    wins over longer ones that start with it."""
    kept = [r for r in rows if r.forgotten_at is None]
    exact = [r for r in kept if r.id == prefix]
    chosen = exact or kept
    hint = f"drd points {plan} lists the restore points."
    if not prefix or not chosen:
        if prefix and rows:
            when = format_time(rows[0].forgotten_at)
            if rows[0].vanished_at is not None:
                raise NoRestorePoint(
                    f"restore point {rows[0].id} of plan {plan} is no longer in any repository: "
                    f"somebody removed or changed it without drd. drd noticed this at {when}",
                    hint=hint,
                )
            raise NoRestorePoint(
                f"drd forgot restore point {rows[0].id} of plan {plan} at {when}",
                hint=hint,
            )
        raise NoRestorePoint(f"plan {plan} has no restore point {prefix!r}", hint=hint)
    if len(chosen) > 1:
        raise UsageError(
            f"the ids of several restore points of {plan} begin with {prefix!r}",
            hint=f"give more characters of the id: {hint}",
        )
    return chosen[0]


def _newest_pass(connection: Connection, point: str) -> str | None:
    query = (
        select(evidence.c.id)
        .where(
            evidence.c.point == point,
            evidence.c.result == str(DrillResult.PASSED),
            evidence.c.target.is_(None),
            evidence.c.unproven.is_(None),
        )
        .order_by(evidence.c.finished_at.desc())
        .limit(1)
    )
    return connection.execute(query).scalars().first()


def _clear(connection: Connection, point: RestorePoint, known: places.PlanRepositories) -> None:
    """Delete the rows that the point replaces. The repositories that the plan does not have now
    stay recorded, unless their name is needed."""
    table = component_snapshots
    connection.execute(delete(table).where(table.c.point == point.id))
    rows = point_repositories
    for row in connection.execute(select(rows).where(rows.c.point == point.id)).all():
        if known.name_of(row) is not None or row.repository in point.repositories:
            connection.execute(
                delete(rows).where(rows.c.point == point.id, rows.c.repository == row.repository)
            )
        else:
            connection.execute(
                update(rows)
                .where(rows.c.point == point.id, rows.c.repository == row.repository)
                .values(position=len(point.repositories) + row.position)
            )


def _snapshot_row(connection: Connection, point: RestorePoint, position: int) -> dict[str, Any]:
    component = point.components[position]
    row = {
        name: getattr(component, name)
        for name in (
            "component", "kind", "state", "data_time", "snapshot", "bytes", "added_bytes",
            "duration_s", "error",
        )
    }  # fmt: skip
    return row | {
        "point": point.id,
        "position": position,
        "plan": point.plan,
        "available_at": point.available_at,
        "remedy": component.remedy or None,
        "facts": dict(component.facts),
        "observations": dict(component.observations),
        "fingerprint": fingerprints.store(connection, component.fingerprint),
    }
