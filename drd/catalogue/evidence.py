"""What drills and recoveries measured, with their checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, or_, select, update

from drd.catalogue import health_rows, runs, summaries, unrestorable
from drd.catalogue.engine import Database, SqlStore, insert_all, upsert
from drd.catalogue.records import SqlRecords, actor_of
from drd.catalogue.tables import checks, points
from drd.catalogue.tables import evidence as table
from drd.errors import UsageError
from drd.model import record_drafts
from drd.model.coverage import Coverage
from drd.model.drill_facts import Unproven
from drd.model.fencing import FenceReport
from drd.model.instant import InstantDrill
from drd.model.operator_drill import OperatorDrill, of_operator_drill
from drd.model.run import (
    CheckResult,
    CheckVerdict,
    DrillResult,
    Evidence,
    Run,
    RunKind,
    RunState,
)
from drd.ports import RunLease

_PLAIN = (
    "id", "run", "plan", "point", "scenario", "plan_digest", "started_at", "finished_at", "rpa_s",
    "rta_s", "judged", "target", "lost_at", "restored_bytes", "reason", "data_time", "repository",
    "signature",
)  # fmt: skip


_NAMED = 12
"""How many records an error names if their ids begin in the same way."""


class SqlEvidenceStore(SqlStore):
    """See `drd.ports.evidence.EvidenceStore`."""

    def __init__(self, database: Database, records: SqlRecords) -> None:
        super().__init__(database)
        self._records = records

    def record(
        self, owned: RunLease, evidence: Evidence, operator: OperatorDrill | None = None
    ) -> None:
        with self._database.write() as connection:
            runs.fence(connection, owned)
            _write(connection, evidence)
            if _proves_its_point(evidence):
                connection.execute(
                    update(points)
                    .where(points.c.id == evidence.point)
                    .values(proven_by=evidence.id)
                )
            summaries.refresh_drills(connection, evidence.plan, evidence.finished_at)
            if evidence.point is not None and evidence.target is None:
                summaries.refresh_points(connection, evidence.plan, evidence.finished_at)
                health_rows.refresh(connection, evidence.plan, evidence.finished_at)
            run = owned.run
            actor = actor_of(run)
            self._records.add(connection, record_drafts.of_evidence(run, evidence, actor))
            if operator is not None:
                self._records.add(connection, of_operator_drill(run, evidence, operator, actor))
        self._records.note_measured(run.id, owned.token)

    def bring_back(self, plan: str, host: str, found: Sequence[Evidence], at: datetime) -> None:
        with self._database.write() as connection:
            for one in found:
                known = select(table.c.id).where(or_(table.c.id == one.id, table.c.run == one.run))
                if runs.exists(connection, one.run) or connection.execute(known).first():
                    continue
                runs.insert(connection, _run_of(one), runs.OwnerProcess(0, None, host))
                _write(connection, one)
            if found:
                summaries.refresh_drills(connection, plan, at)
                summaries.refresh_points(connection, plan, at)
                health_rows.refresh(connection, plan, at)

    def newest(self, plan: str | None, *, limit: int = 20) -> list[Evidence]:
        query = select(table).order_by(table.c.finished_at.desc(), table.c.id).limit(limit)
        return self._read(query if plan is None else query.where(table.c.plan == plan))

    def of_run(self, run: str) -> Evidence | None:
        of_it = select(table).where(table.c.run == run).order_by(table.c.finished_at.desc())
        return next(iter(self._read(of_it)), None)

    def unrestorable(self, plan: str) -> dict[str, tuple[str, datetime]]:
        query = unrestorable.drills(table.c.plan == plan).order_by(table.c.finished_at)
        with self._database.read() as connection:
            return {point: (run, at) for point, run, at in connection.execute(query)}

    def find(self, prefix: str) -> Evidence:
        begins = [c.startswith(prefix, autoescape=True) for c in (table.c.id, table.c.run)]
        query = select(table).where(or_(*begins)).order_by(table.c.finished_at.desc(), table.c.id)
        matching = self._read(query.limit(_NAMED)) if prefix else []
        exact = [e for e in matching if prefix in (e.id, e.run)]
        if not matching:
            raise UsageError(
                f"there is no evidence record with the id {prefix!r}",
                hint="list the evidence of drills and recoveries: drd evidence list",
            )
        if len(matching) > 1 and len(exact) != 1:
            names = ", ".join(e.id for e in matching)
            raise UsageError(
                f"the ids of several evidence records begin with {prefix!r}",
                hint=f"give more characters of the id: {names}",
            )
        return (exact or matching)[0]

    def _read(self, query: Select[Any]) -> list[Evidence]:
        checks_of: dict[str, list[CheckResult]] = defaultdict(list)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            of_these = select(checks).where(checks.c.evidence.in_([row.id for row in rows]))
            for row in connection.execute(of_these.order_by(checks.c.evidence, checks.c.position)):
                checks_of[row.evidence].append(_to_check(row))
            return [_to_evidence(row, tuple(checks_of[row.id])) for row in rows]


def _write(connection: Connection, evidence: Evidence) -> None:
    connection.execute(delete(checks).where(checks.c.evidence == evidence.id))
    row = {name: getattr(evidence, name) for name in _PLAIN}
    row |= {
        "result": str(evidence.result),
        "remedy": evidence.remedy or None,
        "phases": dict(evidence.phases),
        "not_rehearsed": [list(pair) for pair in evidence.not_rehearsed],
        "coverage": evidence.coverage.to_json() if evidence.coverage is not None else None,
        "given_by": list(evidence.given_by),
        "unproven": [list(u) for u in evidence.unproven] or None,
        "fence": evidence.fence.to_json() if evidence.fence is not None else None,
        "instant": evidence.instant.to_json() if evidence.instant is not None else None,
    }
    if evidence.data_time is None and evidence.point is not None:
        of_point = select(points.c.data_time).where(points.c.id == evidence.point)
        row["data_time"] = connection.execute(of_point).scalar()
    upsert(connection, table, row)
    insert_all(
        connection,
        checks,
        [_check_row(evidence.id, n, check) for n, check in enumerate(evidence.checks)],
    )


def _proves_its_point(evidence: Evidence) -> bool:
    """A drill that passed proves its point; a recovery, which has a target, does not, nor a drill
    that did not read everything."""
    passed = evidence.result is DrillResult.PASSED
    whole = evidence.target is None and evidence.instant is None
    return passed and whole and not evidence.unproven


def _run_of(drill: Evidence) -> Run:
    """Return the run of a drill of which only the evidence is left."""
    passed = drill.result is DrillResult.PASSED
    return Run(
        drill.run,
        drill.plan,
        RunKind.DRILL,
        "manual",
        RunState.SUCCEEDED if passed else RunState.FAILED,
        drill.started_at,
        finished_at=drill.finished_at,
        plan_digest=drill.plan_digest,
        error="; ".join(c.observed for c in drill.checks) or None,
    )


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
        "bound": check.bound,
        "figure": check.figure,
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
        bound=row.bound,
        figure=row.figure,
    )


def _to_evidence(row: Row[Any], found: tuple[CheckResult, ...]) -> Evidence:
    return Evidence(
        **{name: getattr(row, name) for name in _PLAIN},
        result=DrillResult(row.result),
        remedy=row.remedy or "",
        phases=row.phases,
        not_rehearsed=tuple((step, reason) for step, reason in row.not_rehearsed),
        checks=found,
        coverage=Coverage.from_json(row.coverage) if row.coverage is not None else None,
        given_by=tuple(row.given_by or ()),
        unproven=tuple(Unproven(*u) for u in row.unproven or ()),
        fence=FenceReport.from_json(row.fence) if row.fence is not None else None,
        instant=InstantDrill.from_json(row.instant) if row.instant is not None else None,
    )
