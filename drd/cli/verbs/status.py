"""Options of `drd status`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd status                    every plan on one screen
  drd status orders-api         one plan
  drd status --json | jq -r .verdict
  drd status --nagios           one line for a monitoring plugin, exit 0/1/2/3

exit codes: 0 every plan is met or at risk, 3 any is breached or unknown."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "status",
        description="Show for each plan what would be lost now, whether it can be restored in "
        "time, and when that was last proven. Reads only what drd has recorded, so it works "
        "even if everything else is down.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", help="show only this plan")
    parser.add_argument("--all", action="store_true", help="show every plan")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument(
        "--nagios", action="store_true", help="one line for Nagios and similar monitoring"
    )
    parser.set_defaults(handler="drd.cli.status_verb:run")
