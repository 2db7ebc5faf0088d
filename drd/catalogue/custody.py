"""Which host a state belongs to, in the catalogue."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select, update

from drd import process
from drd.catalogue import jobs, keeping
from drd.catalogue.daemon_tables import daemon_state
from drd.catalogue.engine import SqlStore, upsert
from drd.catalogue.tables import alerts, points, repositories, runs
from drd.model.actor import Actor
from drd.model.custody import STATE_CONTESTED, Custody, StatePlace, differs
from drd.model.finding_codes import COPIED_STATE, THIS_STATE

KEY = "custody"
"""The key of the record. A replica that becomes the state of another host does not have it."""


class SqlCustody(SqlStore):
    """See `drd.ports.custody.Custodian`."""

    def here(self) -> StatePlace | None:
        if self._database.path is None:
            return None
        path = self._database.path.resolve()
        try:
            inode = path.stat().st_ino
        except OSError:
            inode = 0
        return StatePlace(process.machine_id(), socket.gethostname(), str(path), inode)

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
            upsert(connection, daemon_state, {"key": KEY, "at": at, "value": taken.to_json()})
            # This place now settles the runs of the former owner, whose boots it cannot check.
            connection.execute(
                update(runs)
                .where(runs.c.finished_at.is_(None), runs.c.owner_place.is_not(None))
                .values(owner_place=here.token, owner_boot=None)
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
            row = {"key": KEY, "at": at, "value": custody.to_json()}
            upsert(connection, daemon_state, row)


def _read_custody(connection: Connection) -> Custody | None:
    query = select(daemon_state.c.value).where(daemon_state.c.key == KEY)
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
