"""Which host a state belongs to, in the catalogue."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select, update

from drd.catalogue import jobs, keeping
from drd.catalogue.daemon_tables import daemon_state
from drd.catalogue.engine import SqlStore, upsert
from drd.catalogue.reading import state_place
from drd.catalogue.tables import alerts, points, repositories, runs
from drd.model.actor import Actor
from drd.model.custody import Custody, token_of
from drd.model.finding_codes import COPIED_STATE, THIS_STATE
from drd.model.state_place import CUSTODY, STATE_CONTESTED, StatePlace, differs


class SqlCustody(SqlStore):
    """See `drd.ports.custody.Custodian`."""

    def here(self) -> StatePlace | None:
        if self._database.path is None:
            return None
        return state_place(str(self._database.path))

    def check(self, at: datetime) -> Custody | None:
        here = self.here()
        if here is None:
            return None
        with self._database.read() as connection:
            known = _read_custody(connection)
        if known is None:
            known = Custody(here, at)
            self._note(known, at)
        if known.contested is not None:
            return known
        return replace(known, contested=differs(known.owner, here))

    def contest(self, why: str, at: datetime) -> None:
        known = self.check(at)
        if known is not None and known.contested is None:
            self._note(replace(known, contested=why), at)

    def take(self, at: datetime, by: Actor | None, reason: str) -> Custody | None:
        here = self.here()
        if here is None:
            return None
        taken = Custody(here, at, None, by, reason)
        with self._database.write() as connection:
            upsert(connection, daemon_state, {"key": CUSTODY, "at": at, "value": taken.to_json()})
            # This place now settles the runs of the former owner, whose boots it cannot check.
            connection.execute(
                update(runs)
                .where(runs.c.finished_at.is_(None), runs.c.owner_place.is_not(None))
                .values(owner_place=token_of(here), owner_boot=None)
            )
            # The next backup stores this state, so that the other host learns of it.
            connection.execute(update(repositories).values(last_self_backup_at=None))
            _end_problem(connection, at)
        return taken

    def knows_run(self, run: str) -> bool:
        with self._database.read() as connection:
            return any(
                connection.execute(select(table.c.id).where(table.c.id == run)).first() is not None
                for table in (runs, points)
            )

    def _note(self, custody: Custody, at: datetime) -> None:
        with self._database.write() as connection:
            row = {"key": CUSTODY, "at": at, "value": custody.to_json()}
            upsert(connection, daemon_state, row)


def _read_custody(connection: Connection) -> Custody | None:
    query = select(daemon_state.c.value).where(daemon_state.c.key == CUSTODY)
    value = connection.execute(query).scalar()
    return Custody.from_json(value) if value is not None else None


def _end_problem(connection: Connection, at: datetime) -> None:
    """Take what runs and the daemon found of a contested state for over: a person has decided, and
    the next of them may come hours later."""
    contested = (alerts.c.kind == STATE_CONTESTED, alerts.c.resolved_at.is_(None))
    connection.execute(
        update(alerts).where(*contested, alerts.c.gone_at.is_(None)).values(gone_at=at)
    )
    keeping.end_pause(connection, COPIED_STATE)
    jobs.end_finding(connection, THIS_STATE)
