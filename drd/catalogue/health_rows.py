"""The rows about the state of repositories, and which of their points are sound.

There is a row for each repository of a plan as it was loaded. What drd learns about a place counts
for every plan that has a repository there; what it learns with the secrets of a plan counts for the
plans with the same secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    select,
    update,
)

from drd.catalogue import jobs, outages, places, unrestorable
from drd.catalogue.engine import insert_all, upsert
from drd.catalogue.summaries import believed
from drd.catalogue.summary_tables import plan_summary, repository_health
from drd.catalogue.tables import given_up, point_repositories, points
from drd.model.plan import Plan

FINE = {
    "lost": None,
    "lost_since": None,
    "lost_says": None,
    "unreachable": None,
    "unreachable_since": None,
}
WHOLE = {
    "damage": None,
    "repair": None,
    "damaged_since": None,
    "damage_read_at": None,
    "damaged_points": None,
}
_LISTED = {"missing": None, "missing_since": None}


def begin(connection: Connection, plan: Plan) -> None:
    """Write the rows of a plan without any history."""
    insert_all(
        connection,
        repository_health,
        [
            {
                "plan": plan.name,
                "repository": spec.name,
                "position": position,
                "copy_of": spec.copy_of,
                "url": spec.url,
                "opened_with": spec.opened_with,
            }
            for position, spec in enumerate(plan.repositories.values())
        ],
    )


def load(connection: Connection, plan: Plan, at: datetime) -> None:
    """Write a row for each repository of the plan as it was loaded. If a repository has a new
    place, nothing is known about it yet."""
    rows = repository_health
    before = {r.repository: r for r in rows_of(connection, plan.name)}
    gone = before.keys() - plan.repositories.keys()
    if gone:
        connection.execute(
            delete(rows).where(rows.c.plan == plan.name, rows.c.repository.in_(sorted(gone)))
        )
    changed = bool(gone)
    for position, spec in enumerate(plan.repositories.values()):
        known = before.get(spec.name)
        wanted = {
            "position": position,
            "copy_of": spec.copy_of,
            "url": spec.url,
            "opened_with": spec.opened_with,
        }
        if known is not None and all(getattr(known, k) == v for k, v in wanted.items()):
            continue
        changed = True
        moved = known is not None and known.url not in ("", spec.url)
        elsewhere = {**FINE, **WHOLE, **_LISTED} if moved else {}
        if moved:
            jobs.moved(connection, plan.name, spec.name)
        key = {"plan": plan.name, "repository": spec.name}
        upsert(connection, rows, {**key, **wanted, **elsewhere})
    if changed:
        refresh(connection, plan.name, at)


def refresh(connection: Connection, plan: str, at: datetime | None = None) -> None:
    """Find the newest point and the newest sound point of each repository, believing the same times
    as `summaries`."""
    tried = connection.execute(unrestorable.of_plan(plan)).scalars().all()
    restorable = (points.c.id.not_in(tried),) if tried else ()
    for row in rows_of(connection, plan):
        newest = _newest(connection, plan, row, at)
        where = (*_sound(row), *restorable)
        sound = newest if not where else _newest(connection, plan, row, at, *where)
        if (row.newest_point, row.sound_point) != (newest, sound):
            set_values(connection, row, newest_point=newest, sound_point=sound)
    outages.settle(connection, plan, rows_of(connection, plan), at)


def vanished(connection: Connection, plan: str, ids: Iterable[str], at: datetime) -> list[str]:
    """Return the points that no repository keeps; mark them as forgotten and vanished."""
    lost = []
    for point in ids:
        somewhere = select(point_repositories.c.point).where(point_repositories.c.point == point)
        if connection.execute(somewhere).first() is not None:
            continue
        gone = connection.execute(
            update(points)
            .where(points.c.id == point, points.c.plan == plan, points.c.forgotten_at.is_(None))
            .values(forgotten_at=at, vanished_at=at)
        )
        lost += [point] if gone.rowcount else []
    return lost


def count_vanished(connection: Connection, plan: str) -> None:
    """Record number, time and newest of the vanished points for `status`. A point that somebody has
    given up everywhere does not count."""
    everywhere = select(given_up.c.point).where(
        given_up.c.plan == plan, given_up.c.repository == ""
    )
    of_plan = (
        points.c.plan == plan,
        points.c.complete,
        points.c.vanished_at.is_not(None),
        points.c.id.not_in(everywhere),
    )
    sums = select(func.count(), func.max(points.c.vanished_at)).where(*of_plan)
    number, last = connection.execute(sums).one()
    newest = select(points.c.id).where(*of_plan).order_by(points.c.data_time.desc()).limit(1)
    upsert(
        connection,
        plan_summary,
        {
            "plan": plan,
            "vanished_points": number,
            "vanished_point": connection.execute(newest).scalar(),
            "vanished_at": last,
        },
    )


_ROWS_OF = (
    select(repository_health)
    .where(repository_health.c.plan == bindparam("wanted"))
    .order_by(repository_health.c.position, repository_health.c.repository)
)
"""Built once, because it is needed several times for each new point."""


def rows_of(connection: Connection, plan: str) -> Sequence[Row[Any]]:
    return connection.execute(_ROWS_OF, {"wanted": plan}).all()


def set_values(connection: Connection, row: Row[Any], **values: Any) -> None:
    rows = repository_health
    this = (rows.c.plan == row.plan, rows.c.repository == row.repository)
    connection.execute(update(rows).where(*this).values(**values))


def _sound(row: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    """Conditions for points that can be restored completely: all their snapshots are there, and
    they were stored before a verification found damage, since later points may depend on damaged
    data."""
    whole = (points.c.id.not_in(list(row.missing)),) if row.missing else ()
    if row.damage is None:
        return whole
    if row.damaged_points is None:
        return (points.c.id.is_(None),)
    return (
        *whole,
        points.c.id.not_in(row.damaged_points),
        points.c.available_at <= row.damage_read_at,
    )


def _newest(
    connection: Connection,
    plan: str,
    row: Row[Any],
    at: datetime | None,
    *where: ColumnElement[bool],
) -> str | None:
    query: Select[Any] = (
        select(points.c.id)
        .join(point_repositories, point_repositories.c.point == points.c.id)
        .where(
            points.c.plan == plan,
            points.c.forgotten_at.is_(None),
            points.c.complete,
            places.of_repository(connection, plan, row.repository),
            *where,
        )
        .order_by(points.c.data_time.desc())
        .limit(1)
    )
    known = query.where(believed(points.c.data_time, at))
    run_id: str | None = connection.execute(known).scalar() or connection.execute(query).scalar()
    return run_id
