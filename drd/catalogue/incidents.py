"""Incidents: their entries in the chain of records, and a row for each, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from sqlalchemy import Connection, delete, select

from drd.catalogue import incident_rows as rows
from drd.catalogue import outbox
from drd.catalogue.engine import Database, SqlStore
from drd.catalogue.record_tables import incidents as table
from drd.catalogue.records import SqlRecords
from drd.errors import UsageError
from drd.model.incidents.cadence import Cadence
from drd.model.incidents.entries import number_of
from drd.model.incidents.fold import after
from drd.model.incidents.incident import Incident
from drd.model.incidents.states import State
from drd.model.message import Routed
from drd.model.records import Draft, Entry
from drd.model.text import storable
from drd.ports.notify import Closed

_LARGEST = 1_000_000_000
"""No honest installation gets there: a larger number does not count for the next one."""

_HINT = "to list the incidents: drd incident list"


class SqlIncidents(SqlStore):
    """See `drd.ports.incidents.IncidentStore`."""

    def __init__(self, database: Database, records: SqlRecords) -> None:
        super().__init__(database)
        self._records = records

    def begin(self, make: Callable[[int], Draft]) -> Incident:
        with self._database.write() as connection:
            return self._begin(connection, make)

    def _begin(self, connection: Connection, make: Callable[[int], Draft]) -> Incident:
        number = _free_number(connection)
        return self._add(connection, number, [make(number)])

    def begin_by_rule(self, rule: str, make: Callable[[int], Draft]) -> Incident | None:
        query = select(table.c.number).where(table.c.closed_at.is_(None), table.c.rule == rule)
        with self._database.write() as connection:
            if connection.execute(query.limit(1)).first() is not None:
                return None
            return self._begin(connection, make)

    def add(
        self,
        number: int,
        make: Callable[[Incident], Sequence[Draft]],
        *,
        routed: Sequence[Routed] = (),
        closed: Closed | None = None,
    ) -> Incident:
        with self._database.write() as connection:
            own = _own(connection, number)
            drafts = make(rows.whole(connection, own, self._records.cadence))
            if routed:
                outbox.insert(connection, routed, drafts[0].at)
            if closed is not None:
                outbox.close(connection, closed)
            return self._add(connection, number, drafts, own)

    def free_number(self, connection: Connection) -> int:
        """For another store: the number of the next incident."""
        return _free_number(connection)

    def find(self, connection: Connection, number: int) -> Incident | None:
        """Return an incident for another store; None if there are no entries about it."""
        return rows.folded(connection, number, self._records.cadence)

    def write(self, connection: Connection, drafts: Sequence[Draft]) -> Incident:
        """For another store, in its transaction: add entries, the first of which says to which
        incident they belong."""
        number = number_of(drafts[0].subject)
        assert number is not None
        return self._add(connection, number, drafts)

    def _add(
        self,
        connection: Connection,
        number: int,
        drafts: Sequence[Draft],
        own: Incident | None = None,
    ) -> Incident:
        """Add entries to an incident, which by those before is `own`, if that is known."""
        added = [self._records.add(connection, draft) for draft in drafts]
        for other in (number_of(draft.subject) for draft in drafts):
            if other not in (None, number):
                rows.store(connection, _get(connection, other, self._records.cadence))
        if own is None:
            own = _own(connection, number)
        else:
            for entry in added:
                own = after(own, entry) if number_of(entry.header.subject) == number else own
        incident = rows.whole(connection, own, self._records.cadence)
        rows.store(connection, incident)
        return incident

    def get(self, number: int) -> Incident:
        with self._database.read() as connection:
            return _get(connection, number, self._records.cadence)

    def open_numbers(self) -> list[int]:
        query = select(table.c.number).where(
            table.c.closed_at.is_(None), table.c.state != str(State.REPORTED)
        )
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(table.c.number)).scalars())

    def newest(self, *, closed: bool = False, limit: int = 50) -> list[Incident]:
        query = select(table.c.number).order_by(table.c.number.desc()).limit(limit)
        if not closed:
            query = query.where(table.c.closed_at.is_(None))
        with self._database.read() as connection:
            numbers = connection.execute(query).scalars().all()
            return [_get(connection, number, self._records.cadence) for number in numbers]

    def entries(self, incident: Incident) -> list[Entry]:
        with self._database.read() as connection:
            entries_by_number = {e.seq: e for e in rows.about_scope(connection, incident)}
            for number in rows.family(connection, incident):
                entries_by_number |= {e.seq: e for e in rows.own_entries(connection, number)}
        return [entries_by_number[seq] for seq in sorted(entries_by_number)]

    def wrong_rows(self) -> list[int]:
        with self._database.read() as connection:
            there = {row.number: rows.to_row(row) for row in connection.execute(select(table))}
            follows = {
                number: rows.values_of(_get(connection, number, self._records.cadence))
                for number in rows.known_numbers(connection)
            }
        numbers = there.keys() | follows.keys()
        return sorted(n for n in numbers if _said(there.get(n)) != _said(follows.get(n)))

    def use(self, cadence: Cadence) -> None:
        if cadence != self._records.cadence:
            self._records.cadence = cadence
            self.rebuild()

    def rebuild(self) -> int:
        with self._database.write() as connection:
            numbers = rows.known_numbers(connection)
            before = {row.number: rows.to_row(row) for row in connection.execute(select(table))}
            if gone := before.keys() - set(numbers):
                connection.execute(delete(table).where(table.c.number.in_(gone)))
            for number in numbers:
                rows.store(connection, _get(connection, number, self._records.cadence))
            after = {row.number: rows.to_row(row) for row in connection.execute(select(table))}
            return sum(before.get(n) != after.get(n) for n in before.keys() | after.keys())


def _said(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what follows from the entries alone: the next clock also follows from drd.yaml, which
    may have changed since. A text is as the table has it: older entries may contain a NUL."""
    if row is None:
        return None
    said = {k: storable(v) if isinstance(v, str) else v for k, v in row.items()}
    return {k: v for k, v in said.items() if k != "next_at"}


def _free_number(connection: Connection) -> int:
    """Return a number that no row and no entry has: entries stay when a row is deleted, and would
    belong to the new incident."""
    used = {*connection.execute(select(table.c.number)).scalars(), *rows.all_numbers(connection)}
    following = max((n for n in used if 0 < n < _LARGEST), default=0) + 1
    if following < _LARGEST:
        return following
    return next(n for n in count(1) if n not in used)


def _get(connection: Connection, number: int, cadence: Cadence) -> Incident:
    return rows.whole(connection, _own(connection, number), cadence)


def _own(connection: Connection, number: int) -> Incident:
    incident = rows.own(connection, number)
    if incident is None:
        raise UsageError(f"there is no incident {number}", hint=_HINT)
    return incident
