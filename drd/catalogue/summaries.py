"""Computes the rows that `drd status` reads, by queries with an index.

A summary row has the ids of the newest rows; the reader joins their values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, true, update

from drd.catalogue import unrestorable
from drd.catalogue.engine import insert_all, upsert
from drd.catalogue.summary_tables import component_summary, plan_summary, scenario_summary
from drd.catalogue.tables import component_snapshots, evidence, points, runs
from drd.model.clock import FAR_AHEAD
from drd.model.run import DrillResult, RunKind, RunState, took_s
from drd.model.run_details import RunDetail
from drd.model.scenarios import ScenarioDrill, standing
from drd.model.snapshot import of_whole_copy

USUAL_RUNS = 50
"""How many of the newest successful backups determine the usual duration."""

_DRILLS = 500
"""How many of the newest drills are examined for the standing of each scenario."""

_FAILURES = [str(s) for s in (RunState.FAILED, RunState.INCOMPLETE, RunState.INTERRUPTED)]


def begin(connection: Connection, plan: str, scenarios: Sequence[str]) -> None:
    """Write the summary of a plan without any history, which wants these scenarios."""
    _set(connection, plan, complete_points=0, failure_tries=0)
    insert_all(
        connection,
        scenario_summary,
        [
            {"plan": plan, "scenario": name, "repository": "", "position": position}
            for position, name in enumerate(scenarios)
        ],
    )


def refresh_points(connection: Connection, plan: str, at: datetime | None = None) -> None:
    """Find the newest complete and incomplete point, the number of points, and the newest captures
    of the components, as known at `at`. A point that is dated long after `at` was made while a
    clock was wrong: it counts only when there is no other. Points that a drill could not restore
    are not counted."""
    kept = (points.c.plan == plan, points.c.forgotten_at.is_(None), points.c.here)
    known = (*kept, believed(points.c.data_time, at))
    newest = (
        connection.execute(_latest_point(*known, points.c.complete)).first()
        or connection.execute(_latest_point(*kept, points.c.complete)).first()
    )
    incomplete = _latest_point(*known, ~points.c.complete)
    if newest is not None:
        incomplete = incomplete.where(points.c.data_time > newest.data_time)
    behind = connection.execute(incomplete).first()
    restorable = (points.c.complete, points.c.id.not_in(unrestorable.of_plan(plan)))
    count = select(func.count()).select_from(points).where(*kept, *restorable)
    _set(
        connection,
        plan,
        newest_point=newest.id if newest else None,
        incomplete_point=behind.id if behind else None,
        complete_points=connection.execute(count).scalar_one(),
    )
    names = select(component_summary.c.component).where(component_summary.c.plan == plan)
    refresh_components(connection, plan, connection.execute(names).scalars().all(), at)


def refresh_components(
    connection: Connection, plan: str, names: Sequence[str], at: datetime | None = None
) -> None:
    """Find the newest capture of each of these components among the kept points."""
    for component in names:
        attempts = (
            select(component_snapshots)
            .join(points, points.c.id == component_snapshots.c.point)
            .where(
                component_snapshots.c.plan == plan,
                component_snapshots.c.component == component,
                points.c.forgotten_at.is_(None),
                points.c.here,
            )
            .order_by(component_snapshots.c.available_at.desc())
            .limit(1)
        )
        captured = attempts.where(component_snapshots.c.state == "captured")
        known = believed(component_snapshots.c.available_at, at)
        last = (
            connection.execute(attempts.where(known)).first()
            or connection.execute(attempts).first()
        )
        good = (
            connection.execute(captured.where(known)).first()
            or connection.execute(captured).first()
        )
        connection.execute(
            component_summary.update()
            .where(component_summary.c.plan == plan, component_summary.c.component == component)
            .values(
                data_time=good.data_time if good else None,
                bytes=good.bytes if good and not of_whole_copy(good.point, good.facts) else None,
                error=last.error if last and last.state == "failed" else None,
            )
        )


def refresh_backups(connection: Connection, plan: str, at: datetime | None = None) -> None:
    """Compute the usual duration, and the failures since the last success. Failures are ordered by
    the time at which they began: a run whose process is found dead long after does not become
    newer. A success dated long after `at` does not count."""
    backups = (runs.c.plan == plan, runs.c.kind == str(RunKind.BACKUP))
    succeeded = select(func.max(runs.c.started_at)).where(
        *backups, runs.c.state == str(RunState.SUCCEEDED), believed(runs.c.started_at, at)
    )
    failed = [*backups, runs.c.state.in_(_FAILURES)]
    last_success = connection.execute(succeeded).scalar()
    if last_success is not None:
        failed.append(runs.c.started_at > last_success)
    count = select(func.count()).select_from(runs).where(*failed)
    newest = select(runs.c.id).where(*failed).order_by(runs.c.started_at.desc()).limit(1)
    _set(
        connection,
        plan,
        backup_p95_s=percentile_95(durations(connection, plan, USUAL_RUNS)),
        failure_tries=connection.execute(count).scalar_one(),
        failed_run=connection.execute(newest).scalar(),
    )


def refresh_drills(connection: Connection, plan: str, at: datetime | None = None) -> None:
    """Find the newest drill, and the newest that passed. Recoveries (with a target) are not
    drills."""
    drills = (
        select(evidence.c.id)
        .where(evidence.c.plan == plan, evidence.c.target.is_(None))
        .order_by(evidence.c.finished_at.desc())
        .limit(1)
    )
    passed = drills.where(evidence.c.result == str(DrillResult.PASSED))
    known = believed(evidence.c.finished_at, at)

    def newest(query: Select[Any]) -> Any:
        newest_id = connection.execute(query.where(known)).scalar()
        return newest_id or connection.execute(query).scalar()

    _set(connection, plan, last_drill=newest(drills), last_passed_drill=newest(passed))
    refresh_scenarios(connection, plan, at)


def want(connection: Connection, plan: str, scenarios: Sequence[str]) -> bool:
    """Record the scenarios that the plan wants, in their order. Returns whether they have
    changed."""
    rows = scenario_summary
    query = select(rows.c.scenario, rows.c.position).where(
        rows.c.plan == plan, rows.c.repository == "", rows.c.position.is_not(None)
    )
    wanted = {name: position for position, name in enumerate(scenarios)}
    if {row.scenario: row.position for row in connection.execute(query)} == wanted:
        return False
    connection.execute(update(rows).where(rows.c.plan == plan).values(position=None))
    for name, position in wanted.items():
        key = {"plan": plan, "scenario": name, "repository": ""}
        upsert(connection, rows, {**key, "position": position})
    return True


def refresh_scenarios(connection: Connection, plan: str, at: datetime | None) -> None:
    """Find the drill that counts for each scenario, by the newest complete point that is left."""
    query = (
        select(evidence)
        .where(evidence.c.plan == plan, evidence.c.target.is_(None))
        .order_by(evidence.c.finished_at.desc())
        .limit(_DRILLS)
    )
    known = connection.execute(query.where(believed(evidence.c.finished_at, at))).all()
    drills = known or connection.execute(query).all()
    judged = [
        ScenarioDrill(
            row.id,
            row.scenario,
            row.finished_at,
            row.result,
            row.data_time,
            row.repository,
            tuple(row.given_by or ()),
            instant=row.instant is not None,
        )
        for row in drills
    ]
    newest = (
        select(points.c.data_time)
        .join(plan_summary, plan_summary.c.newest_point == points.c.id)
        .where(plan_summary.c.plan == plan)
    )
    standings = standing(judged, connection.execute(newest).scalar())
    for (scenario, repository), result in standings.items():
        key = {"plan": plan, "scenario": scenario, "repository": repository}
        upsert(connection, scenario_summary, {**key, "last": result.last, "passed": result.passed})


def believed(time: ColumnElement[datetime], at: datetime | None) -> ColumnElement[bool]:
    """Return the condition that a time is not long after `at`; always true when `at` is unknown."""
    return true() if at is None else time <= at + FAR_AHEAD


def durations(
    connection: Connection, plan: str, limit: int, kind: str = RunKind.BACKUP, subject: str = ""
) -> list[float]:
    """Seconds of the newest successful runs, newest first. Runs that another process ended later
    are left out."""
    query = (
        select(runs.c.started_at, runs.c.finished_at, runs.c.detail)
        .where(
            runs.c.plan == plan,
            runs.c.kind == str(kind),
            runs.c.state == str(RunState.SUCCEEDED),
            runs.c.subject == subject,
            runs.c.token == 1,
            runs.c.started_at.is_not(None),
            runs.c.finished_at.is_not(None),
        )
        .order_by(runs.c.started_at.desc())
        .limit(limit)
    )
    known = [
        took_s(start, end, RunDetail.from_json(detail).took_s)
        for start, end, detail in connection.execute(query)
    ]
    return [seconds for seconds in known if seconds is not None]


def percentile_95(values: Sequence[float]) -> float | None:
    """Return the smallest value that at least 95 % of the values do not exceed; None without
    values."""
    if not values:
        return None
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _latest_point(*where: Any) -> Select[Any]:
    query = select(points.c.id, points.c.data_time).where(*where)
    return query.order_by(points.c.data_time.desc()).limit(1)


def _set(connection: Connection, plan: str, **columns: Any) -> None:
    upsert(connection, plan_summary, {"plan": plan, **columns})
