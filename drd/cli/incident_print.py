"""`drd incident print`: an incident on paper."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from drd.api.incident_scope import affected_of
from drd.bootstrap import App
from drd.bootstrap.duties import duty_table
from drd.cli import output
from drd.cli.incident_acting import zone_of
from drd.cli.incident_contacts import book_of
from drd.cli.incident_page import Printed, blank_page, page
from drd.cli.incident_scope import readable_plans
from drd.cli.new_file import write_new
from drd.cli.session import require_owner, session
from drd.config.regimes import regimes_of
from drd.errors import DrdError, UsageError
from drd.flows.incidents.choosing import chosen
from drd.model.contacts import ContactBook
from drd.model.incidents.incident import Incident
from drd.model.incidents.investigation import investigation
from drd.model.incidents.timeline import timeline
from drd.model.inventory import dependents
from drd.model.plan import Plan


def run(args: argparse.Namespace) -> int:
    if args.blank and args.number is not None:
        hint = "leave out the number, or --blank."
        raise UsageError(f"--blank and incident {args.number} were given together", hint=hint)
    if args.output is None and not args.json and sys.stdout.isatty():
        raise UsageError(
            "the page is HTML for a browser, and stdout is a terminal",
            hint="name a file: --output FILE",
        )
    number = None
    if args.blank:
        made = blank_page(_book(args))
    else:
        with session(args, reading=True) as app:
            require_owner(app, "incident print")
            number = chosen(app.catalogue, args.number)
            made = page(_printed(app, app.catalogue.incidents.get(number)))
    if args.output is not None:
        write_new(args.output, made)
    if args.json:
        html = made.decode() if args.output is None else None
        output.print_json({"incident": number, "file": args.output, "html": html})
    elif args.output is None:
        sys.stdout.buffer.write(made)
    elif not args.quiet:
        output.say(f"wrote {args.output}: open it in a browser, and print it")
    return 0


def _printed(app: App, incident: Incident) -> Printed:
    """Collect what is known. What is wrong with a plan or a regime must not hide the rest."""
    now, zone = app.clock.now(), zone_of(app)
    entries = app.catalogue.incidents.entries(incident)
    lines, found = timeline(incident, entries, zone), investigation(entries)
    plans: dict[str, Plan] = {}
    try:
        plans.update(readable_plans(app))
    except DrdError as error:
        output.warn(error.line)
    reached = dependents(plans, incident.plans)
    affected = affected_of(incident, plans)
    book = app.settings.contacts
    printed = Printed(incident, lines, now, reached, affected, zone=zone, found=found, book=book)
    try:
        table = duty_table(app, incident.number, regimes_of(app.settings))
        clocks = table.states(now)
    except DrdError as error:
        why = error.line
        return replace(printed, clocks_unknown=why)
    return replace(printed, clocks=clocks)


def _book(args: argparse.Namespace) -> ContactBook:
    """Return whom to call; empty if drd.yaml cannot be read, for paper is needed all the same."""
    try:
        return book_of(args)
    except DrdError as error:
        output.warn(f"the sheets name no contacts: {error.line}")
        return ContactBook()
