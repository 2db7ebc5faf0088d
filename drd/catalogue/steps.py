"""Steps of runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Text, func, select, type_coerce, update

from drd.catalogue import health_rows, jobs, runs
from drd.catalogue.engine import SqlStore
from drd.catalogue.tables import runs as run_rows
from drd.catalogue.tables import steps
from drd.model import step_results
from drd.model.run import SET_ASIDE, RunKind, StepState
from drd.model.step_record import StepRecord, completed
from drd.model.step_results import StepResult
from drd.ports import RunLease


class SqlStepStore(SqlStore):
    """See `drd.ports.steps.StepStore`."""

    def begin(
        self, owned: RunLease, name: str, kind: str, at: datetime, *, subject: str = ""
    ) -> StepRecord:
        this = (steps.c.run == owned.run.id, steps.c.name == name)
        with self._database.write() as connection:
            runs.fence(connection, owned)
            row = connection.execute(select(steps).where(*this)).one_or_none()
            if row is not None and row.state == StepState.SUCCEEDED:
                return _to_step(row)
            if row is None:
                _insert(connection, owned.run.id, name, kind, at, StepState.RUNNING, subject)
            else:
                connection.execute(
                    update(steps)
                    .where(*this)
                    .values(
                        state=str(StepState.RUNNING),
                        attempt=row.attempt + 1,
                        started_at=at,
                        finished_at=None,
                        result={},
                        error=None,
                        remedy=None,
                        waiting_for=None,
                    )
                )
            return _to_step(connection.execute(select(steps).where(*this)).one())

    def finish(
        self,
        owned: RunLease,
        name: str,
        state: StepState,
        *,
        at: datetime,
        result: StepResult | None = None,
        error: str | None = None,
        remedy: str = "",
    ) -> None:
        values = {
            "state": str(state),
            "finished_at": at,
            "result": result.to_json() if result is not None else {},
            "error": error,
            "remedy": remedy or None,
            "waiting_for": None,
        }
        this = (steps.c.run == owned.run.id, steps.c.name == name)
        with self._database.write() as connection:
            runs.fence(connection, owned)
            changed = connection.execute(update(steps).where(*this).values(**values))
            if changed.rowcount != 1:
                raise ValueError(f"step {name!r} of run {owned.run.id} never began")
            if name == SET_ASIDE:  # also after the end of the run
                runs.touch(connection, owned.run.id)

    def wait(self, owned: RunLease, name: str, waiting_for: str, result: StepResult) -> None:
        """The error of the last attempt stays readable."""
        values = {
            "state": str(StepState.WAITING),
            "waiting_for": waiting_for,
            "result": result.to_json(),
        }
        this = (steps.c.run == owned.run.id, steps.c.name == name)
        with self._database.write() as connection:
            runs.fence(connection, owned)
            connection.execute(update(steps).where(*this).values(**values))

    def note(self, run: str, name: str, kind: str, *, at: datetime, result: StepResult) -> None:
        this = (steps.c.run == run, steps.c.name == name)
        values = {"result": result.to_json(), "finished_at": at}
        with self._database.write() as connection:
            if connection.execute(select(steps.c.name).where(*this)).one_or_none() is None:
                _insert(connection, run, name, kind, at, StepState.SUCCEEDED)
            connection.execute(update(steps).where(*this).values(**values))
            runs.touch(connection, run)
            if name == SET_ASIDE:
                _exchanged(connection, run, at)

    def of_run(self, run: str) -> list[StepRecord]:
        query = select(steps).where(steps.c.run == run).order_by(steps.c.position)
        with self._database.read() as connection:
            return [_to_step(row) for row in connection.execute(query)]

    def runs_with(self, key: str, kind: RunKind) -> list[str]:
        query = (
            select(steps.c.run)
            .distinct()
            .join(run_rows, run_rows.c.id == steps.c.run)
            .where(run_rows.c.kind == str(kind))
            .where(type_coerce(steps.c.result, Text).contains(f'"{key}"', autoescape=True))
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())


def _exchanged(connection: Connection, run: str, at: datetime) -> None:
    """Account for an undo or redo of the run: other points count from now on, so the next backup is
    due at another time, and an outage may begin or end."""
    plan = connection.execute(select(run_rows.c.plan).where(run_rows.c.id == run)).scalar()
    if plan is not None:
        jobs.recompute_schedule(connection, plan)
        health_rows.refresh(connection, plan, at)


def _insert(  # noqa: PLR0917 - the columns
    connection: Connection,
    run: str,
    name: str,
    kind: str,
    at: datetime,
    state: StepState,
    subject: str = "",
) -> None:
    before = select(func.count()).select_from(steps).where(steps.c.run == run)
    connection.execute(
        steps.insert().values(
            run=run,
            name=name,
            position=connection.execute(before).scalar_one(),
            kind=kind,
            state=str(state),
            attempt=1,
            started_at=at,
            result={},
            subject=subject,
        )
    )


def _to_step(row: Row[Any]) -> StepRecord:
    return completed(
        StepRecord(
            run=row.run,
            name=row.name,
            kind=row.kind,
            state=StepState(row.state),
            attempt=row.attempt,
            started_at=row.started_at,
            finished_at=row.finished_at,
            result=step_results.read(row.kind, row.result),
            error=row.error,
            waiting_for=row.waiting_for,
            subject=row.subject,
            remedy=row.remedy or "",
        )
    )
