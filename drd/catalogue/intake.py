"""Alerts of other systems, in the transaction that adds their entries."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from drd.catalogue.daemon_tables import daemon_state
from drd.catalogue.engine import Database, SqlStore, upsert
from drd.catalogue.incidents import SqlIncidents
from drd.catalogue.tables import incidents as table
from drd.catalogue.tables import record_bodies as bodies
from drd.catalogue.tables import records
from drd.model.incidents.entries import INTAKE, INTAKE_KEY
from drd.model.incidents.incident import Incident
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

    def take(
        self, key: str, make: Callable[[Incident | None, int], Sequence[Draft]]
    ) -> Incident | None:
        with self._database.write() as connection:
            known = self._known(connection, key)
            free = self._incidents.free_number(connection)
            drafts = make(known, free)
            if not drafts:
                return None
            return self._incidents.write(connection, drafts)

    def load(self, source: str, since: datetime) -> Load:
        of_source = table.c.rule.startswith(f"{INTAKE_KEY}{source}: ", autoescape=True)
        opened = select(func.count()).where(table.c.closed_at.is_(None), of_source)
        recent = (
            select(bodies.c.body)
            .join(records, records.c.seq == bodies.c.seq)
            .where(records.c.kind == INTAKE, records.c.at > since)
        )
        with self._database.read() as connection:
            entries = sum(_source(body) == source for body in connection.execute(recent).scalars())
            return Load(connection.scalar(opened) or 0, entries)

    def leave_out(self, source: str, why: str, at: datetime) -> None:
        with self._database.write() as connection:
            noted = _noted(connection)
            one = noted.setdefault(source, {})
            one.setdefault("since", to_rfc3339(at))
            count = one.setdefault("count", {})
            count[why] = count.get(why, 0) + 1
            _note(connection, noted, at)

    def tell_left_out(
        self,
        source: str,
        now: datetime,
        window: timedelta,
        make: Callable[[int, Mapping[str, Any]], Draft],
    ) -> None:
        with self._database.write() as connection:
            noted = _noted(connection)
            one = noted.get(source, {})
            told = from_rfc3339(one["told_at"]) if "told_at" in one else None
            if not one.get("count") or (told is not None and told <= now < told + window):
                return
            number = _newest_of(connection, source)
            if number is None:
                return
            body = {"source": source, "since": one["since"], "until": now, "count": one["count"]}
            self._incidents.write(connection, [make(number, body)])
            noted[source] = {"told_at": to_rfc3339(now)}
            _note(connection, noted, now)

    def sources_left_out(self) -> list[str]:
        with self._database.read() as connection:
            return [source for source, one in _noted(connection).items() if one.get("count")]

    def _known(self, connection: Connection, key: str) -> Incident | None:
        """Return the newest incident of this key, an open one first; where it continues, with what
        is known of the key there and here."""
        query = (
            select(table.c.number)
            .where(table.c.rule == key)
            .order_by(table.c.closed_at.is_(None).desc(), table.c.number.desc())
        )
        number = connection.execute(query.limit(1)).scalar()
        incident = self._incidents.find(connection, number) if number is not None else None
        if incident is None:
            return None
        seen, taken = {incident.number}, dict(incident.taken)
        while incident.merged_into is not None and incident.merged_into not in seen:
            following = self._incidents.find(connection, incident.merged_into)
            if following is None:
                break
            incident = following
            seen.add(incident.number)
            taken |= incident.taken
        return replace(incident, taken=taken)


def _source(body: str) -> str:
    try:
        return str(json.loads(body)["source"])
    except (ValueError, KeyError, TypeError):
        return ""  # somebody changed it: the check of the chain tells


def _newest_of(connection: Connection, source: str) -> int | None:
    query = (
        select(table.c.number)
        .where(table.c.rule.startswith(f"{INTAKE_KEY}{source}: ", autoescape=True))
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
