"""`drd release`: let a held restore point go by the rules again."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli import output
from drd.cli.options import global_options

EXAMPLES = """\
examples:
  drd release 1a2b3c4d
  drd release 1a2b3c4d --reason "the audit is over"

The next retention decides about the point by the plan's rules."""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "release",
        help="let a held restore point go by the rules again",
        description="End all holds on a restore point.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("point", help="a held restore point, or the beginning of its id")
    parser.add_argument("--reason", metavar="TEXT", default="", help="why, for the record")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.release:run")


def run(args: argparse.Namespace) -> int:
    from drd import process
    from drd.api.documents import hold_document
    from drd.cli.session import session
    from drd.flows.upkeep.holds import release

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
            output.say(f"{hold.plan}: {hold.point} is not held any more: {hold.reason}")
    return 0
