"""What people decided about the steps of a run, as rows: also while no process carries it out."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from drd import process
from drd.catalogue import runs
from drd.catalogue.tables import decisions
from drd.catalogue.tables import runs as run_table
from drd.catalogue.tables import steps as step_table
from drd.errors import UsageError
from drd.model.actor import Actor
from drd.model.run import Decision, Run, RunState, StepState
from drd.ports import RunLease


def add(connection: Connection, run: str, decision: Decision) -> None:
    """Record it, as of whoever runs this process where it names no actor."""
    connection.execute(
        decisions.insert().values(
            run=run,
            step=decision.step,
            action=decision.action,
            by=decision.by,
            comment=decision.comment,
            attempt=decision.attempt,
            at=decision.at,
            actor=(decision.actor or process.actor_here()).to_json(),
        )
    )


def of_run(connection: Connection, run: str) -> list[Decision]:
    query = select(decisions).where(decisions.c.run == run).order_by(decisions.c.id)
    return [
        Decision(r.step, r.action, r.by, r.comment, r.attempt, r.at, Actor.from_json(r.actor))
        for r in connection.execute(query)
    ]


def wait(
    connection: Connection, owned: RunLease, step: str, waiting_for: str, result: dict[str, object]
) -> None:
    """The step waits for somebody; what went wrong with it before stays there to be read."""
    runs.fence(connection, owned)
    connection.execute(
        update(step_table)
        .where(step_table.c.run == owned.run.id, step_table.c.name == step)
        .values(state=str(StepState.WAITING), waiting_for=waiting_for, result=result)
    )


def mark_run(connection: Connection, owned: RunLease, state: RunState) -> None:
    row = runs.fence(connection, owned)
    if row.finished_at is None:
        connection.execute(
            update(run_table).where(run_table.c.id == owned.run.id).values(state=str(state))
        )


def reopen(connection: Connection, run: Run, at: datetime, *, succeeded: bool) -> None:
    """A run that has ended otherwise than well (or well, with `succeeded`) is one that a process
    has left. Raises UsageError when it is no such run (any more)."""
    states = [*_REOPENED, *([RunState.SUCCEEDED] if succeeded else [])]
    changed = connection.execute(
        update(run_table)
        .where(
            run_table.c.id == run.id,
            run_table.c.token == run.token,
            run_table.c.finished_at.is_not(None),
            run_table.c.state.in_([str(s) for s in states]),
        )
        .values(
            state=str(RunState.WAITING),
            finished_at=None,
            error=None,
            owner_pid=None,
            cancel_asked_at=None,
            taken_over_at=at,
        )
    )
    if changed.rowcount != 1:
        raise UsageError(
            f"run {run.id} of {run.plan} cannot go on: it {run.state}",
            hint=f"drd run show {run.id}",
        )


_REOPENED = (RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED)
