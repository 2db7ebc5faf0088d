"""Options of `drd runs`."""

from __future__ import annotations

from drd.cli.options import count, global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd runs                    the newest of all plans
  drd runs orders-api --limit 5
  drd runs --json | jq '.runs[] | select(.state == "failed")'"""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "runs",
        description="List the runs, the newest first. A run whose process died is interrupted, "
        "even if drd has not recorded its end yet.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", help="show only this plan")
    parser.add_argument(
        "--limit", type=count, default=20, metavar="N", help="show at most N runs (default: 20)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.runs:run")
