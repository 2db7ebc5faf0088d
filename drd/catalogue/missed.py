"""The intervals in which the restore points of a plan missed the RPO, stored for `status`. The last
interval ends at the latest when the newest complete point became available; the reader computes the
time after it. Points that were removed later count, too: before, drd could recover to them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, select

from drd.catalogue.engine import insert_all, upsert
from drd.catalogue.tables import missed_intervals, plans, points
from drd.model.attainment import Interval
from drd.model.attainment import missed_intervals as worked_out
from drd.model.snapshot import RestorePoint


def add_point(connection: Connection, point: RestorePoint) -> None:
    """Account for a new point, which is recorded already. Usually it is the newest, and only the
    time since the point before is examined; else everything is computed again."""
    if not point.complete:
        return
    plan = _plan(connection, point.plan)
    if plan is None:
        return
    others = (points.c.plan == point.plan, points.c.complete, points.c.id != point.id)
    last = _newest(connection, points.c.available_at, *others)
    best = _newest(connection, points.c.data_time, *others)
    if last is None or best is None:
        before, since = [], plan.first_loaded_at
    elif last.available_at < point.available_at and best.data_time <= best.available_at:
        before = [(best.data_time, last.available_at)]
        since = max(plan.first_loaded_at, last.available_at)
    else:
        recompute(connection, point.plan, point.available_at)
        return
    for interval in worked_out(before, within_s(plan), since, point.available_at):
        _append(connection, plan.name, interval)
    # By the time of the point before: a clock that jumped far ahead must not delete the history.
    _drop_old(connection, plan, last.available_at if last is not None else point.available_at)


def recompute(connection: Connection, name: str, at: datetime | None = None) -> None:
    """Compute the whole window, up to `at`, again; do nothing for a plan that was never loaded."""
    plan = _plan(connection, name)
    if plan is None:
        return
    connection.execute(delete(missed_intervals).where(missed_intervals.c.plan == name))
    query = select(points.c.data_time, points.c.available_at)
    rows = connection.execute(query.where(points.c.plan == name, points.c.complete)).all()
    if not rows:
        return
    until = max(row.available_at for row in rows)
    known = [(row.data_time, row.available_at) for row in rows]
    intervals = worked_out(known, within_s(plan), plan.first_loaded_at, until)
    insert_all(
        connection,
        missed_intervals,
        [{"plan": name, "started_at": start, "ended_at": end} for start, end in intervals],
    )
    _drop_old(connection, plan, until if at is None else min(until, at))


def _append(connection: Connection, plan: str, interval: Interval) -> None:
    """Add an interval after all others. An interval that begins where the last one ended extends
    that one."""
    start, end = interval
    touching = connection.execute(
        select(missed_intervals.c.started_at).where(
            missed_intervals.c.plan == plan, missed_intervals.c.ended_at >= start
        )
    ).scalar()
    upsert(
        connection,
        missed_intervals,
        {"plan": plan, "started_at": touching or start, "ended_at": end},
    )


def _drop_old(connection: Connection, plan: Row[Any], until: datetime) -> None:
    """Delete what is before every window that can still be asked for; for a longer window
    everything is computed again."""
    begin = until - timedelta(seconds=plan.window_s)
    connection.execute(
        delete(missed_intervals).where(
            missed_intervals.c.plan == plan.name, missed_intervals.c.ended_at <= begin
        )
    )


def _plan(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(plans).where(plans.c.name == name)).one_or_none()


def within_s(plan: Row[Any]) -> float:
    """Return the RPO that restore points have to keep."""
    within_s: float = plan.rpo_s if plan.point_rpo_s is None else plan.point_rpo_s
    return within_s


def _newest(
    connection: Connection, by: ColumnElement[datetime], *where: ColumnElement[bool]
) -> Row[Any] | None:
    query = select(points).where(*where)
    return connection.execute(query.order_by(by.desc()).limit(1)).first()
