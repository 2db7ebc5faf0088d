"""The decisions of people about runs and their steps, also while no process executes the run."""

from __future__ import annotations

from sqlalchemy import select

from drd import process
from drd.catalogue import jobs, runs
from drd.catalogue.engine import Database, SqlStore
from drd.catalogue.records import SqlRecords, plan_of_row
from drd.catalogue.tables import decisions
from drd.catalogue.tables import runs as run_table
from drd.model import record_drafts
from drd.model.actor import Actor
from drd.model.run import Decision


class SqlDecisionStore(SqlStore):
    """See `drd.ports.steps.DecisionStore`."""

    def __init__(self, database: Database, records: SqlRecords) -> None:
        super().__init__(database)
        self._records = records

    def add(self, run: str, decision: Decision, *, plan: str = "") -> None:
        actor = decision.actor or process.actor_here()
        values = {
            "run": run,
            "step": decision.step,
            "action": decision.action,
            "by": decision.by,
            "comment": decision.comment,
            "attempt": decision.attempt,
            "at": decision.at,
            "actor": actor.to_json(),
        }
        with self._database.write() as connection:
            connection.execute(decisions.insert().values(**values))
            if not decision.step:
                runs.touch(connection, run)
                if decision.action in ("done", "undo"):
                    jobs.given_up(connection, run)
            query = select(run_table.c.plan).where(run_table.c.id == run)
            of = plan or plan_of_row(connection.execute(query).scalar() or "")
            self._records.add(connection, record_drafts.of_decision(of, run, decision, actor))

    def of_run(self, run: str) -> list[Decision]:
        query = select(decisions).where(decisions.c.run == run).order_by(decisions.c.id)
        with self._database.read() as connection:
            return [
                Decision(
                    r.step, r.action, r.by, r.comment, r.attempt, r.at, Actor.from_json(r.actor)
                )
                for r in connection.execute(query)
            ]
