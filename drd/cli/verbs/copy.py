"""Options of `drd copy`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd copy orders-api                          every complete point into every copy that lacks it
  drd copy orders-api --repository offsite     only into this one
  drd copy orders-api --json | jq '.copies[].held'

The daemon does this by itself, after each backup or by the schedule under `copy` in the plan. A
killed copy continues with the data that has arrived.
exit codes: 0 all points arrived, 1 a point did not, 10 a repository is gone, 11 another drd copies
to it, 12 wrong repository password, 130 cancelled."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "copy",
        description="Copy every complete restore point to the repositories with copy_of.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", help="name of a plan, or its file")
    parser.add_argument("--repository", metavar="NAME", help="copy only to this repository")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.copy:run")
