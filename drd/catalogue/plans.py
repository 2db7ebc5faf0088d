"""Plans as they were loaded, compiled to what `drd status` needs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, func, or_, select, update

from drd import process
from drd.catalogue import (
    copies,
    health_rows,
    holds,
    jobs,
    missed,
    places,
    plan_versions,
    points,
    summaries,
)
from drd.catalogue.columns import metadata
from drd.catalogue.engine import Database, SqlStore, upsert
from drd.catalogue.records import SqlRecords, plan_of_row
from drd.catalogue.summary_tables import component_summary
from drd.catalogue.tables import alerts, checks, evidence, plans, runs, steps
from drd.catalogue.tables import points as point_table
from drd.errors import AlreadyRunning, UnknownPlan
from drd.model import record_drafts
from drd.model.facts import AUTO, MADE_BY
from drd.model.plan import Plan
from drd.model.text import shortened
from drd.ports.plans import Records

LONGEST_DESCRIPTION = 500
"""So many characters of a plan's description are kept for `drd status`."""


class SqlPlanStore(SqlStore):
    """See `drd.ports.plans.PlanStore`."""

    def __init__(self, database: Database, records: SqlRecords) -> None:
        super().__init__(database)
        self._records = records

    def load(self, plan: Plan, *, file_digest: str, at: datetime) -> None:
        with self._database.write() as connection:
            row = select(plans).where(plans.c.name == plan.name)
            before = connection.execute(row).one_or_none()
            first_loaded_at = before.first_loaded_at if before is not None else at
            values = _compiled(plan, file_digest) | {
                "former": _former(plan, before),
                "first_loaded_at": first_loaded_at,
                "loaded_at": at,
                "load_error": None,
                "load_error_at": None,
            }
            upsert(connection, plans, values)
            plan_versions.keep(connection, plan, before)
            _refresh(connection, plan, before, at)
            if before is not None and before.file_digest != file_digest:
                # Who recovers from the repository alone has to find the plan of the newest points.
                holds.store_soon(connection, plan.name)

    def mark_broken(self, name: str, error: str, at: datetime) -> None:
        """A plan that was never loaded gets no row: there are no figures to keep."""
        row = update(plans).where(plans.c.name == name)
        with self._database.write() as connection:
            connection.execute(row.values(load_error=error, load_error_at=at))

    def names(self) -> list[str]:
        with self._database.read() as connection:
            return sorted(connection.execute(select(plans.c.name)).scalars())

    def texts(self, plan: str) -> Mapping[str, Mapping[str, Any]]:
        with self._database.read() as connection:
            return plan_versions.kept(connection, plan)

    def proofs(self, plan: Plan) -> frozenset[str]:
        row = select(plans.c.former).where(plans.c.name == plan.name, plans.c.proof == plan.proof)
        with self._database.read() as connection:
            former = connection.execute(row).scalar()
        return frozenset(filter(None, (plan.proof, plan.digest, former)))

    def records(self, plan: str) -> Records:
        with self._database.read() as connection:
            return _records(connection, plan)

    def forget(self, plan: str, at: datetime) -> Records:
        with self._database.write() as connection:
            forgotten = _records(connection, plan)
            _require_no_open_run(connection, plan)
            points.remove_all(connection, plan)
            for part, whole in ((steps.c.run, runs), (checks.c.evidence, evidence)):
                of_plan = select(whole.c.id).where(whole.c.plan == plan)
                connection.execute(delete(part.table).where(part.in_(of_plan)))
                connection.execute(delete(whole).where(whole.c.plan == plan))
            jobs.forget(connection, plan)
            for table in reversed(metadata.sorted_tables):
                if "of_a_plan" in table.info:
                    connection.execute(delete(table).where(table.c.plan == plan))
            # Open alerts stay: they end as others do, with a message to those who got the first
            # one.
            over = (alerts.c.plan == plan, alerts.c.resolved_at.is_not(None))
            connection.execute(delete(alerts).where(*over))
            connection.execute(delete(plans).where(plans.c.name == plan))
            had = forgotten if plan_of_row(plan) else None
            self._records.add(
                connection,
                record_drafts.of_forgotten_plan(plan, had, at, process.actor_here()),
            )
            return forgotten


def _cron(plan: Plan) -> str | None:
    if plan.made_by:
        return f"{MADE_BY}{plan.made_by}"
    return AUTO if plan.backup.auto else plan.backup.cron


def _compiled(plan: Plan, file_digest: str) -> dict[str, Any]:
    objectives = plan.objectives
    mtime_ns, size = _stamp(plan.file, file_digest)
    return {
        "name": plan.name,
        "owner": plan.owner,
        "description": shortened(" ".join(plan.description.split()), LONGEST_DESCRIPTION) or None,
        "digest": plan.digest,
        "resolved": dict(plan.resolved),
        "proof": plan.proof,
        "extensions": plan.resolved.get("extensions") or None,
        "rpo_s": objectives.rpo_s,
        "point_rpo_s": plan.backup.rpo_s,
        "rto_s": objectives.rto_s,
        "window_s": objectives.window_s,
        "interval_s": plan.backup.interval_s,
        "cron": _cron(plan),
        "backup_timeout_s": plan.backup.timeout_s,
        "drill_every_s": plan.drill.interval_s,
        "drill_full_every_s": plan.drill.full_every_s,
        "file": str(Path(plan.file).absolute()) if plan.file else "",
        "file_mtime_ns": mtime_ns,
        "file_size": size,
        "file_digest": file_digest,
    }


