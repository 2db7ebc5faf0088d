"""`drd hold`: keep a restore point whatever the rules say."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.cli.options import global_options

if TYPE_CHECKING:
    from drd.model.holds import Hold

EXAMPLES = """\
examples:
  drd hold 1a2b3c4d --reason "audit of 2026"
  drd hold 1a2b3c4d --reason "ticket 4711" --until 2027-03-31
  drd hold 1a2b3c4d --reason "before the upgrade" --until 14d
  drd release 1a2b3c4d

A held point stays through retention, prune, copies and drd plan forget, until it is released by
name or the time is over."""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "hold",
        help="keep a restore point whatever the rules say",
        description="Keep a restore point and its snapshots in all repositories.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("point", help="a restore point, or the beginning of its id")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why, for the record")
    parser.add_argument(
        "--until", metavar="TIME", help="a date or time (UTC unless it says), or how long: 90d"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.hold:run")


def run(args: argparse.Namespace) -> int:
    from drd import process
    from drd.api.documents import hold_document
    from drd.cli.session import session
    from drd.flows.upkeep.holds import hold

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
    until = f" until {hold.until:%Y-%m-%d %H:%M} UTC" if hold.until is not None else ""
    by = f", by {hold.by.words()}" if hold.by is not None else ""
    return f"{hold.point} is held{until}: {output.unmarked(hold.reason)}{by}"
