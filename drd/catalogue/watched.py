"""The additional rows from which alerts are computed: verifications, and findings of readiness
runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Column, Connection, Select, bindparam, select

from drd.catalogue.daemon_tables import jobs, verifications
from drd.catalogue.tables import runs
from drd.model.alert_facts import VerificationFacts
from drd.model.finding import Finding
from drd.model.readiness_finding import ReadinessFinding
from drd.model.run import RunKind
from drd.model.run_details import ReadinessDetail
from drd.ports.alerts import Watched

_T = TypeVar("_T")


class _Queries(NamedTuple):
    """Queries that are made once: they run after each run."""

    of_all: Select[Any]
    of_one: Select[Any]


def _queries(of_all: Select[Any], plan: Column[Any]) -> _Queries:
    return _Queries(of_all, of_all.where(plan == bindparam("plan")))


_VERIFICATIONS = _queries(
    select(verifications).order_by(verifications.c.plan, verifications.c.repository),
    verifications.c.plan,
)
_READINESS = _queries(
    select(jobs.c.plan, runs.c.detail)
    .join(jobs, jobs.c.last_run == runs.c.id)
    .where(jobs.c.kind == str(RunKind.READINESS), runs.c.finished_at.is_not(None)),
    jobs.c.plan,
)


def read(connection: Connection, plan: str | None) -> Watched:
    """Return the facts of one plan or of all, read within the transaction of the caller."""
    return Watched(_verifications(connection, plan), _readiness(connection, plan))


def _verifications(
    connection: Connection, plan: str | None
) -> dict[str, tuple[VerificationFacts, ...]]:
    return _by_plan(
        (
            r.plan,
            VerificationFacts(
                r.repository, r.error, r.last_complete_at, r.cycle_started_at, r.parts
            ),
        )
        for r in _asked(connection, _VERIFICATIONS, plan)
    )


def _readiness(connection: Connection, plan: str | None) -> dict[str, tuple[Finding, ...]]:
    """Return the findings of the last readiness check that is over. While another one runs, nothing
    is known of the plan, and its alerts stay as they are."""
    findings = {}
    for name, detail in _asked(connection, _READINESS, plan):
        judged = ReadinessDetail.from_json(detail).findings
        if judged is not None:
            findings[name] = tuple(j.finding for j in judged if _is_alarming(j))
    return findings


def _asked(connection: Connection, query: _Queries, plan: str | None) -> Iterable[Any]:
    if plan is None:
        return connection.execute(query.of_all)
    return connection.execute(query.of_one, {"plan": plan})


def _is_alarming(judged: ReadinessFinding) -> bool:
    """Return whether a finding raises an alert. Findings about drills have alerts of their own, and
    what the plan accepts needs none."""
    return not (judged.finding.severity == "ok" or judged.proof or judged.excepted)


def _by_plan(rows: Iterable[tuple[str, _T]]) -> dict[str, tuple[_T, ...]]:
    grouped: dict[str, list[_T]] = defaultdict(list)
    for plan, value in rows:
        grouped[plan].append(value)
    return {plan: tuple(values) for plan, values in grouped.items()}
