"""Points whose data a drill could not restore: they must not be relied on, although their snapshots
exist."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, or_, select

from drd.catalogue.tables import checks, evidence
from drd.model.check_words import RESTORES
from drd.model.run import CheckVerdict, DrillResult


def drills(*where: ColumnElement[bool]) -> Select[Any]:
    """Return the query for the drills that could not restore the data of their points, one row for
    each: `point`, `run`, `finished_at`. A later drill that restored all components clears its
    point, even if its checks failed. A drill of single components says nothing about the other
    components. `drd.catalogue.summary_queries` has the same rule."""
    return _drills().where(*where)


@cache
def _drills() -> Select[Any]:
    """Return the query for those of all plans. It is asked several times for each new point, and
    building it takes longer than asking it."""
    later = evidence.alias()
    failed = exists().where(
        checks.c.evidence == evidence.c.id,
        checks.c.verdict == str(CheckVerdict.FAILED),
        checks.c.expected == RESTORES,
        checks.c.looked_at_data,
    )
    cleared = exists().where(
        later.c.point == evidence.c.point,
        later.c.plan == evidence.c.plan,
        later.c.target.is_(None),
        or_(later.c.result == str(DrillResult.PASSED), later.c.rta_s.is_not(None)),
        later.c.finished_at > evidence.c.finished_at,
    )
    return select(evidence.c.point, evidence.c.run, evidence.c.finished_at).where(
        evidence.c.point.is_not(None),
        evidence.c.target.is_(None),
        evidence.c.result == str(DrillResult.FAILED),
        failed,
        ~cleared,
    )


def of_plan(plan: str) -> Select[Any]:
    """Return the query for the ids of the points of a plan that drills could not restore."""
    return drills(evidence.c.plan == plan).with_only_columns(evidence.c.point)


def last_of(connection: Connection, plan: str, point: str | None) -> Row[Any] | None:
    """Return the last drill that could not restore the point; None if, as far as drills show, it
    can be restored."""
    if point is None:
        return None
    query = drills(evidence.c.plan == plan, evidence.c.point == point)
    return connection.execute(query.order_by(evidence.c.finished_at.desc()).limit(1)).first()
