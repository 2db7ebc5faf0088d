"""Options of `drd release`: end a hold, so that retention may forget the restore point."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd release 1a2b3c4d
  drd release 1a2b3c4d --reason "the audit is over"

The next retention decides about the point by the plan's rules."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "release",
        description="End all holds on a restore point.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("point", help="a held restore point, or the beginning of its id")
    parser.add_argument(
        "--reason", metavar="TEXT", default="", help="the reason, which drd records"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.release:run")
