"""Holds, points that were given up, and how the last retention went, in the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from drd import process
from drd.catalogue import copy_names, holds
from drd.catalogue.daemon_tables import retention_state
from drd.catalogue.engine import Database, SqlStore, upsert
from drd.catalogue.health_rows import count_vanished
from drd.catalogue.records import SqlRecords, plan_of_row
from drd.catalogue.tables import points, runs
from drd.errors import AlreadyRunning, NoRestorePoint, UsageError
from drd.model import record_drafts
from drd.model.actor import Actor
from drd.model.holds import GivenUp, Hold, held_points
from drd.model.pauses import Pause
from drd.model.retention_state import RetentionState
from drd.model.run import RunKind, RunState


class SqlKeeping(SqlStore):
    """See `drd.ports.keeping.Keeping`."""

    def __init__(self, database: Database, records: SqlRecords) -> None:
        super().__init__(database)
        self._records = records

    def hold(self, hold: Hold) -> Hold:
        with self._database.write() as connection:
            _require_staying(connection, hold)
            holds.store_soon(connection, hold.plan)
            made = holds.add(connection, hold)
            actor = hold.by or process.actor_here()
            self._records.add(connection, record_drafts.of_hold(_known(made), actor))
            return made

    def bring_back(self, found: Sequence[Hold]) -> list[Hold]:
        with self._database.write() as connection:
            return holds.bring_back(connection, found)

    def release(self, point: str, *, at: datetime, by: Actor | None, reason: str) -> list[Hold]:
        with self._database.write() as connection:
            released = holds.release(connection, point, at=at, by=by, reason=reason)
            actor = by or process.actor_here()
            for hold in released:
                self._records.add(
                    connection,
                    record_drafts.of_release(_known(hold), at=at, reason=reason, actor=actor),
                )
            return released

    def holds(self, plan: str | None = None) -> list[Hold]:
        with self._database.read() as connection:
            return holds.listed(connection, plan)

    def give_up(self, points: Sequence[GivenUp]) -> None:
        with self._database.write() as connection:
            holds.give_up(connection, points)
            for plan in {given.plan for given in points}:
                count_vanished(connection, plan)
            for draft in record_drafts.of_forgotten_points(points, process.actor_here()):
                self._records.add(connection, draft)

    def given_up(self, plan: str) -> list[GivenUp]:
        with self._database.read() as connection:
            return holds.all_given_up(connection, plan)

    def vanished(self, plan: str) -> list[str]:
        query = (
            select(points.c.id)
            .where(points.c.plan == plan, points.c.vanished_at.is_not(None))
            .order_by(points.c.data_time.desc())
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def state(self, plan: str) -> RetentionState | None:
        with self._database.read() as connection:
            return known(connection, plan)

    def record_state(self, state: RetentionState) -> None:
        with self._database.write() as connection:
            record(connection, state)

    def record_leaving(self, state: RetentionState) -> dict[str, str]:
        with self._database.write() as connection:
            held = held_points(holds.listed(connection, state.plan), state.at)
            record(
                connection, replace(state, leaving=tuple(p for p in state.leaving if p not in held))
            )
        return held

    def last_success(self, plan: str) -> datetime | None:
        with self._database.read() as connection:
            return last_success(connection, plan)

    def completed_since(self, plan: str, since: datetime | None) -> int:
        with self._database.read() as connection:
            return completed_since(connection, plan, since)

    def plan_of(self, prefix: str) -> tuple[str, str]:
        with self._database.read() as connection:
            return plan_of(connection, prefix)


def _known(hold: Hold) -> Hold:
    """Return the hold as this process may sign it."""
    return replace(hold, plan=plan_of_row(hold.plan))


def plan_of(connection: Connection, prefix: str) -> tuple[str, str]:
    """Return the plan and the whole id of the point whose id starts with `prefix`; the point may be
    forgotten."""
    starting = points.c.id.startswith(prefix, autoescape=True)
    candidates = connection.execute(
        select(points.c.plan, points.c.id).where(starting).limit(2)
    ).all()
    rows = [(row.plan, row.id) for row in candidates]
    rows = [row for row in rows if row[1] == prefix] or rows
    rows = rows or [(r.plan, r.id) for r in copy_names.points_named(connection, prefix)]
    hint = "drd points PLAN lists the restore points of a plan."
    if not prefix or not rows:
        raise NoRestorePoint(f"there is no restore point {prefix!r}", hint=hint)
    if len(rows) > 1:
        raise UsageError(
            f"the ids of several restore points begin with {prefix!r}",
            hint=f"give more characters of the id: {hint}",
        )
    return rows[0]


def _require_staying(connection: Connection, hold: Hold) -> None:
    """Raise AlreadyRunning for a point that a run is forgetting now."""
    state = known(connection, hold.plan)
    if state is None or hold.point not in state.leaving:
        return
    query = select(runs.c.id).where(
        runs.c.plan == hold.plan,
        runs.c.kind == str(RunKind.RETENTION),
        runs.c.finished_at.is_(None),
    )
    run = connection.execute(query.limit(1)).scalar()
    if run is not None:
        raise AlreadyRunning(
            f"restore point {hold.point} cannot be held: run {run} is forgetting it now",
            run=run,
            hint=f"wait until that run has ended. If drd points {hold.plan} still lists the point "
            "then, try again.",
        )


def known(connection: Connection, plan: str) -> RetentionState | None:
    query = select(retention_state).where(retention_state.c.plan == plan)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return RetentionState(
        row.plan,
        row.at,
        row.run,
        row.paused_since,
        tuple(Pause.from_json(p) for p in row.pauses),
        row.succeeded_at,
        tuple(row.waiting),
        {name: {p: tuple(ids) for p, ids in of.items()} for name, of in row.missing.items()},
        tuple(row.leaving),
    )


def record(connection: Connection, state: RetentionState) -> None:
    upsert(
        connection,
        retention_state,
        {
            "plan": state.plan,
            "at": state.at,
            "run": state.run,
            "paused_since": state.paused_since,
            "pauses": [pause.to_json() for pause in state.pauses],
            "succeeded_at": state.succeeded_at,
            "waiting": list(state.waiting),
            "missing": {
                name: {point: list(ids) for point, ids in of.items()}
                for name, of in state.missing.items()
            },
            "leaving": list(state.leaving),
        },
    )


def end_pause(connection: Connection, code: str) -> None:
    """Remove a reason why retention waits, of all plans."""
    paused = select(retention_state).where(retention_state.c.paused_since.is_not(None))
    for row in connection.execute(paused).all():
        left = [pause for pause in row.pauses if pause["code"] != code]
        values = {"pauses": left, "paused_since": row.paused_since if left else None}
        if left != row.pauses:
            mine = retention_state.c.plan == row.plan
            connection.execute(update(retention_state).where(mine).values(**values))


def last_success(connection: Connection, plan: str) -> datetime | None:
    """Return when the last successful retention began, by the runs, because an older drd recorded
    nothing else."""
    query = select(func.max(runs.c.started_at)).where(
        runs.c.plan == plan,
        runs.c.kind == str(RunKind.RETENTION),
        runs.c.subject == "",
        runs.c.state == str(RunState.SUCCEEDED),
    )
    return connection.execute(query).scalar()


def completed_since(connection: Connection, plan: str, since: datetime | None) -> int:
    """Return how many complete points the backups of this catalogue made after `since`. Points that
    are only in a repository do not count: anybody who can write there could raise the number."""
    query = (
        select(func.count())
        .select_from(points.join(runs, runs.c.id == points.c.id))
        .where(
            points.c.plan == plan,
            points.c.complete,
            runs.c.kind == str(RunKind.BACKUP),
            runs.c.state == str(RunState.SUCCEEDED),
        )
    )
    if since is not None:
        query = query.where(points.c.available_at > since)
    return connection.execute(query).scalar_one()