def _former(plan: Plan, before: Row[Any] | None) -> str | None:
    """Return the hash by which evidence of an older drd counts, as long as the plan has the same
    proof: that of the whole plan, which was in force when this drd loaded it first. `before` is the
    plan's row before.
    """
    if before is None:
        return None
    if before.proof is None:
        return plan.digest if before.digest == plan.digest else None
    former: str | None = before.former
    return former if before.proof == plan.proof else None


def _refresh(connection: Connection, plan: Plan, before: Row[Any] | None, at: datetime) -> None:
    """Update what depends on the plan. `before` is its row before it was loaded."""
    added = _set_components(connection, plan)
    fresh = before is None and not _has_history(connection, plan.name)
    elsewhere = places.load(connection, plan, fresh=fresh)
    copies.load(connection, plan, at, fresh=fresh)
    if fresh:
        health_rows.begin(connection, plan)
        summaries.begin(connection, plan.name, plan.drill.scenarios)
        return
    health_rows.load(connection, plan, at)
    wanted = summaries.want(connection, plan.name, plan.drill.scenarios)
    if wanted:
        summaries.refresh_drills(connection, plan.name, at)
    if before is None:
        summaries.refresh_points(connection, plan.name, at)
        summaries.refresh_backups(connection, plan.name, at)
        summaries.refresh_drills(connection, plan.name, at)
        health_rows.refresh(connection, plan.name, at)
    elif elsewhere:
        summaries.refresh_points(connection, plan.name, at)
        health_rows.refresh(connection, plan.name, at)
    else:
        summaries.refresh_components(connection, plan.name, added, at)
    now = (plan.points_within_s, plan.objectives.window_s)
    if before is None or (missed.within_s(before), before.window_s) != now:
        missed.recompute(connection, plan.name, at)


def _records(connection: Connection, plan: str) -> Records:
    file = connection.execute(select(plans.c.file).where(plans.c.name == plan)).scalar()
    if file is None:
        raise UnknownPlan(
            f'drd has no records of a plan "{plan}"', hint="drd status lists the plans."
        )
    numbers = (
        connection.execute(
            select(func.count()).select_from(table).where(table.c.plan == plan)
        ).scalar_one()
        for table in (point_table, runs, evidence)
    )
    return Records(file, *numbers)


def _require_no_open_run(connection: Connection, plan: str) -> None:
    open_run = select(runs.c.id).where(runs.c.plan == plan, runs.c.finished_at.is_(None))
    run = connection.execute(open_run).scalar()
    if run is not None:
        raise AlreadyRunning(
            f"drd cannot forget plan {plan}, because its run {run} has not ended yet",
            run=run,
            hint=f"wait until this run ends: `drd run show {run} --follow`; or end the run: `drd "
            f"cancel {run}`",
        )


def _has_history(connection: Connection, name: str) -> bool:
    """Return whether there is any history of a plan that was never loaded: from repositories, or
    from an older drd."""
    known = (
        select(t.c.plan).where(t.c.plan == name).exists() for t in (point_table, runs, evidence)
    )
    return bool(connection.execute(select(or_(*known))).scalar())


def _set_components(connection: Connection, plan: Plan) -> list[str]:
    """Record the components of the plan, and return those that are new."""
    rows = component_summary
    columns = (rows.c.component, rows.c.position, rows.c.kind, rows.c.rpo_s)
    query = select(*columns).where(rows.c.plan == plan.name)
    before = {name: known for name, *known in connection.execute(query)}
    if gone := before.keys() - plan.components.keys():
        connection.execute(
            delete(rows).where(rows.c.plan == plan.name, rows.c.component.in_(sorted(gone)))
        )
    wanted = {c.name: [place, c.kind, c.rpo_s] for place, c in enumerate(plan.components.values())}
    for name, row in wanted.items():
        if before.get(name) != row:
            key = {"plan": plan.name, "component": name}
            values = dict(zip(("position", "kind", "rpo_s"), row, strict=True))
            upsert(connection, rows, {**key, **values})
    return [name for name in wanted if name not in before]


def _stamp(file: str, digest: str) -> tuple[int, int]:
    """Modification time (ns) and size of the file, if it still is what was loaded; else zeros, so
    that a later comparison reads the file."""
    try:
        with Path(file).open("rb") as opened:
            there = os.fstat(opened.fileno())
            same = hashlib.sha256(opened.read()).hexdigest() == digest
    except OSError:
        return 0, 0
    return (there.st_mtime_ns, there.st_size) if same else (0, 0)
