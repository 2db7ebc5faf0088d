"""`drd incident obligation`: which reports are due, until when, and what became of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from drd.api.obligation_documents import clock_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.incident import author
from drd.cli.obligation_screen import screen
from drd.cli.obligations import chosen, fact_of, regimes_of, usable
from drd.cli.render import terminal_width
from drd.cli.session import require_owner, session
from drd.config.regimes import Regimes, kept_regime
from drd.config.zones import host_zone
from drd.errors import ConfigError, UnknownPlan, UsageError
from drd.flows.incidents import obligations as flow
from drd.flows.incidents.choosing import chosen as chosen_incident
from drd.flows.incidents.times import coming, past
from drd.flows.incidents.writing import Desk
from drd.holiday_calendars import HolidayCalendars
from drd.model.incidents.duties import Duties, Submission, duties, facts_of
from drd.model.incidents.incident import Incident
from drd.model.inventory import DataSet
from drd.model.obligations.case import Case, Hold
from drd.model.obligations.clocks import ClockState, clock, clocks
from drd.model.obligations.icalendar import icalendar
from drd.model.obligations.regime import HoldKind, Regime
from drd.model.text import escaped


@dataclass(frozen=True, slots=True)
class Table:
    """The duties of one incident: regimes as they are and as they were decided on, and the case."""

    incident: Incident
    said: Duties
    regimes: dict[str, Regime]
    changed: tuple[str, ...]
    texts: Mapping[str, Mapping[str, Any]]
    case: Case

    def states(self, now: datetime) -> list[ClockState]:
        return clocks(self.regimes.values(), self.case, now, HolidayCalendars())

    def state(self, name: str, now: datetime) -> ClockState:
        regime = chosen(self.regimes, name)
        return clock(regime, self.regimes, self.case, now, HolidayCalendars())


def table_of(app: App, number: int, found: Regimes) -> Table:
    """Return the duties of an incident. A regime that was decided on stays as it was then."""
    incident = app.catalogue.incidents.get(number)
    said = duties(number, app.catalogue.incidents.entries(incident))
    known, changed = dict(found.known), []
    for name, text in said.texts.items():
        kept = kept_regime(text)
        if kept is not None:
            if found.texts.get(name) != text:
                changed.append(name)
            known[name] = kept
    settings = app.settings
    facts = {**settings.facts, **facts_of(_data(app, incident))}
    zone = settings.timezone or host_zone()
    case = said.case(incident, facts, settings.jurisdictions, zone)
    return Table(incident, said, known, tuple(changed), {**said.texts, **found.texts}, case)


def _data(app: App, incident: Incident) -> Iterator[DataSet]:
    """The data about people of the plans in the scope: as drd counted (`drd incident scope
    --count`), else as the plans in force say."""
    found = {(one.plan, one.what): one for one in incident.affected}
    for name in incident.plans:
        try:
            for data in app.plans.in_force(name).inventory.data:
                known = found.get((name, data.what))
                yield known.corrects(data) if known is not None else data
        except (UnknownPlan, ConfigError):
            output.warn(f"plan {escaped(name)} cannot be read: its data about people is unknown")


def run(args: argparse.Namespace) -> int:
    number, name = _words(args.words)
    writes = _writing(args, name)
    with session(args, reading=not writes) as app:
        require_owner(app, "incident obligation")
        which = chosen_incident(app.catalogue, number)
        found = regimes_of(app.settings)
        usable(found)
        for write in writes:
            desk = Desk(app.catalogue, which, author(app, args, left_out=number is None))
            write(table_of(app, which, found), desk)
        table, now = table_of(app, which, found), app.clock.now()
    states = [table.state(name, now)] if name else table.states(now)
    if args.ics is not None:
        return _calendar(args, table, states, now)
    if args.json:
        document = {"incident": which, "clocks": [clock_document(s) for s in states]}
        output.print_json({**document, "facts": dict(table.case.facts), "changed": table.changed})
        return 0
    width = terminal_width(sys.stdout)
    for line in screen(
        table.incident, states, table.case, now, width, every=bool(args.all or name)
    ):
        output.say(line)
    for each in table.changed:
        output.warn(
            f"the file of {each} changed since it was decided that it applies: the clock runs by "
            f"the former text. To take the new one: drd incident obligation {which} {each} "
            "--applies --reason TEXT"
        )
    return 0


def _words(words: Sequence[str]) -> tuple[int | None, str]:
    """Return the number of the incident and the id of the regime, if they were given."""
    rest = list(words)
    number = int(rest.pop(0)) if rest and rest[0].isdecimal() else None
    if len(rest) > 1:
        raise UsageError(
            f"incident obligation: {len(rest)} regimes given",
            hint="name one: drd incident obligation --help has examples.",
        )
    return number, rest[0] if rest else ""


Write = Callable[[Table, Desk], object]


def _writing(args: argparse.Namespace, name: str) -> list[Write]:
    """Return what the options ask to record, in order; nothing if they only ask to show."""
    acts = {
        "--applies": (args.applies, _decide),
        "--does-not-apply": (args.does_not_apply, _decide),
        "--submitted": (args.submitted is not None, _submit),
        "--hold": (args.hold is not None, _hold),
    }
    given = [option for option, (is_given, _) in acts.items() if is_given]
    if len(given) > 1:
        hint = "record one after the other: each is an entry of its own."
        raise UsageError(f"{' and '.join(given)} were given together", hint=hint)
    if given and not name:
        hint = "name its id; to see them all: drd incident obligation"
        raise UsageError("incident obligation: no regime given", hint=hint)
    facts = dict(fact_of(text) for text in args.fact)
    writes: list[Write] = [lambda _, desk: flow.state_facts(desk, facts)] if facts else []
    return writes + [acts[option][1](args, name) for option in given]


def _decide(args: argparse.Namespace, name: str) -> Write:
    def write(table: Table, desk: Desk) -> None:
        state = table.state(name, desk.author.at)
        text = table.texts.get(name, {})
        flow.decide(desk, state, text, applies=args.applies, reason=args.reason)

    return write


def _submit(args: argparse.Namespace, name: str) -> Write:
    def write(table: Table, desk: Desk) -> None:
        at = past(args.submitted, desk.author.at)
        report = Submission(at, args.reference, args.channel, args.proof, args.reason)
        flow.submit(desk, table.state(name, desk.author.at), report)

    return write


def _hold(args: argparse.Namespace, name: str) -> Write:
    def write(table: Table, desk: Desk) -> None:
        now = desk.author.at
        since = past(args.since, now) if args.since is not None else now
        until = coming(args.until, now) if args.until is not None else None
        hold = Hold(HoldKind(args.hold), since, until, oral=args.oral)
        flow.hold(desk, table.state(name, now), hold, args.reason)

    return write


def _calendar(
    args: argparse.Namespace, table: Table, states: Sequence[ClockState], now: datetime
) -> int:
    text = icalendar(table.incident.number, states, now, table.case.zone)
    if args.ics == "-":
        sys.stdout.write(text)
        return 0
    try:
        Path(args.ics).write_bytes(text.encode())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot write {args.ics}: {reason}", hint="name another file.") from None
    if not args.quiet:
        count = text.count("BEGIN:VEVENT")
        output.say(f"wrote {count} times to {args.ics}")
    return 0
