"""Reports about open incidents, updates and messages, for the alerts of the daemon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from drd import log
from drd.bootstrap import App
from drd.bootstrap.duties import DutyTable, duty_table
from drd.config.regimes import Regimes, regimes_of
from drd.config.zones import local_zone
from drd.errors import CatalogueError, DrdError
from drd.flows.incidents.actions import settle, with_items
from drd.flows.incidents.merged import has_restricted
from drd.flows.incidents.messages import known
from drd.model.action_conditions import action_conditions
from drd.model.alerts import Condition
from drd.model.incidents.doubts import UNSEAL, unread
from drd.model.incidents.incident import Incident
from drd.model.incidents.messages import IncidentMessage
from drd.model.message_conditions import message_conditions
from drd.model.obligations.clocks import ClockState
from drd.model.obligations.unplaced import next_clock
from drd.model.report_conditions import report_conditions
from drd.model.restricted_conditions import concealed, unreadable
from drd.model.titles import REPORT, UNDECIDED

_log = log.get()


_LONGEST = timedelta(minutes=5)
"""After this time, what is known about an incident is read again, even without a new record."""


class DutyWatch:
    """Knows the conditions of the last time, while the catalogue cannot be read. The files of
    regimes are read when an incident is open, and again after a reload of drd.yaml. What is known
    of an incident is read again when there is a new record: an incident of 1,000 entries takes a
    tenth of a second."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._regimes: Regimes | None = None
        self._last: tuple[Condition, ...] = ()
        self._tables: dict[int, DutyTable] = {}
        self._messages: dict[int, tuple[Incident, tuple[IncidentMessage, ...]]] = {}
        self._items: list[Incident] | None = None
        self._read: tuple[int, datetime] | None = None
        self._next: dict[int, datetime] = {}

    @property
    def next_reports(self) -> Mapping[int, datetime]:
        """Return by the number of each open incident when its first report is due, as known at the
        last check. Restricted incidents, and incidents without a due report, are missing."""
        return self._next

    def reload(self) -> None:
        """Read the files again before the next assessment."""
        self._regimes = self._read = None

    def conditions(self, now: datetime) -> tuple[Condition, ...]:
        with suppress(CatalogueError):
            numbers = self._app.catalogue.incidents.open_numbers()
            self._next = {n: at for n, at in self._next.items() if n in numbers}
            self._forget_old_tables(now)
            open_conditions = [
                condition for number in numbers for condition in self._about(number, now)
            ]
            self._last = (*open_conditions, *self._actions(now))
        return self._last

    def _about(self, number: int, now: datetime) -> list[Condition]:
        conditions = [*self._of(number, now), *self._told(number, now)]
        incident, _ = self._messages[number]
        if told := unread(incident):
            conditions = [c for c in conditions if c.kind not in (REPORT, UNDECIDED)]
            return [unreadable(number, told, UNSEAL), *concealed(number, conditions)]
        hides = has_restricted(self._app.catalogue, incident)
        return list(concealed(number, conditions)) if hides else conditions

    def _actions(self, now: datetime) -> list[Condition]:
        """The overdue action items, also of closed incidents. First closes the items whose proof
        has passed, if there are new records: a run that was killed at its end could not do that."""
        catalogue, zone = self._app.catalogue, local_zone(self._app.settings.timezone)
        if self._items is None:
            self._items = with_items(catalogue)
            if settle(catalogue, now, incidents=self._items):
                self._items = with_items(catalogue)
        conditions: list[Condition] = []
        for incident in self._items:
            overdue = list(action_conditions(incident, now, zone))
            hides = overdue and has_restricted(catalogue, incident)
            conditions += concealed(incident.number, overdue) if hides else overdue
        return conditions

    def _told(self, number: int, now: datetime) -> list[Condition]:
        """The updates that are due, and the messages that did not reach everybody."""
        catalogue, zone = self._app.catalogue, local_zone(self._app.settings.timezone)
        cached = self._messages.get(number)
        if cached is None:
            cached = catalogue.incidents.get(number), known(catalogue, number)
            self._messages[number] = cached
        return list(message_conditions(*cached, now, zone))

    def _forget_old_tables(self, now: datetime) -> None:
        head = self._app.catalogue.records.head()
        seq = head.seq if head is not None else 0
        if self._read is None or self._read[0] != seq or abs(now - self._read[1]) > _LONGEST:
            self._tables.clear()
            self._messages.clear()
            self._items = None
            self._read = (seq, now)

    def _of(self, number: int, now: datetime) -> list[Condition]:
        if self._regimes is None:
            self._regimes = regimes_of(self._app.settings)
            for problem in self._regimes.problems:
                _log.warning("regime.refused", file=problem.file, error=problem.message)
        try:
            table = self._tables.get(number) or duty_table(self._app, number, self._regimes)
        except CatalogueError:
            raise
        except DrdError as error:
            _log.warning("incident.duties", incident=number, error=error.message)
            return []
        self._tables[number] = table
        states = table.states(now)
        self._note_next(table.incident, states)
        return list(report_conditions(number, states, table.case.zone, now))

    def _note_next(self, incident: Incident, states: Iterable[ClockState]) -> None:
        self._next.pop(incident.number, None)
        first = next_clock(states)
        at = first.ends_at if first is not None else None
        if at is not None and not incident.restricted and not unread(incident):
            self._next[incident.number] = at
