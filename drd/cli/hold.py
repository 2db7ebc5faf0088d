"""`drd hold`: keep a restore point, whatever the retention rules say."""

from __future__ import annotations

import argparse

from drd import process
from drd.api.documents import hold_document
from drd.cli import output
from drd.cli.session import session
from drd.flows.upkeep.holds import hold
from drd.model.holds import Hold
from drd.model.text import escaped
from drd.model.units import format_time


def run(args: argparse.Namespace) -> int:
    with session(args) as app:
        made = hold(
            app.catalogue,
            args.point,
            args.reason,
            now=app.clock.now(),
            until=args.until,
            by=process.actor_here(),
        )
    if args.json:
        output.print_json({"hold": hold_document(made)})
    elif not args.quiet:
        output.say(f"{made.plan}: {sentence(made)}")
    return 0


def sentence(hold: Hold) -> str:
    until = f" until {format_time(hold.until)}" if hold.until is not None else ""
    by = f", given by {hold.by.words()}" if hold.by is not None else ""
    return f"restore point {hold.point} is held{until}. Reason: {escaped(hold.reason)}{by}"
