"""`drd incident open|show|list`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from drd.api.incident_documents import incident_document, timeline_document
from drd.api.investigation_documents import investigation_document
from drd.bootstrap import App, app
from drd.bootstrap.duties import duty_table
from drd.cli import output
from drd.cli.decide import who
from drd.cli.incident_screen import screen
from drd.cli.obligation_screen import summary
from drd.cli.remote import Remote
from drd.cli.render import terminal_width
from drd.cli.session import require_owner, session
from drd.config.regimes import regimes_of
from drd.config.zones import local_zone
from drd.errors import DrdError, UsageError
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.writing import (
    Desk,
    open_incident,
    require_plans,
    require_severity,
)
from drd.flows.incidents.writing import (
    report as file_report,
)
from drd.model.clock import doubt
from drd.model.incidents.entries import Author
from drd.model.incidents.incident import Incident
from drd.model.incidents.investigation import investigation
from drd.model.incidents.timeline import timeline
from drd.model.text import escaped, some
from drd.model.units import format_rfc3339, format_time


def author(app: App, args: argparse.Namespace, *, left_out: bool = False) -> Author:
    """Return who makes an entry now. `left_out`: no number was given. Warns if the time of the
    entry is evidently wrong: a signed entry is never changed."""
    head, now = app.catalogue.records.head(), app.clock.now()
    newest = head.header.at if head is not None else None
    what = f"entry {head.seq} of the records" if head is not None else ""
    why = doubt(now, newest, what)
    if why is not None and not args.quiet:
        output.warn(f"{why}. Check it by timedatectl; to correct a time: --at TIME")
    said = who(args)
    name = app.settings.users.get(said["by"], said["by"]) if args.by is None else args.by
    return Author(str(name), now, said["actor"], left_out)


def zone_of(app: App) -> ZoneInfo:
    """Return the zone of times that people type without one, and of the screens of incidents."""
    return local_zone(app.settings.timezone)


def open_(args: argparse.Namespace) -> int:
    with session(args, acts=False, records=True) as app:
        require_owner(app, "incident open")
        require_plans(args.plan, known_plans(app))
        if args.severity is not None:
            require_severity(args.severity, app.settings.severities)
        incident = _opened(app, args)
        if not args.json:
            output.say(f"incident {incident.number} is open: {escaped(incident.title)}")
        if not (args.json or args.quiet or args.no_questions) and sys.stdin.isatty():
            incident = _asked(app, args, incident)
    if args.json:
        output.print_json(incident_document(incident))
    elif not args.quiet:
        output.say('note what happens:  drd incident log "TEXT"')
        output.say("see what is next:   drd incident show")
    return 0


def _opened(app: App, args: argparse.Namespace) -> Incident:
    said, severity, restricted = author(app, args), args.severity or "", args.restricted
    if args.report is not None:
        desk = Desk(app.catalogue, args.report, said, zone_of(app))
        return desk.open_report(
            args.title or "", plans=args.plan, severity=severity, restricted=restricted
        )
    if args.title is None:
        raise UsageError("no title given", hint='drd incident open "what happens, in a few words"')
    return open_incident(
        app.catalogue,
        said,
        args.title,
        plans=args.plan,
        severity=severity,
        restricted=restricted,
    )


def report(args: argparse.Namespace) -> int:
    with app(args.config) as opened:
        if opened.state.is_ours:
            said = author(opened, args)
            require_plans(args.plan, known_plans(opened))
            triage_s = opened.settings.triage_s
            made = file_report(opened.catalogue, said, args.text, triage_s, args.plan)
            document = incident_document(made)
        else:
            document = Remote(opened).post(
                "/v1/incidents/report", text=args.text, plans=args.plan, by=args.by
            )
    if args.json:
        output.print_json(document)
    elif not args.quiet:
        due = format_rfc3339(document["next_at"])
        output.say(f"report {document['incident']} is filed: to be examined by {due}")
    return 0


def known_plans(app: App) -> set[str]:
    """Return the names of the plans that drd has loaded, or has a file of."""
    return {*app.catalogue.plans.names(), *app.plans.names()}


def _asked(app: App, args: argparse.Namespace, incident: Incident) -> Incident:
    """Ask for what was not given; each answer is an entry of its own, so none is lost."""

    def desk() -> Desk:
        return Desk(app.catalogue, incident.number, author(app, args), zone_of(app))

    def scope(answer: str) -> None:
        plans = answer.replace(",", " ").split()
        require_plans(plans, known_plans(app))
        desk().change_scope(add=plans, remove=(), reason="")

    def severity(answer: str) -> None:
        known = app.settings.severities
        desk().set_severity(answer, "", known)

    def moment(name: str) -> Callable[[str], object]:
        def state(answer: str) -> None:
            here = desk()
            at = here.past(answer)
            here.anchor(name, at, "")
            output.say(f"{name}: {format_time(at, zone=here.zone)}")

        return state

    known = some(sorted(known_plans(app)), 6)
    levels = some(app.settings.severities, 10)
    questions: list[tuple[str, Callable[[str], object]]] = [
        ("since when is it certain (14:30, -2h, now; {zone})", moment("aware")),
        ("when did it begin, as far as known", moment("occurred")),
        ("who leads", lambda answer: desk().assign(answer)),
    ]
    if args.severity is None:
        questions.insert(0, (f"severity ({levels})", severity))
    if not args.plan and known:
        questions.insert(0, (f"plans in the scope ({known})", scope))
    output.say("Enter skips a question, Ctrl-C the rest.")
    for question, answer in questions:
        if not _answered(question, answer):
            break
    return app.catalogue.incidents.get(incident.number)


def _answered(question: str, answer: Callable[[str], object]) -> bool:
    """Ask until the answer is right or skipped. Returns False if the rest is skipped, too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while text := input(escaped(f"{question}: ")).strip():
            try:
                answer(text)
            except UsageError as error:
                output.complain(error.message, error.hint)
            else:
                break
    except (KeyboardInterrupt, EOFError):
        print(file=sys.stderr)
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return True


