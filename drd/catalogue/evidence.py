"""What drills and recoveries measured, with their checks."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from drd.catalogue import summaries
from drd.catalogue.engine import insert_all, upsert
from drd.catalogue.tables import checks, evidence, points
from drd.model.coverage import Coverage
from drd.model.facts import Unproven
from drd.model.fencing import FenceReport
from drd.model.run import CheckResult, CheckVerdict, DrillResult, Evidence

_PLAIN = (
    "id", "run", "plan", "point", "scenario", "plan_digest", "started_at", "finished_at", "rpa_s",
    "rta_s", "judged", "target", "lost_at", "restored_bytes", "reason", "data_time", "repository",
)  # fmt: skip


def record(connection: Connection, found: Evidence) -> None:
    """Insert, or replace the same evidence of a run that was continued."""
    connection.execute(delete(checks).where(checks.c.evidence == found.id))
    row = {name: getattr(found, name) for name in _PLAIN}
    row |= {
        "result": str(found.result),
        "phases": dict(found.phases),
        "not_rehearsed": [list(pair) for pair in found.not_rehearsed],
        "coverage": found.coverage.to_json() if found.coverage is not None else None,
        "given_by": list(found.given_by),
        "unproven": [list(u) for u in found.unproven] or None,
        "fence": found.fence.to_json() if found.fence is not None else None,
    }
    if found.data_time is None and found.point is not None:
        of_point = select(points.c.data_time).where(points.c.id == found.point)
        row["data_time"] = connection.execute(of_point).scalar()
    upsert(connection, evidence, row)
    insert_all(
        connection,
        checks,
        [_check_row(found.id, n, check) for n, check in enumerate(found.checks)],
    )
    if found.result is DrillResult.PASSED and found.target is None and not found.unproven:
        connection.execute(
            update(points).where(points.c.id == found.point).values(proven_by=found.id)
        )
    summaries.refresh_drills(connection, found.plan, found.finished_at)


def newest(connection: Connection, plan: str, limit: int) -> list[Evidence]:
    query = select(evidence).where(evidence.c.plan == plan)
    newest_first = query.order_by(evidence.c.finished_at.desc(), evidence.c.id).limit(limit)
    rows = connection.execute(newest_first).all()
    checks_of: dict[str, list[CheckResult]] = defaultdict(list)
    of_these = select(checks).where(checks.c.evidence.in_([row.id for row in rows]))
    for row in connection.execute(of_these.order_by(checks.c.evidence, checks.c.position)):
        checks_of[row.evidence].append(_to_check(row))
    return [_to_evidence(row, tuple(checks_of[row.id])) for row in rows]


def _check_row(evidence_id: str, position: int, check: CheckResult) -> dict[str, Any]:
    return {
        "evidence": evidence_id,
        "position": position,
        "name": check.name,
        "component": check.component,
        "verdict": str(check.verdict),
        "observed": check.observed,
        "expected": check.expected,
        "part": check.part,
        "looked_at_data": check.looked_at_data,
    }


def _to_check(row: Row[Any]) -> CheckResult:
    return CheckResult(
        name=row.name,
        component=row.component,
        verdict=CheckVerdict(row.verdict),
        observed=row.observed,
        expected=row.expected,
        part=row.part,
        looked_at_data=row.looked_at_data,
    )


def _to_evidence(row: Row[Any], found: tuple[CheckResult, ...]) -> Evidence:
    return Evidence(
        **{name: getattr(row, name) for name in _PLAIN},
        result=DrillResult(row.result),
        phases=row.phases,
        not_rehearsed=tuple((step, reason) for step, reason in row.not_rehearsed),
        checks=found,
        coverage=Coverage.from_json(row.coverage) if row.coverage is not None else None,
        given_by=tuple(row.given_by or ()),
        unproven=tuple(Unproven(*u) for u in row.unproven or ()),
        fence=FenceReport.from_json(row.fence) if row.fence is not None else None,
    )
