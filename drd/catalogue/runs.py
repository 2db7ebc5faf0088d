"""The rows of runs. `run_store` decides who owns a run."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from drd.catalogue import jobs, summaries
from drd.catalogue.tables import runs
from drd.errors import Fenced, UsageError
from drd.model import run_details
from drd.model.actor import Actor
from drd.model.run import Run, RunKind, RunState, sound_id
from drd.model.run_details import RunDetail
from drd.ports import RunLease

# Made once: a daemon runs these with every run and every second, and making a statement takes
# longer than executing it.
_INSERT = runs.insert()
_OPEN = select(runs).where(runs.c.finished_at.is_(None))
_OPEN_OF = _OPEN.where(runs.c.plan == bindparam("plan"))
_EXISTS = select(runs.c.id).where(runs.c.id == bindparam("run"))
# Ids are hexadecimal: every id with the prefix sorts before the prefix followed by a g.
_BY_PREFIX = (
    select(runs).where(runs.c.id >= bindparam("low"), runs.c.id < bindparam("high")).limit(2)
)

_REOPENED = (RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class OwnerProcess:
    """A process. Pids are used again, but the pair of pid and start is unique."""

    pid: int
    start: int | None
    host: str
    place: str | None = None
    boot: str | None = None


def insert(connection: Connection, run: Run, owner: OwnerProcess) -> None:
    connection.execute(
        _INSERT,
        {
            "id": run.id,
            "plan": run.plan,
            "kind": str(run.kind),
            "trigger": run.trigger,
            "state": str(run.state),
            "due_at": run.due_at,
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "plan_digest": run.plan_digest,
            "token": run.token,
            "owner_pid": owner.pid,
            "owner_start": owner.start,
            "owner_host": owner.host,
            "owner_place": owner.place,
            "owner_boot": owner.boot,
            "detail": run.detail.to_json(),
            "error": run.error,
            "subject": run.subject,
            "actor": run.actor.to_json() if run.actor is not None else None,
            "stamp": run.stamp or secrets.token_hex(16),
        },
    )


def claim(connection: Connection, run: Run, owner: OwnerProcess) -> bool:
    """Make the pending run a running one, and return True; False when it is not pending any more.
    Its trigger stays."""
    row = connection.execute(select(runs).where(runs.c.id == run.id)).one_or_none()
    same = row is not None and (row.plan, row.kind, row.subject) == (
        run.plan,
        str(run.kind),
        run.subject,
    )
    if row is None or not same or row.state != RunState.PENDING:
        return False
    connection.execute(
        update(runs)
        .where(runs.c.id == run.id)
        .values(
            state=str(RunState.RUNNING),
            started_at=run.started_at,
            plan_digest=run.plan_digest,
            token=run.token,
            owner_pid=owner.pid,
            owner_start=owner.start,
            owner_host=owner.host,
            owner_place=owner.place,
            owner_boot=owner.boot,
            detail={**row.detail, **run.detail.to_json()},
        )
    )
    return True


def take_over(connection: Connection, run: Run, owner: OwnerProcess, at: datetime) -> bool:
    """Increment the token, unless somebody did since `run` was read, or the run is over."""
    changed = connection.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.token == run.token, runs.c.finished_at.is_(None))
        .values(
            token=run.token + 1,
            state=str(RunState.RUNNING),
            owner_pid=owner.pid,
            owner_start=owner.start,
            owner_host=owner.host,
            owner_place=owner.place,
            owner_boot=owner.boot,
            taken_over_at=at,
        )
    )
    return changed.rowcount == 1


def leave(connection: Connection, run: Run, at: datetime) -> bool:
    """Let the run wait for a process that adopts it, with a new token, unless somebody took it over
    since `run` was read, or it is over."""
    changed = connection.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.token == run.token, runs.c.finished_at.is_(None))
        .values(
            token=run.token + 1,
            state=str(RunState.WAITING),
            owner_pid=None,
            taken_over_at=at,
        )
    )
    return changed.rowcount == 1


def fence(connection: Connection, owned: RunLease) -> Row[Any]:
    """Return the row of the run. Raises Fenced when another process has taken it over. Nobody else
    writes before the transaction ends."""
    row = connection.execute(
        select(runs).where(runs.c.id == owned.run.id, runs.c.token == owned.token)
    ).one_or_none()
    if row is None:
        raise Fenced(
            f"another process has taken over run {owned.run.id} of {owned.run.plan}, so this "
            "process stopped",
            hint=f"to see the state of this run: drd run show {owned.run.id}",
        )
    return row


def touch(connection: Connection, run: str) -> None:
    """Write the row unchanged, because triggers start only with rows of runs (`changes.WATCHED`):
    the plan's status may depend on something new about the run."""
    connection.execute(update(runs).where(runs.c.id == run).values(error=runs.c.error))


