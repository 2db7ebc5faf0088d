"""Facts of plans for the tests of verdicts and status: a healthy plan, and what differs from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from drd.model.drill_facts import DrillFacts, ScenarioFacts
from drd.model.facts import (
    AlertFacts,
    ComponentFacts,
    FailureFacts,
    IncompleteFacts,
    PlanFacts,
    PointFacts,
    RepositoryFacts,
)

NOW = datetime(2026, 11, 25, 0, 31, tzinfo=UTC)
MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def point(exposure_s: float, *, took_s: float = 0.0, size: int = 1000) -> PointFacts:
    """A complete point whose data is `exposure_s` old and that was stored `took_s` later."""
    return PointFacts("7c1e", ago(exposure_s), ago(exposure_s - took_s), size)


def drill(result: str = "passed", *, since_s: float = 2 * DAY, **changes: Any) -> DrillFacts:
    base = DrillFacts(
        evidence="e1",
        run="d14a",
        point="7c1e",
        at=ago(since_s),
        result=result,  # type: ignore[arg-type]
        plan_digest="digest-1",
        rta_s=94.0,
        rpa_s=200.0,
        judged=True,
        restored_bytes=1000,
    )
    return base._replace(**changes)


def repository(name: str = "primary", **changes: Any) -> RepositoryFacts:
    """One that holds a point whose data is 252 s old, and with which nothing is wrong."""
    there = changes.pop("newest", point(252))
    base = RepositoryFacts(name, newest=there, sound=there)
    return base._replace(**changes)


def scenario(name: str = "database-loss", **changes: Any) -> ScenarioFacts:
    """One that the plan wants and that passed."""
    passed = drill(scenario=name)
    return ScenarioFacts(name, last=passed, passed=passed)._replace(**changes)


def healthy(**changes: Any) -> PlanFacts:
    """A plan that is met in every respect: RPO 15m, RTO 30m, backup every 5m, drill every 7d. Its
    one repository holds its newest point, and its scenario is what its drills say."""
    passed = drill()
    base = PlanFacts(
        plan="orders-api",
        owner="payments team",
        rpo_s=15 * MINUTE,
        rto_s=30 * MINUTE,
        window_s=90 * DAY,
        digest="digest-1",
        first_loaded_at=ago(30 * DAY),
        loaded_at=ago(DAY),
        interval_s=5 * MINUTE,
        drill_every_s=7 * DAY,
        components=(ComponentFacts("orders-db", "postgres", ago(252), 1000),),
        newest=point(252),
        complete_points=12,
        backup_p95_s=20.0,
        last_drill=passed,
        last_passed_drill=passed,
    )
    facts = base._replace(**changes)
    if "repositories" not in changes:
        place = RepositoryFacts("primary", newest=facts.newest, sound=facts.newest)
        facts = facts._replace(repositories=(place,))
    if "scenarios" not in changes:
        drilled = ScenarioFacts(
            "database-loss", last=facts.last_drill, passed=facts.last_passed_drill
        )
        facts = facts._replace(scenarios=(drilled,))
    return facts


def with_point(facts: PlanFacts, newest: PointFacts) -> PlanFacts:
    """The same plan with this newest point, which its repositories hold."""
    places = tuple(r._replace(newest=newest, sound=newest) for r in facts.repositories)
    return facts._replace(newest=newest, repositories=places)


def failures(
    tries: int = 11, error: str = "pg_dump cannot connect", code: str = ""
) -> FailureFacts:
    return FailureFacts(tries, "4f2a", ago(4 * MINUTE), error, code)


def incomplete(*failed: tuple[str, str]) -> IncompleteFacts:
    return IncompleteFacts("9b0d", ago(MINUTE), failed or (("sessions", "redis is gone"),))


def alert(**changes: Any) -> AlertFacts:
    base = AlertFacts("a1", "backup-missing", "firing", ago(2 * HOUR), "no backup for 3h")
    return base._replace(**changes)
