"""`drd release`: end a hold, so that retention may forget the restore point."""

from __future__ import annotations

import argparse

from drd import process
from drd.api.documents import hold_document
from drd.cli import output
from drd.cli.session import session
from drd.flows.upkeep.holds import release


def run(args: argparse.Namespace) -> int:
    with session(args) as app:
        ended = release(
            app.catalogue,
            args.point,
            args.reason,
            now=app.clock.now(),
            by=process.actor_here(),
        )
    if args.json:
        output.print_json({"released": [hold_document(hold) for hold in ended]})
    elif not args.quiet:
        for hold in ended:
            output.say(
                f"{hold.plan}: restore point {hold.point} is no longer held. It was held for this "
                f"reason: {hold.reason}"
            )
    return 0
