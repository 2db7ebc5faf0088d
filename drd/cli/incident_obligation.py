"""`drd incident obligation`: which reports are due, until when, and what became of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from drd.api.obligation_documents import clock_document
from drd.bootstrap.duties import DutyTable, duty_table
from drd.cli import output
from drd.cli.incident_acting import author, zone_of
from drd.cli.obligation_screen import screen
from drd.cli.obligations import chosen, fact_of, require_facts, usable
from drd.cli.render import terminal_width
from drd.cli.session import require_owner, session
from drd.config.regimes import regimes_of
from drd.errors import UsageError
from drd.flows.incidents import obligations as flow
from drd.flows.incidents.choosing import chosen as chosen_incident
from drd.flows.incidents.writing import Desk
from drd.model.incidents.duties import Submission
from drd.model.incidents.report_draft import ReportDraft
from drd.model.incidents.timeline import timeline
from drd.model.obligations.case import Hold
from drd.model.obligations.clocks import ClockState
from drd.model.obligations.conditions import Fact
from drd.model.obligations.icalendar import icalendar
from drd.model.obligations.regime import HoldKind
from drd.model.text import escaped


def run(args: argparse.Namespace) -> int:
    number, name = _words(args.words)
    writes = _writing(args, name)
    with session(args, reading=not writes, acts=False, records=True) as app:
        require_owner(app, "incident obligation")
        which = chosen_incident(app.catalogue, number)
        found, zone = regimes_of(app.settings), zone_of(app)
        typed: list[str] = []
        usable(found)
        for write in writes:
            desk = Desk(app.catalogue, which, author(app, args, left_out=number is None), zone)
            write(duty_table(app, which, found), desk)
            typed += desk.typed
        table, now = duty_table(app, which, found), app.clock.now()
        lines = timeline(table.incident, app.catalogue.incidents.entries(table.incident), zone)
    states = [table.state(chosen(table.regimes, name), now)] if name else table.states(now)
    if args.draft:
        return _draft(args, ReportDraft(table.incident, states[0], table.case, lines))
    if args.ics is not None:
        return _calendar(args, table, states, now)
    if args.json:
        document = {"incident": which, "clocks": [clock_document(s) for s in states]}
        output.print_json({**document, "facts": dict(table.case.facts), "changed": table.changed})
        return 0
    if typed:
        output.say(f"recorded for {' and '.join(typed)}")
    width = terminal_width(sys.stdout)
    for line in screen(
        table.incident, states, table.case, now, width, every=bool(args.all or name)
    ):
        output.say(line)
    for plan in table.unread:
        output.warn(f"plan {escaped(plan)} cannot be read: its data about people is unknown")
    for each in table.changed:
        output.warn(
            f"the file of {each} changed since it was decided that it applies: the clock runs by "
            f"the former text. To take the new one: drd incident obligation {which} {each} "
            "--applies --reason TEXT"
        )
    return 0


def _draft(args: argparse.Namespace, draft: ReportDraft) -> int:
    if args.json:
        output.print_json({"draft": draft.text(), "missing": draft.missing()})
    else:
        for line in draft.text().removesuffix("\n").split("\n"):
            output.say(escaped(line))
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


Write = Callable[[DutyTable, Desk], object]


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
    if (given or args.draft) and not name:
        hint = "name its id; to see them all: drd incident obligation"
        raise UsageError("incident obligation: no regime given", hint=hint)
    facts = dict(fact_of(text) for text in args.fact)
    writes: list[Write] = [_state(facts)] if facts else []
    return writes + [acts[option][1](args, name) for option in given]


def _state(facts: Mapping[str, Fact]) -> Write:
    def write(table: DutyTable, desk: Desk) -> None:
        require_facts(facts, table.regimes)
        flow.state_facts(desk, facts)

    return write


def _decide(args: argparse.Namespace, name: str) -> Write:
    def write(table: DutyTable, desk: Desk) -> None:
        state = table.state(chosen(table.regimes, name), desk.author.at)
        text = table.texts.get(name, {})
        flow.decide(desk, state, text, applies=args.applies, reason=args.reason)

    return write


def _submit(args: argparse.Namespace, name: str) -> Write:
    def write(table: DutyTable, desk: Desk) -> None:
        at = desk.past(args.submitted)
        report = Submission(at, args.reference, args.channel, args.proof, args.reason)
        flow.submit(desk, table.state(chosen(table.regimes, name), desk.author.at), report)

    return write


def _hold(args: argparse.Namespace, name: str) -> Write:
    def write(table: DutyTable, desk: Desk) -> None:
        now = desk.author.at
        since = desk.past(args.since) if args.since is not None else now
        until = desk.coming(args.until) if args.until is not None else None
        hold = Hold(HoldKind(args.hold), since, until, oral=args.oral)
        flow.hold(desk, table.state(chosen(table.regimes, name), now), hold, args.reason)

    return write


def _calendar(
    args: argparse.Namespace, table: DutyTable, states: Sequence[ClockState], now: datetime
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
