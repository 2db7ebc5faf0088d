"""The meaning of each text of a plan that was in force, by its hash."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from drd.catalogue.daemon_tables import plan_versions
from drd.model.plan import Plan

MOST = 200
"""So many versions of a plan are kept: the newest."""


def keep(connection: Connection, plan: Plan, at: datetime) -> None:
    """Keep the meaning of a plan that comes into force, unless it is kept already."""
    rows = plan_versions
    of_plan = rows.c.plan == plan.name
    known = select(rows.c.digest).where(of_plan, rows.c.digest == plan.digest)
    if connection.execute(known).scalar() is not None:
        return
    values = {"plan": plan.name, "digest": plan.digest, "loaded_at": at}
    connection.execute(rows.insert().values(**values, resolved=dict(plan.resolved)))
    newest = select(rows.c.digest).where(of_plan).order_by(rows.c.loaded_at.desc(), rows.c.digest)
    old = list(connection.execute(newest.offset(MOST).limit(MOST)).scalars())
    if old:
        connection.execute(delete(rows).where(of_plan, rows.c.digest.in_(old)))


def kept(connection: Connection, plan: str) -> dict[str, Mapping[str, Any]]:
    """Return the kept meanings of a plan, by hash."""
    rows = plan_versions
    query = select(rows.c.digest, rows.c.resolved).where(rows.c.plan == plan)
    return {row.digest: row.resolved for row in connection.execute(query)}
