"""Pending runs, histories and accepted texts of plans, in the catalogue."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, or_, select, update

from drd import process
from drd.catalogue import jobs as histories
from drd.catalogue import points as point_rows
from drd.catalogue import runs, undone
from drd.catalogue.daemon_tables import copies, daemon_state, jobs, sources
from drd.catalogue.engine import Database, SqlStore, batches, upsert
from drd.catalogue.records import SqlRecords, plan_of_row
from drd.catalogue.runs import OwnerProcess
from drd.catalogue.summary_tables import component_summary, plan_summary, scenario_summary
from drd.catalogue.tables import decisions, evidence, plans, points, steps
from drd.catalogue.tables import runs as run_table
from drd.errors import UsageError
from drd.model import record_drafts
from drd.model.actor import Actor
from drd.model.drd_facts import RECORDS_CHECK, STORED_ENTRIES
from drd.model.job_history import JobHistory
from drd.model.run import Run, RunState
from drd.model.units import format_time
from drd.ports.queue import PlanRow

_NOBODY = OwnerProcess(0, None, "")
_IN_STATUS = (RECORDS_CHECK, STORED_ENTRIES)
"""Facts that `drd status` shows, although no trigger counts their changes (module `changes`)."""

# Made once, as in `runs`.
_SINCE = select(jobs).where(jobs.c.changed > bindparam("since"))
_SINCE_OF = _SINCE.where(jobs.c.plan == bindparam("plan"))
_ForNames = tuple[Select[Any], Select[Any]]


def _of_names(query: Select[Any], plan: Any) -> _ForNames:
    """Return the query for all plans, and for some. They are made once, since the daemon asks every
    second."""
    return query, query.where(plan.in_(bindparam("names", expanding=True)))


def _rows_of(
    connection: Connection, query: _ForNames, names: Sequence[str] | None
) -> Iterable[Any]:
    if names is None:
        return connection.execute(query[0])
    return connection.execute(query[1], {"names": list(names)})


_SOURCE = select(sources.c.text).where(sources.c.plan == bindparam("plan"))
_POINT = select(points.c.id).where(points.c.id == bindparam("run"))

_PLAN_ROWS = _of_names(
    select(plans, points.c.data_time, evidence.c.finished_at)
    .outerjoin(plan_summary, plan_summary.c.plan == plans.c.name)
    .outerjoin(points, points.c.id == plan_summary.c.newest_point)
    .outerjoin(evidence, evidence.c.id == plan_summary.c.last_drill)
    .order_by(plans.c.name),
    plans.c.name,
)
_COPIED = _of_names(select(copies.c.plan, copies.c.repository, copies.c.data_time), copies.c.plan)
_UNDRILLED = _of_names(
    select(scenario_summary.c.plan, scenario_summary.c.scenario)
    .where(
        scenario_summary.c.repository == "",
        scenario_summary.c.position.is_not(None),
        scenario_summary.c.last.is_(None),
    )
    .order_by(scenario_summary.c.plan, scenario_summary.c.position),
    scenario_summary.c.plan,
)

PIECE = 1000
"""The most runs that one transaction deletes, so that no other process waits long for it."""


class SqlQueue(SqlStore):
    """See `drd.ports.queue.Queue`."""

    def __init__(self, database: Database, records: SqlRecords) -> None:
        super().__init__(database)
        self._records = records

    def jobs(self, since: int = -1, plan: str | None = None) -> list[JobHistory]:
        query = _SINCE if plan is None else _SINCE_OF
        with self._database.read() as connection:
            rows = connection.execute(query, {"since": since, "plan": plan}).mappings()
            return [JobHistory(**row) for row in rows]

    def plan_rows(self, names: Sequence[str] | None = None) -> list[PlanRow]:
        with self._database.read() as connection:
            copied = _copied(connection, names)
            undrilled = _undrilled(connection, names)
            back = undone.of_plans(connection, names)
            return [
                PlanRow(
                    name=row.name,
                    digest=row.digest,
                    file=row.file,
                    file_mtime_ns=row.file_mtime_ns,
                    file_size=row.file_size,
                    file_digest=row.file_digest,
                    first_loaded_at=row.first_loaded_at,
                    data_time=row.data_time,
                    schedule=_own_schedule(row.name, row.schedule),
                    broken=row.load_error is not None,
                    copied=copied.get(row.name, {}),
                    undrilled=tuple(undrilled.get(row.name, ())),
                    drilled_at=row.finished_at,
                    undone=(stored_row.at, stored_row.point.data_time)
                    if (stored_row := back.get(row.name)) is not None and not stored_row.unfinished
                    else None,
                )
                for row in _rows_of(connection, _PLAN_ROWS, names)
            ]

    def accept(self, plan: str, text: str, schedule: Mapping[str, Any]) -> None:
        with self._database.write() as connection:
            upsert(connection, sources, {"plan": plan, "text": text})
            connection.execute(
                update(plans).where(plans.c.name == plan).values(schedule=dict(schedule))
            )

    def accepted(self, plan: str) -> str | None:
        with self._database.read() as connection:
            text: str | None = connection.execute(_SOURCE, {"plan": plan}).scalar()
            return text

    def accepted_texts(self, plans: Sequence[str] | None = None) -> dict[str, str]:
        query = select(sources.c.plan, sources.c.text)
        if plans is not None:
            query = query.where(sources.c.plan.in_(plans))
        with self._database.read() as connection:
            return {row.plan: row.text for row in connection.execute(query)}

    def enqueue(self, run: Run) -> Run:
        with self._database.write() as connection:
            for other in runs.pending(connection, run.plan):
                if (other.kind, other.subject) == (run.kind, run.subject):
                    return other
            run = replace(
                run,
                id=_new_id(connection),
                state=RunState.PENDING,
                actor=run.actor or process.actor_here(),
            )
            runs.insert(connection, run, _NOBODY)
        return run

    def open_runs(self) -> list[Run]:
        with self._database.read() as connection:
            return runs.open_ones(connection)

    def drop(self, run: str, state: str, error: str, at: datetime) -> bool:
        with self._database.write() as connection:
            changed = connection.execute(
                update(run_table)
                .where(run_table.c.id == run, run_table.c.state == str(RunState.PENDING))
                .values(state=state, error=error, finished_at=at)
            )
            if changed.rowcount != 1:
                return False
            histories.ended(connection, runs.by_prefix(connection, run))
        return True

    def ask_cancel(self, run: str, at: datetime, actor: Actor | None = None) -> Run:
        actor = actor or process.actor_here()
        with self._database.write() as connection:
            asked_run = runs.by_prefix(connection, run)
            if asked_run.state.final:
                raise UsageError(
                    f"run {asked_run.id} of {asked_run.plan} has ended already: it "
                    f"{_ended(asked_run.state)}{_by_whom(asked_run)}",
                    hint="`drd runs` lists the runs and their states.",
                )
            connection.execute(
                update(run_table)
                .where(run_table.c.id == asked_run.id)
                .values(
                    cancel_asked_at=at,
                    cancel_actor=actor.to_json(),
                )
            )
            known = replace(asked_run, plan=plan_of_row(asked_run.plan))
            self._records.add(connection, record_drafts.of_cancel(known, at, actor))
        return asked_run

    def note(self, key: str, value: Any, at: datetime, *, plan: str = "") -> None:
        with self._database.write() as connection:
            upsert(connection, daemon_state, {"key": key, "at": at, "value": value})
            if key in _IN_STATUS:
                histories.count_change(connection, "")
            if plan:
                _status_changed(connection, plan)

    def forget_notes(self, plan: str, beginning: str, but: Collection[str]) -> None:
        key = daemon_state.c.key
        old = key.startswith(beginning, autoescape=True), key.not_in(but)
        with self._database.read() as connection:
            if connection.execute(select(key).where(*old).limit(1)).first() is None:
                return
        with self._database.write() as connection:
            connection.execute(delete(daemon_state).where(*old))
            _status_changed(connection, plan)

    def noted(self, key: str) -> tuple[datetime, Any] | None:
        with self._database.read() as connection:
            query = select(daemon_state).where(daemon_state.c.key == key)
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.at, row.value)

    def notes(self, beginning: str) -> dict[str, Any]:
        key = daemon_state.c.key
        with self._database.read() as connection:
            query = select(daemon_state).where(key.startswith(beginning, autoescape=True))
            return {row.key: row.value for row in connection.execute(query.order_by(key))}

    def remove_old(self, before: datetime, limit: int = PIECE) -> int:
        kept = select(points.c.id).where(
            points.c.id == run_table.c.id,
            or_(points.c.forgotten_at.is_(None), points.c.forgotten_at >= before),
        )
        old = (
            select(run_table.c.id)
            .where(
                run_table.c.started_at < before,  # there is an index for it
                run_table.c.finished_at < before,
                run_table.c.id.not_in(select(evidence.c.run)),
                ~kept.exists(),
                run_table.c.id.not_in(select(jobs.c.last_run).where(jobs.c.last_run.is_not(None))),
            )
            .order_by(run_table.c.started_at)
            .limit(limit)
        )
        with self._database.write() as connection:
            ids = list(connection.execute(old).scalars())
            for some in batches(ids):
                point_rows.remove(connection, some)
                connection.execute(delete(steps).where(steps.c.run.in_(some)))
                connection.execute(delete(decisions).where(decisions.c.run.in_(some)))
                connection.execute(delete(run_table).where(run_table.c.id.in_(some)))
        return len(ids)


def _copied(
    connection: Connection, names: Sequence[str] | None
) -> dict[str, dict[str, datetime | None]]:
    copied: dict[str, dict[str, datetime | None]] = {}
    for plan, repository, data_time in _rows_of(connection, _COPIED, names):
        copied.setdefault(plan, {})[repository] = data_time
    return copied


def _undrilled(connection: Connection, names: Sequence[str] | None) -> dict[str, list[str]]:
    undrilled: dict[str, list[str]] = {}
    for plan, scenario in _rows_of(connection, _UNDRILLED, names):
        undrilled.setdefault(plan, []).append(scenario)
    return undrilled


def _ended(state: RunState) -> str:
    return {
        RunState.SUCCEEDED: "succeeded",
        RunState.FAILED: "failed",
        RunState.CANCELLED: "was cancelled",
    }.get(state, f"ended {state}")


def _status_changed(connection: Connection, plan: str) -> None:
    """Count that the status of the plan has changed: a trigger on this table does it."""
    same = component_summary.c.position
    connection.execute(
        update(component_summary).where(component_summary.c.plan == plan).values(position=same)
    )


def _by_whom(run: Run) -> str:
    if run.cancel_actor is None or run.cancel_asked_at is None:
        return ""
    return (
        f" (drd cancel at {format_time(run.cancel_asked_at, seconds=True)} by "
        f"{run.cancel_actor.words()})"
    )


def _new_id(connection: Any) -> str:
    while True:
        run = secrets.token_hex(4)
        taken = connection.execute(_POINT, {"run": run}).first() is not None
        if not taken and not runs.exists(connection, run):
            return run


def _own_schedule(plan: str, known: Any) -> Any:
    """Return the schedule; None if it names another plan: then it has to be compiled from the
    plan's file."""
    return known if isinstance(known, dict) and known.get("plan") == plan else None
