"""Forgetting a plan: all that is known of it, except alerts that are not resolved yet and
points that somebody holds."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select

from drd.catalogue import points
from drd.catalogue.columns import metadata
from drd.catalogue.tables import alerts, checks, evidence, plans, runs, steps
from drd.catalogue.tables import points as point_table
from drd.errors import AlreadyRunning, UnknownPlan
from drd.ports.catalogue import Records


def records(connection: Connection, plan: str) -> Records:
    """How much is known of it. Raises UnknownPlan."""
    file = connection.execute(select(plans.c.file).where(plans.c.name == plan)).scalar()
    if file is None:
        raise UnknownPlan(f'drd has no records of a plan "{plan}"', hint="drd status names plans.")
    numbers = (
        connection.execute(
            select(func.count()).select_from(table).where(table.c.plan == plan)
        ).scalar_one()
        for table in (point_table, runs, evidence)
    )
    return Records(file, *numbers)


def forget(connection: Connection, plan: str) -> Records:
    """Returns what was let go. Raises UnknownPlan, and AlreadyRunning while a run is not over."""
    forgotten = records(connection, plan)
    open_run = select(runs.c.id).where(runs.c.plan == plan, runs.c.finished_at.is_(None))
    run = connection.execute(open_run).scalar()
    if run is not None:
        raise AlreadyRunning(
            f"run {run} of {plan} is not over yet", run=run, hint=f"drd cancel {run}"
        )
    points.remove_all(connection, plan)
    for part, whole in ((steps.c.run, runs), (checks.c.evidence, evidence)):
        of_plan = select(whole.c.id).where(whole.c.plan == plan)
        connection.execute(delete(part.table).where(part.in_(of_plan)))
        connection.execute(delete(whole).where(whole.c.plan == plan))
    for table in reversed(metadata.sorted_tables):
        if "of_a_plan" in table.info:
            connection.execute(delete(table).where(table.c.plan == plan))
    # Open ones end as others do, with a word to whoever was told that they began.
    over = (alerts.c.plan == plan, alerts.c.resolved_at.is_not(None))
    connection.execute(delete(alerts).where(*over))
    connection.execute(delete(plans).where(plans.c.name == plan))
    return forgotten
