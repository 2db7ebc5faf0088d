"""The duties to report of an incident: regimes of drd and of this installation, and the case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import import_module
from typing import Any

from drd.bootstrap.app import App
from drd.config.regimes import Regimes, kept_regime
from drd.config.zones import local_zone
from drd.errors import DrdError, UnknownPlan
from drd.model.incidents.affected import Affected, Known, declared
from drd.model.incidents.doubts import altered
from drd.model.incidents.duties import Duties, duties, facts_of
from drd.model.incidents.entries import number_of
from drd.model.incidents.fold import fold
from drd.model.incidents.incident import Incident
from drd.model.inventory import DataSet
from drd.model.obligations.calendars import Calendars
from drd.model.obligations.case import Case
from drd.model.obligations.clocks import ClockKind, ClockState, clock, clocks
from drd.model.obligations.regime import Regime
from drd.model.plan import Plan
from drd.model.records import Entry


@dataclass(frozen=True, slots=True)
class DutyTable:
    """The duties of one incident: regimes as they are or were decided on, and the case.

    `changed` are regimes whose file changed since. `unread` are plans in the scope that cannot be
    read, each with the reason: what they say about people is not known. `data` is what the other
    plans say. `altered` are entries that somebody has changed."""

    incident: Incident
    said: Duties
    regimes: Mapping[str, Regime]
    texts: Mapping[str, Mapping[str, Any]]
    case: Case
    calendars: Calendars
    changed: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    data: tuple[Affected, ...] = ()
    altered: tuple[int, ...] = ()

    def states(self, now: datetime) -> list[ClockState]:
        return clocks(self.regimes.values(), self.case, now, self.calendars)

    def state(self, regime: Regime, now: datetime) -> ClockState:
        return clock(regime, self.regimes, self.case, now, self.calendars)

    def unfinished(self, now: datetime) -> list[ClockState]:
        """Return the clocks that run for reports which a person has decided on."""
        return [
            state
            for state in self.states(now)
            if state.kind in (ClockKind.RUNNING, ClockKind.DUE_SOON, ClockKind.OVERDUE)
            or state.kind is ClockKind.ON_HOLD
        ]


def holiday_calendars() -> Calendars:
    """Return the calendars of business days: 11 MB, which a service without an incident never
    needs."""
    calendars: Calendars = import_module("drd.holiday_calendars").HolidayCalendars()
    return calendars


def duty_table(
    app: App, number: int, found: Regimes, entries: Sequence[Entry] | None = None
) -> DutyTable:
    """Return the duties of an incident. If somebody has decided on a regime, its text at that time
    counts. `entries` are the entries of the timeline; None means all of them, unchanged."""
    incident = app.catalogue.incidents.get(number)
    if entries is None:
        entries = app.catalogue.incidents.entries(incident)
    said = duties(entries)
    known, changed = dict(found.known), []
    for name, text in said.texts.items():
        kept = kept_regime(text)
        if kept is not None:
            known[name] = kept
            changed += [name] if found.texts.get(name) != text else []
    unread: dict[str, str] = {}
    data = list(_data(app, incident, unread))
    settings = app.settings
    facts = {**settings.facts, **facts_of(one for one, _ in data)}
    zone = str(local_zone(settings.timezone))
    table = DutyTable(
        incident,
        said,
        known,
        {**said.texts, **found.texts},
        said.case(incident, facts, settings.jurisdictions, zone),
        holiday_calendars(),
        tuple(changed),
        unread,
        tuple(one for _, one in data),
        altered(entries),
    )
    again = {
        name: replace(said.decisions[name], outdated=True)
        for name in _outdated(app, table, entries)
    }
    return replace(table, case=replace(table.case, decisions={**said.decisions, **again}))


def _outdated(app: App, table: DutyTable, entries: Sequence[Entry]) -> Iterator[str]:
    """Return the regimes that somebody decided do not apply while the facts did not say that they
    apply, as they do now."""
    now = app.clock.now()
    for name, decision in table.said.decisions.items():
        regime = table.regimes.get(name)
        if decision.applies or regime is None or not table.state(regime, now).proposed:
            continue
        before = [e for e in entries if e.seq < decision.entry]
        own = (e for e in before if number_of(e.header.subject) == table.incident.number)
        data = facts_of(one for one, _ in _data(app, fold(table.incident.number, own), {}))
        facts = {**app.settings.facts, **data, **duties(before).facts}
        then = replace(table, case=replace(table.case, facts=facts))
        if not then.state(regime, now).proposed:
            yield name


def _data(
    app: App, incident: Incident, unread: dict[str, str]
) -> Iterator[tuple[DataSet, Affected]]:
    """The data about people of the plans in the scope: as drd counted (`drd incident scope
    --count`), else as the plans say."""
    affected = {(one.plan, one.what): one for one in incident.affected}
    for name in incident.plans:
        try:
            for data in _plan(app, name).inventory.data:
                known = affected.get((name, data.what))
                if known is not None and known.known is Known.COUNTED:
                    yield known.corrects(data), known
                else:
                    yield data, declared(name, data)
        except DrdError as error:
            unread[name] = error.line


def _plan(app: App, name: str) -> Plan:
    """Return the plan as it is in force; one that drd has never loaded as its file is. Puts no plan
    in force."""
    try:
        return app.plans.in_force(name)
    except UnknownPlan:
        return replace(app.plans, only_reads=True, copy=None).load_known(name)
