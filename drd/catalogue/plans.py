"""Plans as they were loaded, compiled to what `drd status` needs."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, delete, or_, select, update

from drd.catalogue import copies, health, missed, places, summaries
from drd.catalogue.engine import upsert
from drd.catalogue.summary_tables import component_summary
from drd.catalogue.tables import evidence, plans, points, runs
from drd.model.facts import AUTO
from drd.model.plan import Plan


def load(connection: Connection, plan: Plan, *, file_digest: str, at: datetime) -> None:
    """Remember the plan; the first load fixes where the window may begin."""
    before = connection.execute(select(plans).where(plans.c.name == plan.name)).one_or_none()
    objectives = plan.objectives
    mtime_ns, size = _stamp(plan.file, file_digest)
    upsert(
        connection,
        plans,
        {
            "name": plan.name,
            "owner": plan.owner,
            "digest": plan.digest,
            "rpo_s": objectives.rpo_s,
            "rto_s": objectives.rto_s,
            "window_s": objectives.window_s,
            "interval_s": plan.backup.interval_s,
            "cron": AUTO if plan.backup.auto else plan.backup.cron,
            "backup_timeout_s": plan.backup.timeout_s,
            "drill_every_s": plan.drill.interval_s,
            "file": str(Path(plan.file).absolute()) if plan.file else "",
            "file_mtime_ns": mtime_ns,
            "file_size": size,
            "file_digest": file_digest,
            "first_loaded_at": before.first_loaded_at if before else at,
            "loaded_at": at,
            "load_error": None,
            "load_error_at": None,
        },
    )
    added = _set_components(connection, plan)
    fresh = before is None and not _has_history(connection, plan.name)
    elsewhere = places.load(connection, plan, fresh=fresh)
    copies.load(connection, plan, at, fresh=fresh)
    if fresh:
        health.begin(connection, plan)
        summaries.begin(connection, plan.name, plan.drill.scenarios)
        return
    health.load(connection, plan, at)
    wanted = summaries.want(connection, plan.name, plan.drill.scenarios)
    if wanted:
        summaries.refresh_drills(connection, plan.name, at)
    if before is None:
        summaries.refresh_points(connection, plan.name, at)
        summaries.refresh_backups(connection, plan.name, at)
        summaries.refresh_drills(connection, plan.name, at)
        health.refresh(connection, plan.name, at)
    elif elsewhere:
        summaries.refresh_points(connection, plan.name, at)
        health.refresh(connection, plan.name, at)
    else:
        summaries.refresh_components(connection, plan.name, added, at)
    now = (objectives.rpo_s, objectives.window_s)
    if before is None or (before.rpo_s, before.window_s) != now:
        missed.recompute(connection, plan.name, at)


def mark_broken(connection: Connection, name: str, error: str, at: datetime) -> None:
    """Nothing for a plan that was never loaded: there are no figures to keep."""
    connection.execute(
        update(plans).where(plans.c.name == name).values(load_error=error, load_error_at=at)
    )


def names(connection: Connection) -> list[str]:
    return sorted(connection.execute(select(plans.c.name)).scalars())


def _has_history(connection: Connection, name: str) -> bool:
    """Whether a plan that was never loaded has any: from repositories, or an older drd."""
    known = (select(t.c.plan).where(t.c.plan == name).exists() for t in (points, runs, evidence))
    return bool(connection.execute(select(or_(*known))).scalar())


def _set_components(connection: Connection, plan: Plan) -> list[str]:
    """The components that were not there before."""
    rows = component_summary
    query = select(rows.c.component, rows.c.position, rows.c.kind).where(rows.c.plan == plan.name)
    before = {name: (position, kind) for name, position, kind in connection.execute(query)}
    if gone := before.keys() - plan.components.keys():
        connection.execute(
            delete(rows).where(rows.c.plan == plan.name, rows.c.component.in_(sorted(gone)))
        )
    wanted = {c.name: (place, c.kind) for place, c in enumerate(plan.components.values())}
    for name, (position, kind) in wanted.items():
        if before.get(name) != (position, kind):
            key = {"plan": plan.name, "component": name}
            upsert(connection, rows, {**key, "position": position, "kind": kind})
    return [name for name in wanted if name not in before]


def _stamp(file: str, digest: str) -> tuple[int, int]:
    """Modification time (ns) and size of the file, if it still is what was loaded; else zeros,
    so that whoever compares has to look inside."""
    try:
        with Path(file).open("rb") as opened:
            there = os.fstat(opened.fileno())
            same = hashlib.sha256(opened.read()).hexdigest() == digest
    except OSError:
        return 0, 0
    return (there.st_mtime_ns, there.st_size) if same else (0, 0)
