"""Record which repositories keep which points, the newest point in each copy for `status`, and how
much of each repository was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from drd.catalogue import health_rows, places, runs, summaries
from drd.catalogue.daemon_tables import copies, verifications
from drd.catalogue.engine import SqlStore, batches, upsert
from drd.catalogue.tables import point_repositories, points
from drd.model.plan import Plan
from drd.model.read_progress import Reading
from drd.ports import RunLease


class SqlCopyStore(SqlStore):
    """See `drd.ports.copies.CopyStore`."""

    def record(
        self, owned: RunLease, repository: str, manifests: Mapping[str, str], at: datetime
    ) -> None:
        """Points that the catalogue does not know are passed over."""
        known: dict[str, str | None] = {}
        with self._database.write() as connection:
            runs.fence(connection, owned)
            for some in batches(list(manifests)):
                known_points = select(points.c.id, points.c.plan).where(points.c.id.in_(some))
                for point, plan in connection.execute(known_points).all():
                    if plan not in known:
                        known[plan] = places.of_plan(connection, plan).id_of(repository)
                    lies_there = places.of_repository(connection, plan, repository)
                    row = {"point": point, "repository": repository, "repository_id": known[plan]}
                    _arrived(connection, row, lies_there, manifests[point], at)
            for plan in sorted(known):
                places.refresh(connection, [plan], manifests)
                summaries.refresh_points(connection, plan, at)
                refresh(connection, plan, at)

    def remove(self, plan: str, repository: str, ids: Sequence[str]) -> None:
        with self._database.write() as connection:
            _leave(connection, plan, repository, ids)
            _after_leaving(connection, plan, ids)

    def reading(self, plan: str, repository: str) -> Reading | None:
        query = select(verifications).where(
            verifications.c.plan == plan, verifications.c.repository == repository
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return Reading(
            parts=row.parts,
            next_part=row.next_part,
            cycle_started_at=row.cycle_started_at,
            last_part_at=row.last_part_at,
            last_complete_at=row.last_complete_at,
            error=row.error,
        )

    def record_reading(self, owned: RunLease, repository: str, reading: Reading) -> None:
        with self._database.write() as connection:
            runs.fence(connection, owned)
            key = {"plan": owned.run.plan, "repository": repository}
            upsert(connection, verifications, {**key, **asdict(reading)})


def load(connection: Connection, plan: Plan, at: datetime, *, fresh: bool = False) -> None:
    """Write a row for each copy of the plan as it was loaded, including copies that have no point
    yet. A `fresh` plan has no history."""
    named = {s.name: s.copy_of for s in plan.repositories.values() if s.copy_of is not None}
    connection.execute(
        delete(copies).where(copies.c.plan == plan.name, copies.c.repository.not_in(list(named)))
    )
    query = select(copies.c.repository).where(copies.c.plan == plan.name)
    known = set(connection.execute(query).scalars())
    for position, (name, copy_of) in enumerate(named.items()):
        pause_s = plan.copying.pause_s * _distance(name, named)
        key = {"plan": plan.name, "repository": name}
        row = {"position": position, "copy_of": copy_of, "pause_s": pause_s or None}
        upsert(connection, copies, key | row | ({} if name in known else {"added_at": at}))
    if named and not fresh:
        refresh(connection, plan.name, at)


def _distance(name: str, named: Mapping[str, str]) -> int:
    """Return how many copy steps lie between the repository of the backups and this one: a copy of
    a copy may wait for both."""
    return 1 + (_distance(named[name], named) if named[name] in named else 0)


def _arrived(
    connection: Connection,
    row: Mapping[str, str | None],
    lies_there: ColumnElement[bool],
    manifest: str,
    at: datetime,
) -> None:
    rows, point = point_repositories, row["point"]
    changed = connection.execute(
        update(rows).where(rows.c.point == point, lies_there).values(manifest=manifest)
    )
    if changed.rowcount:
        return
    # A row that still has the name is of the repository that had the name before.
    connection.execute(
        delete(rows).where(rows.c.point == point, rows.c.repository == row["repository"])
    )
    last = connection.execute(
        select(func.max(rows.c.position)).where(rows.c.point == point)
    ).scalar()
    position = 0 if last is None else last + 1
    connection.execute(
        rows.insert().values(**row, position=position, manifest=manifest, available_at=at)
    )


def vanished(
    connection: Connection, plan: str, repository: str, ids: Sequence[str], at: datetime
) -> list[str]:
    """Record that `repository` does not keep these points any more, although drd did not forget
    them. Returns the points that no other repository keeps."""
    _leave(connection, plan, repository, ids)
    lost = health_rows.vanished(connection, plan, ids, at)
    if lost:
        health_rows.count_vanished(connection, plan)
        summaries.refresh_points(connection, plan, at)
        summaries.refresh_scenarios(connection, plan, at)
    _after_leaving(connection, plan, ids, at)
    return lost


def _after_leaving(
    connection: Connection, plan: str, ids: Sequence[str], at: datetime | None = None
) -> None:
    """Update the summaries after these points have left a repository."""
    places.refresh(connection, [plan], ids)
    if _moved_away(connection, ids):
        summaries.refresh_points(connection, plan, at)
    refresh(connection, plan, at)


def _leave(connection: Connection, plan: str, repository: str, ids: Sequence[str]) -> None:
    lies_there = places.of_repository(connection, plan, repository)
    for some in batches(ids):
        connection.execute(
            delete(point_repositories).where(
                lies_there,
                point_repositories.c.point.in_(
                    select(points.c.id).where(points.c.plan == plan, points.c.id.in_(some))
                ),
            )
        )


def _moved_away(connection: Connection, ids: Sequence[str]) -> bool:
    """Return whether one of the points is in no repository that its plan has now."""
    away = select(points.c.id).where(points.c.here.is_(False), points.c.forgotten_at.is_(None))
    return any(
        connection.execute(away.where(points.c.id.in_(some)).limit(1)).first() is not None
        for some in batches(ids)
    )


def refresh(connection: Connection, plan: str, at: datetime | None = None) -> None:
    """Find the newest complete kept point in each repository of the plan, believing the same times
    as `summaries`."""
    names = select(copies.c.repository).where(copies.c.plan == plan)
    for repository in connection.execute(names).scalars().all():
        held = (
            select(points.c.id, points.c.data_time, point_repositories.c.available_at)
            .join(point_repositories, point_repositories.c.point == points.c.id)
            .where(
                points.c.plan == plan,
                points.c.forgotten_at.is_(None),
                points.c.complete,
                places.of_repository(connection, plan, repository),
            )
            .order_by(points.c.data_time.desc())
            .limit(1)
        )
        known = held.where(summaries.believed(points.c.data_time, at))
        newest = connection.execute(known).first() or connection.execute(held).first()
        connection.execute(
            update(copies)
            .where(copies.c.plan == plan, copies.c.repository == repository)
            .values(
                point=newest.id if newest else None,
                data_time=newest.data_time if newest else None,
                available_at=newest.available_at if newest else None,
            )
        )
    health_rows.refresh(connection, plan, at)
