"""Options of `drd alerts`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd alerts                    the open alerts, the worst first
  drd alerts orders-api --all   also resolved alerts
  drd alerts --json | jq -r '.alerts[] | select(.severity == "critical") | .message'"""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "alerts",
        description="List the alerts. The daemon raises an alert for each problem that "
        "lasts, sends it to the channels of drd.yaml, and resolves the alert "
        "when the problem does not return.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", help="show only this plan")
    parser.add_argument("--all", action="store_true", help="also show the newest resolved alerts")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.alerts:run")
