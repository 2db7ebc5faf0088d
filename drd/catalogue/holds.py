"""Points that are held, and points that somebody gave up by name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from drd.catalogue.engine import upsert
from drd.catalogue.tables import given_up, holds, plan_repositories, points, repositories
from drd.model.actor import Actor
from drd.model.holds import GivenUp, Hold


def add(connection: Connection, hold: Hold) -> Hold:
    """Insert the hold, and return it with its id."""
    made = connection.execute(
        holds.insert().values(
            point=hold.point,
            plan=hold.plan,
            reason=hold.reason,
            held_at=hold.held_at,
            until=hold.until,
            actor=hold.by.to_json() if hold.by is not None else None,
        )
    )
    [number] = made.inserted_primary_key or [0]
    return Hold(hold.point, hold.plan, hold.reason, hold.held_at, hold.by, hold.until, int(number))


def bring_back(connection: Connection, found: Sequence[Hold]) -> list[Hold]:
    """Insert the holds of a lost catalogue on points that this catalogue knows. Returns the holds
    that were neither recorded nor released here before."""
    known = {(row.point, row.held_at) for row in connection.execute(select(holds))}
    there = set(connection.execute(select(points.c.id)).scalars())
    return [
        add(connection, hold)
        for hold in found
        if hold.point in there and (hold.point, hold.held_at) not in known
    ]


def store_soon(connection: Connection, plan: str) -> None:
    """Make the next backup of the plan store drd's own state, whenever that was last stored:
    otherwise a hold would be lost with the catalogue."""
    urls = select(plan_repositories.c.url).where(plan_repositories.c.plan == plan)
    connection.execute(
        update(repositories).where(repositories.c.url.in_(urls)).values(last_self_backup_at=None)
    )


def release(
    connection: Connection, point: str, *, at: datetime, by: Actor | None, reason: str
) -> list[Hold]:
    """End every hold on the point. Returns the holds that were active."""
    active = [h for h in listed(connection) if h.point == point and h.is_active(at)]
    for plan in {h.plan for h in active}:
        store_soon(connection, plan)
    connection.execute(
        update(holds)
        .where(holds.c.point == point, holds.c.released_at.is_(None))
        .values(
            released_at=at,
            released_reason=reason,
            released_actor=by.to_json() if by is not None else None,
        )
    )
    return active


def listed(connection: Connection, plan: str | None = None) -> list[Hold]:
    """Holds that nobody released, oldest first, including those that have run out."""
    query = select(holds).where(holds.c.released_at.is_(None)).order_by(holds.c.id)
    if plan is not None:
        query = query.where(holds.c.plan == plan)
    return [_hold(row) for row in connection.execute(query)]


def give_up(connection: Connection, points: Sequence[GivenUp]) -> None:
    for one in points:
        upsert(
            connection,
            given_up,
            {
                "point": one.point,
                "repository": one.repository,
                "plan": one.plan,
                "reason": one.reason,
                "at": one.at,
                "actor": one.by.to_json() if one.by is not None else None,
            },
        )


def all_given_up(connection: Connection, plan: str) -> list[GivenUp]:
    query = select(given_up).where(given_up.c.plan == plan).order_by(given_up.c.at)
    return [
        GivenUp(row.point, row.plan, row.reason, row.at, Actor.from_json(row.actor), row.repository)
        for row in connection.execute(query)
    ]


def _hold(row: Row[Any]) -> Hold:
    return Hold(
        row.point,
        row.plan,
        row.reason,
        row.held_at,
        Actor.from_json(row.actor),
        row.until,
        row.id,
    )
