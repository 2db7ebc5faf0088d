"""What drd knows to be wrong with the repositories of plans, and what of their points is left.

A row for each repository of a plan as loaded. What is learnt about a place counts for every plan
that keeps something there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    delete,
    func,
    select,
    update,
)

from drd.catalogue import outages, places
from drd.catalogue.engine import insert_all, upsert
from drd.catalogue.summaries import believed
from drd.catalogue.summary_tables import plan_summary, repository_health
from drd.catalogue.tables import given_up, point_repositories, points
from drd.errors import Repair
from drd.model.plan import Plan
from drd.model.repositories import Meeting
from drd.ports.health import Known

_FINE = {
    "lost": None,
    "lost_since": None,
    "lost_says": None,
    "unreachable": None,
    "unreachable_since": None,
}
_WHOLE = {
    "damage": None,
    "repair": None,
    "damaged_since": None,
    "damage_read_at": None,
    "damaged_points": None,
}
_LISTED = {"missing": None, "missing_since": None}


def begin(connection: Connection, plan: Plan) -> None:
    """The repositories of a plan without any history."""
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
            }
            for position, spec in enumerate(plan.repositories.values())
        ],
    )


def load(connection: Connection, plan: Plan, at: datetime) -> None:
    """A row for each repository of the plan as loaded; nothing is known of another place."""
    rows = repository_health
    before = {r.repository: r for r in _rows(connection, plan.name)}
    gone = before.keys() - plan.repositories.keys()
    if gone:
        connection.execute(
            delete(rows).where(rows.c.plan == plan.name, rows.c.repository.in_(sorted(gone)))
        )
    changed = bool(gone)
    for position, spec in enumerate(plan.repositories.values()):
        known = before.get(spec.name)
        wanted = {"position": position, "copy_of": spec.copy_of, "url": spec.url}
        if known is not None and all(getattr(known, k) == v for k, v in wanted.items()):
            continue
        changed = True
        moved = known is not None and known.url not in ("", spec.url)
        elsewhere = {**_FINE, **_WHOLE, **_LISTED} if moved else {}
        key = {"plan": plan.name, "repository": spec.name}
        upsert(connection, rows, {**key, **wanted, **elsewhere})
    if changed:
        refresh(connection, plan.name, at)


def of(connection: Connection, plan: str) -> list[Known]:
    """Of each repository of the plan as loaded; points that were forgotten cost nothing more."""
    states = []
    for row in _rows(connection, plan):
        affected: tuple[str, ...] | None = ()
        if row.damage is not None:
            affected = _kept(connection, row.damaged_points)
        states.append(
            Known(
                row.repository,
                row.url,
                row.lost,
                row.unreachable,
                row.damage,
                affected,
                {point: tuple(ids) for point, ids in (row.missing or {}).items()},
                row.repair or "packs",
            )
        )
    return states


def _kept(connection: Connection, ids: Sequence[str] | None) -> tuple[str, ...] | None:
    if ids is None:
        return None
    kept = select(points.c.id).where(points.c.id.in_(ids), points.c.forgotten_at.is_(None))
    known = set(connection.execute(kept).scalars())
    return tuple(i for i in ids if i in known)


def refresh(connection: Connection, plan: str, at: datetime | None = None) -> None:
    """The newest point of each repository, as `summaries` has it for the plan."""
    for row in _rows(connection, plan):
        newest = _newest(connection, plan, row, at)
        where = _sound(row)
        sound = newest if not where else _newest(connection, plan, row, at, *where)
        if (row.newest_point, row.sound_point) != (newest, sound):
            _set(connection, row, newest_point=newest, sound_point=sound)
    outages.settle(connection, plan, _rows(connection, plan), at)


def met(connection: Connection, url: str, found: Meeting, at: datetime) -> bool:
    """Note how a place was found, for all plans that have a repository there; whether that is
    news. Nobody who does not answer takes back what was said before."""
    changed = []
    for row in connection.execute(select(repository_health).where(_url(url))).all():
        values = _news(row, found, at)
        if values:
            _set(connection, row, **values)
            changed.append(row.plan)
    for plan in sorted(set(changed)):
        outages.settle(connection, plan, _rows(connection, plan), at)
    return bool(changed)


def is_news(connection: Connection, url: str, found: Meeting) -> bool:
    """Whether `met` would change anything."""
    rows = connection.execute(select(repository_health).where(_url(url))).all()
    return any(_news(row, found, None) for row in rows)


class Damage(NamedTuple):
    """What is damaged, and what of it restic mends."""

    text: str
    repair: Repair


def damaged(
    connection: Connection,
    place: tuple[str, str],
    damage: Damage | None,
    affected: Sequence[str] | None,
    at: datetime,
) -> None:
    """What a reading of a plan's repository that began at `at` found: the points that cannot come
    back whole from there, None when nobody can tell which; `damage` None: everything read back."""
    plan, repository = place
    key = (repository_health.c.plan == plan, repository_health.c.repository == repository)
    row = connection.execute(select(repository_health).where(*key)).one_or_none()
    if row is None or (row.damage is None and damage is None):
        return
    values: Mapping[str, Any] = _WHOLE
    if damage is not None:
        values = {
            "damage": damage.text,
            "repair": damage.repair,
            "damaged_since": row.damaged_since or at,
            "damage_read_at": at,
            "damaged_points": None if affected is None else list(affected),
        }
    _set(connection, row, **values)
    refresh(connection, plan, at)


def cost(
    connection: Connection, place: tuple[str, str], damage: Damage, point: str, at: datetime
) -> None:
    """Damage that somebody else than a reading met, and that costs this point."""
    known = next((k for k in of(connection, place[0]) if k.repository == place[1]), None)
    if known is not None and known.damage is None:
        damaged(connection, place, damage, [point], at)
    elif known is not None:
        doubt(connection, place, [point], at)


def doubt(connection: Connection, place: tuple[str, str], ids: Iterable[str], at: datetime) -> None:
    """More points that cannot be counted on where damage is known. What was stored since it was
    found stays doubtful: nobody has read that."""
    plan, repository = place
    row = next((r for r in _rows(connection, plan) if r.repository == repository), None)
    if row is None or row.damage is None or row.damaged_points is None:
        return
    _set(connection, row, damaged_points=list(dict.fromkeys((*row.damaged_points, *ids))))
    refresh(connection, plan, at)


def missing(
    connection: Connection,
    place: tuple[str, str],
    points_missing: Mapping[str, Sequence[str]],
    back: Iterable[str] | None,
    at: datetime,
) -> None:
    """Points of which a plan's repository lacks snapshots, with these, added to those that were
    missing before; `back` are those that are there again or were given up, None: all others."""
    plan, repository = place
    row = next((r for r in _rows(connection, plan) if r.repository == repository), None)
    if row is None:
        return
    before = dict(row.missing or {})
    gone = set(before) if back is None else set(back)
    now = {p: ids for p, ids in before.items() if p not in gone}
    now |= {p: list(ids) for p, ids in points_missing.items()}
    if now != before:
        since = (row.missing_since or at) if now else None
        _set(connection, row, missing=now or None, missing_since=since)
        refresh(connection, plan, at)


def vanished(connection: Connection, plan: str, ids: Iterable[str], at: datetime) -> list[str]:
    """Of these points those that no repository holds: they are no points any more."""
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
    """Note number, time and newest of the vanished points, which `status` reads. One that somebody
    has given up everywhere is lost to nobody any more."""
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


def _rows(connection: Connection, plan: str) -> Sequence[Row[Any]]:
    rows = repository_health
    query = select(rows).where(rows.c.plan == plan).order_by(rows.c.position, rows.c.repository)
    return connection.execute(query).all()


def _url(url: str) -> ColumnElement[bool]:
    return repository_health.c.url == url


def _set(connection: Connection, row: Row[Any], **values: Any) -> None:
    rows = repository_health
    this = (rows.c.plan == row.plan, rows.c.repository == row.repository)
    connection.execute(update(rows).where(*this).values(**values))


def _news(row: Row[Any], found: Meeting, at: datetime | None) -> Mapping[str, Any]:
    """The columns that change. Another text for the same state changes nothing."""
    if found.state == "ok":
        return _FINE if row.lost is not None or row.unreachable is not None else {}
    if found.state == "unreachable":
        known = row.unreachable is not None or row.lost is not None
        return {} if known else {"unreachable": found.says, "unreachable_since": at}
    if row.lost == found.state and row.unreachable is None:
        return {}
    return {
        **_FINE,
        "lost": found.state,
        "lost_since": row.lost_since or at,
        "lost_says": found.says,
    }


def _sound(row: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    """Conditions for points that can come back whole: all their snapshots are there, and they were
    stored before a verification found damage, since later ones may build on it."""
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
