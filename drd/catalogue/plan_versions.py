"""The meaning of each text of a plan that was in force, by its hash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from drd.catalogue.daemon_tables import plan_versions
from drd.catalogue.engine import upsert
from drd.catalogue.tables import plans
from drd.model.plan import Plan

MOST = 200
"""So many former versions of a plan are kept: the newest."""


def keep(connection: Connection, plan: Plan, before: Row[Any] | None) -> None:
    """Keep the meaning of the former text of a plan, when another text comes into force. `before`
    is the row of the plan before."""
    if before is None or before.resolved is None or before.digest == plan.digest:
        return
    rows = plan_versions
    former = {"plan": plan.name, "digest": before.digest}
    upsert(connection, rows, {**former, "loaded_at": before.loaded_at, "resolved": before.resolved})
    of_plan = rows.c.plan == plan.name
    newest = select(rows.c.digest).where(of_plan).order_by(rows.c.loaded_at.desc(), rows.c.digest)
    old = list(connection.execute(newest.offset(MOST).limit(MOST)).scalars())
    if old:
        connection.execute(delete(rows).where(of_plan, rows.c.digest.in_(old)))


def kept(connection: Connection, plan: str) -> dict[str, Mapping[str, Any]]:
    """Return the kept meanings of a plan, by hash."""
    rows, now = plan_versions, plans.c
    former = select(rows.c.digest, rows.c.resolved).where(rows.c.plan == plan)
    in_force = select(now.digest, now.resolved).where(now.name == plan, now.resolved.is_not(None))
    return {
        row.digest: row.resolved
        for query in (former, in_force)
        for row in connection.execute(query)
    }
