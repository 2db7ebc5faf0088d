"""Options of `drd schedule`."""

from __future__ import annotations

from drd.cli.options import count, global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd schedule                   what runs next, for how long, and why
  drd schedule orders-api        of one plan
  drd schedule --limit 5         the next five
  drd schedule --json | jq '.items[0]'"""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "schedule",
        description="List when each kind of run starts next, as the daemon calculates it.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", help="name of a plan")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--limit", type=count, metavar="N", help="show only the next N scheduled runs"
    )
    length.add_argument("--all", action="store_true", help="show all scheduled runs")
    parser.set_defaults(handler="drd.cli.schedule:run")