def finish(
    connection: Connection,
    owned: RunLease,
    state: RunState,
    *,
    at: datetime,
    error: str | None,
    detail: RunDetail,
) -> bool:
    """Record the final state, unless the run has one already. Returns whether it was recorded."""
    if not state.final:
        raise ValueError(
            f"run {owned.run.id} cannot end in the state {state}, which is not a final state"
        )
    row = fence(connection, owned)
    if row.finished_at is not None:
        return False
    connection.execute(
        update(runs)
        .where(runs.c.id == owned.run.id, runs.c.token == owned.token)
        .values(
            state=str(state),
            finished_at=at,
            error=error,
            error_code=detail.error_code or None,
            detail={**row.detail, **detail.to_json()},
        )
    )
    if owned.run.kind is RunKind.BACKUP:
        summaries.refresh_backups(connection, owned.run.plan, at)
    jobs.ended(connection, by_prefix(connection, owned.run.id))
    return True


def reopen(connection: Connection, run: Run, at: datetime, *, succeeded: bool) -> Run:
    """Make a run that is over wait for a process that adopts it. Raises UsageError when the run is
    not in one of the right states, or has changed since it was read."""
    states = [*_REOPENED, *([RunState.SUCCEEDED] if succeeded else [])]
    changed = connection.execute(
        update(runs)
        .where(
            runs.c.id == run.id,
            runs.c.token == run.token,
            runs.c.finished_at.is_not(None),
            runs.c.state.in_([str(s) for s in states]),
        )
        .values(
            state=str(RunState.WAITING),
            finished_at=None,
            error=None,
            owner_pid=None,
            owner_start=None,  # no process died
            cancel_asked_at=None,
            taken_over_at=at,
        )
    )
    if changed.rowcount != 1:
        raise UsageError(
            f"run {run.id} of {run.plan} cannot be resumed: its state is {run.state}",
            hint=f"to see how it ended: drd run show {run.id}",
        )
    return by_prefix(connection, run.id)


def by_prefix(connection: Connection, prefix: str) -> Run:
    """Return the run whose id starts with `prefix`. Raises UsageError when no run or several do."""
    wanted = prefix.lower()
    rows = connection.execute(_BY_PREFIX, {"low": wanted, "high": wanted + "g"}).all()
    if not wanted or not rows:
        raise UsageError(f"there is no run {prefix!r}", hint="drd runs lists the runs.")
    if len(rows) > 1:
        raise UsageError(
            f"the ids of several runs begin with {prefix!r}",
            hint="give more characters of the id; `drd runs` lists the runs.",
        )
    return to_run(rows[0])


def exists(connection: Connection, run: str) -> bool:
    return connection.execute(_EXISTS, {"run": run}).first() is not None


def pending(connection: Connection, plan: str | None = None) -> list[Run]:
    """Pending runs. The run that is due first is last."""
    waiting = [to_run(r) for r in _open(connection, plan) if r.state == RunState.PENDING]
    return sorted(waiting, key=lambda r: (r.due_at is not None, r.due_at, r.id), reverse=True)


def open_ones(connection: Connection) -> list[Run]:
    """Pending and running runs."""
    return [to_run(row) for row in _open(connection, None)]


def _open(connection: Connection, plan: str | None) -> list[Row[Any]]:
    if plan is None:
        return list(connection.execute(_OPEN))
    return list(connection.execute(_OPEN_OF, {"plan": plan}))


def unfinished(
    connection: Connection, plan: str | None = None, kinds: Sequence[RunKind] = tuple(RunKind)
) -> list[Row[Any]]:
    """Rows of runs that have begun and are not over, oldest first."""
    # There are few such rows, so their kinds are compared here: a condition in SQL would make
    # SQLite's planner use an index over all runs.
    rows = [
        row
        for row in _open(connection, plan)
        if row.kind in kinds and row.state != RunState.PENDING
    ]
    return sorted(rows, key=lambda row: (row.started_at, row.id))


def to_run(row: Row[Any]) -> Run:
    return Run(
        id=sound_id(row.id),
        plan=row.plan,
        kind=RunKind(row.kind),
        trigger=row.trigger,
        state=RunState(row.state),
        started_at=row.started_at,
        due_at=row.due_at,
        finished_at=row.finished_at,
        plan_digest=row.plan_digest,
        token=row.token,
        owner_pid=row.owner_pid,
        owner_host=row.owner_host,
        owner_boot=row.owner_boot or "",
        detail=run_details.read(row.kind, row.detail),
        error=row.error,
        error_code=row.error_code or "",
        subject=row.subject,
        cancel_asked=row.cancel_asked_at is not None,
        actor=Actor.from_json(row.actor),
        cancel_actor=Actor.from_json(row.cancel_actor),
        cancel_asked_at=row.cancel_asked_at,
        stamp=row.stamp,
        reopened=row.state == RunState.WAITING and row.owner_pid is None is row.owner_start,
    )
