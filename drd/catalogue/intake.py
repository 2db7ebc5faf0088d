"""Alerts of other systems, in the transaction that adds their entries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select

from drd.catalogue.daemon_tables import daemon_state
from drd.catalogue.engine import Database, SqlStore, upsert
from drd.catalogue.incidents import SqlIncidents
from drd.catalogue.record_tables import incidents as table
from drd.catalogue.record_tables import record_bodies as bodies
from drd.catalogue.record_tables import records
from drd.model.incidents.entries import INTAKE, INTAKE_KEY, REPORT, subject
from drd.model.incidents.incident import Incident
from drd.model.incidents.states import State
from drd.model.records import Draft
from drd.model.units import from_rfc3339, to_rfc3339
from drd.ports.intake import Load

_LEFT_OUT = "intake-left-out"
_SOURCES = 200
"""How many sources are remembered of which alerts were left out."""


class SqlIntake(SqlStore):
    """See `drd.ports.intake.IntakeStore`."""

    def __init__(self, database: Database, incidents: SqlIncidents) -> None:
        super().__init__(database)
        self._incidents = incidents

    @contextmanager
    def taking(self) -> Iterator[SqlTaking]:
        with self._database.write() as connection:
            yield SqlTaking(connection, self._incidents)

    def report(self, user: str, most: int, make: Callable[[int], Draft]) -> Incident | None:
        with self._database.write() as connection:
            if _unexamined(connection, user) >= most:
                return None
            number = self._incidents.free_number(connection)
            return self._incidents.write(connection, [make(number)])

    def sources_left_out(self) -> list[str]:
        with self._database.read() as connection:
            return [source for source, one in _noted(connection).items() if one.get("count")]


class SqlTaking:
    """See `drd.ports.intake.Taking`. An incident is read once: many alerts may be of one."""

    def __init__(self, connection: Connection, incidents: SqlIncidents) -> None:
        self._connection, self._incidents = connection, incidents
        self._read: dict[int, Incident | None] = {}

    def known(self, key: str) -> Incident | None:
        """Return the incident where the alert continues, with what is known of it there and
        here."""
        query = (
            select(table.c.number)
            .where(table.c.rule == key)
            .order_by(table.c.closed_at.is_(None).desc(), table.c.number.desc())
        )
        number = self._connection.execute(query.limit(1)).scalar()
        incident = self._find(number) if number is not None else None
        if incident is None:
            return None
        seen, taken = {incident.number}, dict(incident.taken)
        while incident.merged_into is not None and incident.merged_into not in seen:
            following = self._find(incident.merged_into)
            if following is None:
                break
            incident = following
            seen.add(incident.number)
            taken |= incident.taken
        return replace(incident, taken=taken)

    def _find(self, number: int) -> Incident | None:
        if number not in self._read:
            self._read[number] = self._incidents.find(self._connection, number)
        return self._read[number]

    def free_number(self) -> int:
        return self._incidents.free_number(self._connection)

    def add(self, drafts: Sequence[Draft]) -> Incident:
        made = self._incidents.write(self._connection, drafts)
        self._read[made.number] = made
        return made

    def load(self, source: str, since: datetime, *, products: bool = False) -> Load:
        begin = table.c.rule.startswith(f"{INTAKE_KEY}{source}", autoescape=True)
        opened = select(table.c.rule).where(table.c.closed_at.is_(None), begin)
        recent = (
            select(bodies.c.body)
            .join(records, records.c.seq == bodies.c.seq)
            .where(records.c.kind == INTAKE, records.c.at > since)
        )
        sizes = self._connection.execute(recent).scalars()
        rules = self._connection.execute(opened).scalars()

        def counted(sources: Iterable[str]) -> int:
            return sum(s == source or (products and _is_product(s, source)) for s in sources)

        return Load(counted(map(_source_of, rules)), counted(map(_source, sizes)))

    def load_of_user(self, user: str, since: datetime) -> Load:
        recent = select(func.count()).where(
            records.c.kind == INTAKE, records.c.at > since, *_by(user)
        )
        entries = self._connection.scalar(recent) or 0
        return Load(_unexamined(self._connection, user), entries)

    def leave_out(self, source: str, count: Mapping[str, int], at: datetime) -> None:
        noted = _noted(self._connection)
        one = noted.setdefault(source, {})
        one.setdefault("since", to_rfc3339(at))
        before = one.setdefault("count", {})
        for why, more in count.items():
            before[why] = before.get(why, 0) + more
        _note(self._connection, noted, at)

    def tell_left_out(
        self,
        source: str,
        now: datetime,
        window: timedelta,
        make: Callable[[int, Mapping[str, Any]], Draft],
    ) -> None:
        noted = _noted(self._connection)
        one = noted.get(source, {})
        told = from_rfc3339(one["told_at"]) if "told_at" in one else None
        if not one.get("count") or (told is not None and told <= now < told + window):
            return
        number = _newest_of(self._connection, source)
        if number is None:
            return
        body = {"source": source, "since": one["since"], "until": now, "count": one["count"]}
        self.add([make(number, body)])
        noted[source] = {"told_at": to_rfc3339(now)}
        _note(self._connection, noted, now)


def _by(user: str) -> tuple[ColumnElement[bool], ...]:
    return records.c.actor_kind == "person", records.c.actor_name == user


def _unexamined(connection: Connection, user: str) -> int:
    """Return how many suspicions of a user wait for somebody to examine them."""
    waiting = select(table.c.number).where(
        table.c.closed_at.is_(None), table.c.state == str(State.REPORTED)
    )
    numbers = set(connection.execute(waiting).scalars())
    reported = select(records.c.subject).where(
        records.c.kind == REPORT,
        records.c.subject.in_([subject(number) for number in numbers]),
        *_by(user),
    )
    return len(set(connection.execute(reported).scalars()))


def _source(body: str) -> str:
    try:
        return str(json.loads(body)["source"])
    except (ValueError, KeyError, TypeError):
        return ""  # somebody changed it: the check of the chain tells


def _source_of(rule: str) -> str:
    """Return the source in the rule of an incident that an alert opened."""
    return rule.removeprefix(INTAKE_KEY).partition(": ")[0]


def _is_product(name: str, source: str) -> bool:
    """Return whether a source is a product of another one, and not what a user brought of it."""
    return name.startswith(f"{source}/") and " " not in name


def _newest_of(connection: Connection, source: str) -> int | None:
    query = (
        select(table.c.number)
        .where(
            or_(
                table.c.rule.startswith(f"{INTAKE_KEY}{source}: ", autoescape=True),
                table.c.rule.startswith(f"{INTAKE_KEY}{source}/", autoescape=True),
            )
        )
        .order_by(table.c.closed_at.is_(None).desc(), table.c.number.desc())
    )
    return connection.execute(query.limit(1)).scalar()


def _noted(connection: Connection) -> dict[str, Any]:
    query = select(daemon_state.c.value).where(daemon_state.c.key == _LEFT_OUT)
    value = connection.execute(query).scalar()
    return dict(value) if isinstance(value, dict) else {}


def _note(connection: Connection, noted: Mapping[str, Any], at: datetime) -> None:
    kept = dict(sorted(noted.items(), key=lambda one: "count" in one[1])[-_SOURCES:])
    upsert(connection, daemon_state, {"key": _LEFT_OUT, "at": at, "value": kept})