def show(args: argparse.Namespace) -> int:
    with session(args, reading=True) as app:
        require_owner(app, "incident show")
        incident = app.catalogue.incidents.get(chosen(app.catalogue, args.number))
        zone = UTC if args.json else zone_of(app)
        entries = app.catalogue.incidents.entries(incident)
        lines, found = timeline(incident, entries, zone), investigation(entries)
        now = app.clock.now()
        whole = incident.is_open and not (args.json or args.starred)
        reports = _reports(app, incident.number) if whole else ""
    if args.starred:
        lines = [line for line in lines if line.starred]
    if args.json:
        output.print_json(
            {
                **incident_document(incident),
                "investigation": investigation_document(found),
                "timeline": timeline_document(lines),
            }
        )
        return 0
    width = terminal_width(sys.stdout)
    for text in screen(incident, lines, now, width, reports, zone=zone, found=found):
        output.say(text)
    return 0


def _reports(app: App, number: int) -> str:
    """Say which reports are due. What is wrong with a file must not hide the incident."""
    try:
        table = duty_table(app, number, regimes_of(app.settings))
        return summary(table.states(app.clock.now()), table.case.zone)
    except DrdError as error:
        return f"unknown: {error.line}"


def list_(args: argparse.Namespace) -> int:
    with session(args, reading=True) as app:
        require_owner(app, "incident list")
        incidents = app.catalogue.incidents.newest(closed=args.all, limit=args.limit)
        zone = zone_of(app)
    if args.json:
        output.print_json({"incidents": [incident_document(i) for i in incidents]})
    elif not incidents:
        output.say("there was no incident yet" if args.all else "no incident is open")
    else:
        output.say(output.table([_row(i, zone) for i in incidents], header=_HEADER))
    return 0


_HEADER = ("N", "state", "severity", "opened", "plans", "title")


def _row(incident: Incident, zone: tzinfo) -> list[str]:
    return [
        str(incident.number),
        str(incident.state),
        incident.severity or "-",
        format_time(incident.opened_at, zone=zone) if incident.opened_at is not None else "-",
        some(incident.plans) or "-",
        escaped(incident.title),
    ]
