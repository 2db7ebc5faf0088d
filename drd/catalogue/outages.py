"""The times in which the readable data of a plan was older than its RPO, or lacked data that an
undo had put back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from drd.catalogue import undone, unrestorable
from drd.catalogue.engine import upsert
from drd.catalogue.summary_tables import outages, plan_summary
from drd.catalogue.tables import plans, points
from drd.model.facts import (
    PlanFacts,
    PointFacts,
    RepositoryFacts,
    VanishedFacts,
)
from drd.model.repositories import outage_from, unreadable_since
from drd.model.unrestorable import UnrestorableFacts


def settle(
    connection: Connection, plan: str, rows: Sequence[Row[Any]], at: datetime | None
) -> None:
    """Record an outage that is over. It began when drd knew that the readable points were older
    than the RPO, or lacked data that an undo had put back; it ended when neither was true any more.
    """
    known = select(plan_summary).where(plan_summary.c.plan == plan)
    before = connection.execute(known).one_or_none()
    facts = _facts(connection, plan, before, rows)
    if before is None or facts is None:
        return
    since = unreadable_since(facts)
    begins = outage_from(facts)
    if (before.unreadable_since, before.outage_from) == (since, begins):
        return
    was = before.outage_from
    if was is not None and at is not None and was < at and (begins is None or begins > was):
        ended = at if begins is None else min(at, begins)
        key = {"plan": plan, "started_at": was}
        upsert(connection, outages, {**key, "ended_at": ended})
        limit = at - timedelta(seconds=facts.window_s)
        old = (outages.c.plan == plan, outages.c.ended_at <= limit)
        connection.execute(delete(outages).where(*old))
    upsert(
        connection, plan_summary, {"plan": plan, "unreadable_since": since, "outage_from": begins}
    )


def _facts(
    connection: Connection, name: str, summary: Row[Any] | None, rows: Sequence[Row[Any]]
) -> PlanFacts | None:
    """Return the facts of the plan that matter here; None for a plan that was never loaded."""
    plan = connection.execute(select(plans).where(plans.c.name == name)).one_or_none()
    if plan is None or summary is None:
        return None
    wanted = {summary.newest_point, summary.vanished_point}
    wanted |= {i for r in rows for i in (r.newest_point, r.sound_point)}
    query = select(points).where(points.c.id.in_([i for i in wanted if i is not None]))
    known = {
        p.id: PointFacts(p.id, p.data_time, p.available_at, p.bytes)
        for p in connection.execute(query)
    }
    lost = known.get(summary.vanished_point)
    tried = unrestorable.last_of(connection, name, summary.newest_point)
    return PlanFacts(
        plan=name,
        owner="",
        rpo_s=plan.rpo_s,
        point_rpo_s=plan.point_rpo_s,
        rto_s=plan.rto_s,
        window_s=plan.window_s,
        digest="",
        first_loaded_at=plan.first_loaded_at,
        loaded_at=plan.loaded_at,
        newest=known.get(summary.newest_point),
        unrestorable=UnrestorableFacts(tried.point, tried.run, tried.finished_at)
        if tried is not None
        else None,
        undone=undone.of_plans(connection, [name]).get(name),
        vanished=VanishedFacts(
            summary.vanished_points, lost.data_time, lost.available_at, summary.vanished_at
        )
        if lost is not None
        else None,
        repositories=tuple(
            RepositoryFacts(
                r.repository,
                r.copy_of,
                known.get(r.newest_point),
                known.get(r.sound_point),
                lost=r.lost,
                lost_since=r.lost_since,
                damage=r.damage,
                damaged_since=r.damaged_since,
                missing=len(r.missing or {}),
                missing_since=r.missing_since,
            )
            for r in rows
        ),
    )
