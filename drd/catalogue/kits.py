"""What is known of recovery kits: the runs that made and opened them, never what is in them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from drd.catalogue.tables import runs
from drd.model.kit_findings import EXPORT, VERIFY, KitRecord
from drd.model.run import RunKind, RunState


def record(connection: Connection, plan: str) -> KitRecord | None:
    """None when no kit of the plan was ever made."""
    made = _newest(connection, plan, EXPORT, RunState.SUCCEEDED)
    if made is None:
        return None
    tried = [
        row
        for state in (RunState.SUCCEEDED, RunState.FAILED)
        if (row := _newest(connection, plan, VERIFY, state)) is not None
        and row.detail.get("sha256") == made.detail.get("sha256")
    ]
    last = max(tried, key=lambda row: row.started_at, default=None)
    return KitRecord(
        made_at=made.started_at,
        plan_digest=made.plan_digest,
        sha256=made.detail.get("sha256", ""),
        verified_at=last.finished_at if last is not None else None,
        problem=last.error if last is not None else None,
    )


def _newest(connection: Connection, plan: str, subject: str, state: RunState) -> Any:
    """By the index runs_by_outcome."""
    query = (
        select(runs)
        .where(
            runs.c.plan == plan,
            runs.c.kind == str(RunKind.KIT),
            runs.c.state == str(state),
            runs.c.subject == subject,
        )
        .order_by(runs.c.started_at.desc())
        .limit(1)
    )
    return connection.execute(query).one_or_none()
