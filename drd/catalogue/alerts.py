"""The alerts, in the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from drd import process
from drd.catalogue import incident_rows, outbox, watched
from drd.catalogue.engine import Database, SqlStore, batches, insert_all
from drd.catalogue.records import SqlRecords, plan_of_row
from drd.catalogue.tables import alerts
from drd.errors import UsageError
from drd.model import record_drafts
from drd.model.actor import Actor
from drd.model.alerts import Alert, AlertChange, Transition, acknowledged
from drd.ports.alerts import Tell, Watched, no_notifications

_RENAMED = {"text": "message", "remedy": "command"}
_COLUMNS = {f.name: _RENAMED.get(f.name, f.name) for f in fields(Alert)}
"""The column of each field."""
_ACTOR = "acknowledged_actor"
_KEPT = ("kind", "subject", "severity", "text", "remedy", "code", "seen_at", "told_at", "gone_at")
"""The fields that change without a message. An acknowledgement does not write any of them."""

_RECORDED = (
    AlertChange.FIRED,
    AlertChange.ESCALATED,
    AlertChange.CHANGED,
    AlertChange.RESOLVED,
)

_is_open = alerts.c.resolved_at.is_(None)
_OPEN = select(alerts).where(_is_open)
_OPEN_OF = _OPEN.where(alerts.c.plan == bindparam("plan"))


class SqlAlertBook(SqlStore):
    """See `drd.ports.alerts.AlertBook`."""

    def __init__(self, database: Database, records: SqlRecords) -> None:
        super().__init__(database)
        self._records = records

    def open(self, plan: str | None = None) -> list[Alert]:
        with self._database.read() as connection:
            return _open(connection, plan)

    def apply(
        self, transitions: Sequence[Transition], at: datetime, tell: Tell = no_notifications
    ) -> list[Transition]:
        if not transitions:
            return []
        with self._database.write() as connection:
            done = _insert(connection, transitions)
            done += _keep(connection, [t for t in transitions if t.change is AlertChange.KEPT])
            for transition in transitions:
                if transition.change not in (AlertChange.FIRED, AlertChange.KEPT) and _change(
                    connection, transition
                ):
                    done.append(transition)
            done.sort(key=lambda t: t.after.key)
            outbox.insert(connection, tell(done), at)
            self._record(connection, done, at)
        return done

    def _record(self, connection: Connection, done: Sequence[Transition], at: datetime) -> None:
        """Record what happened to alerts of plans in the scope of an open incident."""
        for transition in done:
            alert = transition.after
            if transition.change in _RECORDED and incident_rows.in_scope(connection, alert.plan):
                resolved = transition.change is AlertChange.RESOLVED
                plan = plan_of_row(alert.plan)
                draft = record_drafts.of_alert(alert, plan, resolved=resolved, at=at, actor=None)
                self._records.add(connection, draft)

    def acknowledge(
        self,
        prefix: str,
        *,
        by: str,
        until: datetime | None,
        why: str | None,
        at: datetime,
        tell: Tell = no_notifications,
        actor: Actor | None = None,
    ) -> Alert:
        actor = actor or process.actor_here()
        with self._database.write() as connection:
            alert = _by_prefix(connection, prefix)
            transition = acknowledged(alert, by=by, until=until, why=why, now=at, actor=actor)
            _change(connection, transition)
            outbox.insert(connection, tell([transition]), at)
            self._records.add(
                connection,
                record_drafts.of_acknowledgement(
                    alert.id,
                    plan_of_row(alert.plan),
                    by=by,
                    why=why,
                    until=until,
                    at=at,
                    actor=actor,
                ),
            )
        return transition.after

    def history(self, plan: str | None = None, *, limit: int = 50) -> list[Alert]:
        query = select(alerts).where(alerts.c.resolved_at.is_not(None))
        if plan is not None:
            query = query.where(alerts.c.plan == plan)
        query = query.order_by(alerts.c.resolved_at.desc(), alerts.c.id).limit(limit)
        with self._database.read() as connection:
            still = _open(connection, plan)
            return still + [_alert(row) for row in connection.execute(query)]

    def remove_old(self, before: datetime) -> None:
        with self._database.write() as connection:
            connection.execute(delete(alerts).where(alerts.c.resolved_at < before))

    def watched(self, plan: str | None = None) -> Watched:
        with self._database.read() as connection:
            return watched.read(connection, plan)


def _open(connection: Connection, plan: str | None = None) -> list[Alert]:
    rows = (
        connection.execute(_OPEN) if plan is None else connection.execute(_OPEN_OF, {"plan": plan})
    )
    return sorted((_alert(row) for row in rows), key=lambda a: (*a.key, a.id))


def _alert(row: Row[Any]) -> Alert:
    values = {name: getattr(row, column) for name, column in _COLUMNS.items()}
    return Alert(**{**values, _ACTOR: Actor.from_json(values[_ACTOR])})


def _values(alert: Alert) -> dict[str, Any]:
    values = {column: getattr(alert, name) for name, column in _COLUMNS.items()}
    if (actor := values.get(_ACTOR)) is not None:
        values[_ACTOR] = actor.to_json()
    return values


def _insert(connection: Connection, transitions: Sequence[Transition]) -> list[Transition]:
    """Insert the alerts that fire, unless one is open already, or an old one has the same id."""
    fired = [t for t in transitions if t.change is AlertChange.FIRED]
    if not fired:
        return []
    open_keys = {alert.key for alert in _open(connection)}
    ids = [t.after.id for t in fired]
    taken: set[str] = set()
    for some in batches(ids):
        query = select(alerts.c.id).where(alerts.c.id.in_(some))
        taken |= set(connection.execute(query).scalars())
    new = [t for t in fired if t.after.key not in open_keys and t.after.id not in taken]
    insert_all(connection, alerts, [_values(t.after) for t in new])
    return new


def _keep(connection: Connection, kept: Sequence[Transition]) -> list[Transition]:
    if kept:
        statement = (
            update(alerts)
            .where(alerts.c.id == bindparam("which"), _is_open)
            .values({_COLUMNS[name]: bindparam(f"new_{name}") for name in _KEPT})
        )
        connection.execute(
            statement,
            [
                {"which": t.after.id, **{f"new_{n}": getattr(t.after, n) for n in _KEPT}}
                for t in kept
            ],
        )
    return list(kept)


def _change(connection: Connection, transition: Transition) -> bool:
    """Change the alert, unless it was acknowledged or resolved since it was read."""
    before = transition.before
    assert before is not None
    changed = connection.execute(
        update(alerts)
        .where(
            alerts.c.id == before.id,
            alerts.c.state == before.state,
            alerts.c.acknowledged_by.is_not_distinct_from(before.acknowledged_by),
            alerts.c.acknowledged_until.is_not_distinct_from(before.acknowledged_until),
            _is_open,
        )
        .values(_values(transition.after))
    )
    return changed.rowcount == 1


def _by_prefix(connection: Connection, prefix: str) -> Alert:
    begins = alerts.c.id.startswith(prefix, autoescape=True)
    matching = [_alert(row) for row in connection.execute(select(alerts).where(begins))]
    still = [a for a in matching if a.resolved_at is None]
    listed = "`drd alerts` lists the open alerts."
    if not prefix or not matching:
        raise UsageError(f"there is no alert {prefix!r}", hint=listed)
    if not still:
        raise UsageError(f"alert {prefix} is resolved already", hint=listed)
    if len(still) > 1:
        names = ", ".join(f"{a.id} ({a.kind} of {a.plan or 'drd'})" for a in still)
        raise UsageError(
            f"the ids of several alerts begin with {prefix!r}",
            hint=f"give more characters of the id: {names}",
        )
    return still[0]
