"""What people decided about runs and their steps, also while no process carries a run out."""

from __future__ import annotations

from sqlalchemy import select

from drd import process
from drd.catalogue import runs
from drd.catalogue.engine import SqlStore
from drd.catalogue.tables import decisions
from drd.model.actor import Actor
from drd.model.run import Decision


class SqlDecisionStore(SqlStore):
    """See `drd.ports.steps.DecisionStore`."""

    def add(self, run: str, decision: Decision) -> None:
        values = {
            "run": run,
            "step": decision.step,
            "action": decision.action,
            "by": decision.by,
            "comment": decision.comment,
            "attempt": decision.attempt,
            "at": decision.at,
            "actor": (decision.actor or process.actor_here()).to_json(),
        }
        with self._database.write() as connection:
            connection.execute(decisions.insert().values(**values))
            if not decision.step:
                runs.touch(connection, run)

    def of_run(self, run: str) -> list[Decision]:
        query = select(decisions).where(decisions.c.run == run).order_by(decisions.c.id)
        with self._database.read() as connection:
            return [
                Decision(
                    r.step, r.action, r.by, r.comment, r.attempt, r.at, Actor.from_json(r.actor)
                )
                for r in connection.execute(query)
            ]
