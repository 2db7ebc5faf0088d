"""The figures for monitoring: a few rows for each plan, however many runs there were."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, case, func, select

from drd.catalogue import undone
from drd.catalogue.daemon_tables import copies, jobs, verifications
from drd.catalogue.record_tables import incidents
from drd.catalogue.tables import alerts
from drd.model.facts import UndoneFacts
from drd.model.figures import (
    AlertFigures,
    CatalogueFigures,
    CopyFigures,
    IncidentFigures,
    RunFigures,
    VerificationFigures,
)
from drd.model.incidents.states import State

_INCIDENTS = 100
"""The number of incidents that are read. Every member of the group may report suspicions, so
suspicions come after all incidents."""


def read(connection: Connection) -> CatalogueFigures:
    """Return the figures of one moment, read within the transaction of the caller."""
    return CatalogueFigures(
        runs=_runs(connection),
        copies=_copies(connection),
        verifications=_verifications(connection),
        alerts=_alerts(connection),
        incidents=_incidents(connection),
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
    rows = connection.execute(query).all()
    left = undone.of_plans(connection) if rows else {}
    return tuple(
        CopyFigures(plan, repository, _counted(data_time, left.get(plan)))
        for plan, repository, data_time in rows
    )


def _counted(data_time: datetime | None, back: UndoneFacts | None) -> datetime | None:
    """Return the data time without points that have what an undo took back."""
    if data_time is None or back is None:
        return data_time
    return min(data_time, back.point.data_time)


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


def _incidents(connection: Connection) -> tuple[IncidentFigures, ...]:
    of = incidents.c
    last = case((of.state == str(State.REPORTED), 1), else_=0)
    query = select(of.number, of.state, of.severity, of.restricted, of.next_at)
    query = query.where(of.closed_at.is_(None)).order_by(last, of.number).limit(_INCIDENTS)
    return tuple(IncidentFigures(*row) for row in connection.execute(query))
