"""`drd incident print`: an incident on paper."""

from __future__ import annotations

import argparse
import sys
from zoneinfo import ZoneInfo

from drd.api.incident_page import blank_page, collected, page
from drd.bootstrap import App
from drd.cli import output
from drd.cli.incident_acting import path_of
from drd.cli.incident_contacts import book_of
from drd.cli.incident_scope import plans_or_warning
from drd.cli.new_file import write_new
from drd.cli.remote import Remote
from drd.cli.session import session
from drd.config.zones import local_zone
from drd.errors import DrdError, UsageError
from drd.flows.incidents.choosing import chosen
from drd.model.contacts import ContactBook


def run(args: argparse.Namespace) -> int:
    if args.blank and args.number is not None:
        hint = "leave out the number, or --blank."
        raise UsageError(f"--blank and incident {args.number} cannot be combined", hint=hint)
    if args.output is None and not args.json and sys.stdout.isatty():
        raise UsageError(
            "the page is HTML for a browser, and stdout is a terminal",
            hint="name a file: --output FILE",
        )
    number = None
    if args.blank:
        made = blank_page(*_book(args))
    else:
        with session(args, reading=True) as app:
            number, made = _made(app, args)
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


def _made(app: App, args: argparse.Namespace) -> tuple[int, bytes]:
    """Return the number of the incident, and the page."""
    if not app.state.is_ours:
        told = Remote(app).get(f"{path_of(args.number)}/page")
        return told["incident"], told["html"].encode()
    incident = app.catalogue.incidents.get(chosen(app.catalogue, args.number))
    plans = plans_or_warning(app)
    entries = app.catalogue.incidents.entries(incident)
    return incident.number, page(collected(app, incident, entries, plans))


def _book(args: argparse.Namespace) -> tuple[ContactBook, ZoneInfo]:
    """Return whom to call, and the zone of times. If drd.yaml cannot be read, the sheets are
    printed without names."""
    try:
        return book_of(args)
    except DrdError as error:
        output.warn(f"drd prints the sheets without contacts: {error.line}")
        return ContactBook(), local_zone(None)
