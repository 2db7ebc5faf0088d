"""Which points are in a repository that their plan has now.

A repository is recognised by its id, not by its name or URL. If a plan gets another repository, the
points of the former repository are not in it; if the same repository gets another name or address,
the plan loses no point. A row of `point_repositories` without an id is of an older drd, or of a
repository whose id is not known yet: then the name decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    false,
    or_,
    select,
    update,
)

from drd.catalogue.engine import batches, insert_all
from drd.catalogue.tables import plan_repositories, point_repositories, points, repositories
from drd.model.plan import Plan


@dataclass(frozen=True, slots=True)
class PlanRepositories:
    """The repositories of a plan as it was loaded last: the id by the name, None when drd has not
    seen the repository yet. Empty when the plan was never loaded."""

    ids: Mapping[str, str | None]

    def name_of(self, row: Row[Any]) -> str | None:
        """The name that the plan has for the repository of a row of `point_repositories`; None when
        the plan does not have that repository now."""
        name, known = row.repository, row.repository_id
        if not self.ids or known is None:
            return name if not self.ids or name in self.ids else None
        if self.ids.get(name) == known:
            return str(name)
        return next((n for n, known_id in self.ids.items() if known_id == known), None)

    def id_of(self, name: str) -> str | None:
        return self.ids.get(name)


_OF_PLAN = (
    select(plan_repositories.c.name, repositories.c.repository_id)
    .outerjoin(repositories, repositories.c.url == plan_repositories.c.url)
    .where(plan_repositories.c.plan == bindparam("wanted"))
    .order_by(plan_repositories.c.position)
)
"""Built once, because it is needed several times for each new point."""


def of_plan(connection: Connection, plan: str) -> PlanRepositories:
    stored_rows = connection.execute(_OF_PLAN, {"wanted": plan})
    return PlanRepositories({row.name: row.repository_id for row in stored_rows})


def of_repository(connection: Connection, plan: str, name: str) -> ColumnElement[bool]:
    """Return the condition on rows of `point_repositories` that they are of the repository which
    has this name in the plan now."""
    return _lies_in(of_plan(connection, plan), name)


def _lies_in(places: PlanRepositories, name: str) -> ColumnElement[bool]:
    row, known = point_repositories.c, places.ids.get(name)
    if not places.ids:
        return row.repository == name
    if name not in places.ids:
        return false()
    by_name = and_(row.repository == name, row.repository_id.is_(None))
    return by_name if known is None else or_(by_name, row.repository_id == known)


def load(connection: Connection, plan: Plan, *, fresh: bool = False) -> bool:
    """Record the plan's repositories. Returns whether that may change which points are there; a
    `fresh` plan has no points."""
    before = of_plan(connection, plan.name) if not fresh else PlanRepositories({})
    rows = plan_repositories
    connection.execute(delete(rows).where(rows.c.plan == plan.name))
    insert_all(
        connection,
        rows,
        [
            {"plan": plan.name, "name": spec.name, "url": spec.url, "position": position}
            for position, spec in enumerate(plan.repositories.values())
        ],
    )
    if fresh:
        return False
    filled = _fill(connection, plan.name)
    changed = filled or before.ids != of_plan(connection, plan.name).ids
    if changed:
        refresh(connection, [plan.name])
    return changed


def recognised(connection: Connection, url: str) -> list[str]:
    """Update the points of the plans that have a repository at this URL, after its id became known
    or changed. Returns the plans."""
    query = select(plan_repositories.c.plan).where(plan_repositories.c.url == url)
    plans = sorted(set(connection.execute(query).scalars()))
    for plan in plans:
        _fill(connection, plan)
    refresh(connection, plans)
    return plans


def _fill(connection: Connection, plan: str) -> bool:
    """Give the rows without an id the id of the repository that their name means."""
    rows = point_repositories
    filled = False
    for name, known in of_plan(connection, plan).ids.items():
        if known is not None:
            done = connection.execute(
                update(rows)
                .where(
                    rows.c.repository == name,
                    rows.c.repository_id.is_(None),
                    rows.c.point.in_(select(points.c.id).where(points.c.plan == plan)),
                )
                .values(repository_id=known)
            )
            filled = filled or done.rowcount > 0
    return filled


def refresh(connection: Connection, plans: Iterable[str], ids: Iterable[str] | None = None) -> None:
    """Compute `points.here` of these plans, or of these points of the plans. A point whose
    repositories are unknown counts as here."""
    chosen = None if ids is None else list(ids)
    for plan in plans:
        places, rows = of_plan(connection, plan), point_repositories
        somewhere = select(rows.c.point).where(rows.c.point == points.c.id)
        lies = or_(false(), *(_lies_in(places, name) for name in places.ids))
        current = somewhere.where(lies) if places.ids else somewhere
        here = or_(current.exists(), ~somewhere.exists())
        for some in [None] if chosen is None else batches(chosen):
            which = [points.c.plan == plan, *([points.c.id.in_(some)] if some is not None else [])]
            connection.execute(update(points).where(*which, here).values(here=True))
            connection.execute(update(points).where(*which, ~here).values(here=False))
