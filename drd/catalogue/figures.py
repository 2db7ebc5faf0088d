"""The figures for monitoring: a few rows for each plan, however many runs there were."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from drd.catalogue.daemon_tables import copies, jobs, verifications
from drd.catalogue.tables import alerts
from drd.model.figures import (
    AlertFigures,
    CatalogueFigures,
    CopyFigures,
    RunFigures,
    VerificationFigures,
)


def read(connection: Connection) -> CatalogueFigures:
    """Return the figures of one moment, read within the transaction of the caller."""
    return CatalogueFigures(
        runs=_runs(connection),
        copies=_copies(connection),
        verifications=_verifications(connection),
        alerts=_alerts(connection),
    )


def _runs(connection: Connection) -> tuple[RunFigures, ...]:
    query = select(
        jobs.c.plan,
        jobs.c.kind,
        jobs.c.subject,
        jobs.c.last_finished_at,
        jobs.c.last_success_at,
        jobs.c.last_state,
        jobs.c.last_duration_s,
        jobs.c.last_bytes,
        jobs.c.tries,
    )
    return tuple(RunFigures(*row) for row in connection.execute(query))


def _copies(connection: Connection) -> tuple[CopyFigures, ...]:
    query = select(copies.c.plan, copies.c.repository, copies.c.data_time)
    return tuple(CopyFigures(*row) for row in connection.execute(query))


def _verifications(connection: Connection) -> tuple[VerificationFigures, ...]:
    query = select(
        verifications.c.plan,
        verifications.c.repository,
        verifications.c.last_complete_at,
        verifications.c.error.is_not(None),
    )
    return tuple(VerificationFigures(*row) for row in connection.execute(query))


def _alerts(connection: Connection) -> tuple[AlertFigures, ...]:
    kinds = (alerts.c.plan, alerts.c.kind, alerts.c.severity, alerts.c.state)
    query = select(*kinds, func.count()).where(alerts.c.resolved_at.is_(None)).group_by(*kinds)
    return tuple(AlertFigures(*row) for row in connection.execute(query))
