"""Options of `drd status`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd status                    every plan on one screen
  drd status orders-api         one plan with its components, repositories and drills
  drd status --json | jq -r .state
  drd status --nagios           one line for a monitoring plugin, exit 0/1/2/3

states, the worst first; a plan shows the worst that applies:
  breached     an objective is missed, or the last drill failed
  unknown      not proven: never drilled, or the last drill is too old
  not ready    a recovery lacks something, or a drill left something out
  needs drill  the plan changed since its last drill, or the next one is overdue
  at risk      an objective may be missed soon, or an alert needs a person
  ok           none of these

columns: WOULD LOSE NOW is the age of the newest data that can be restored, RPO
how much may be lost, COMES BACK IN how long a recovery takes by the last passed
drill, RTO how long it may take, RPO KEPT the share of the time in which no more
than the RPO would have been lost (- on the first day), COPY what would be lost
if only the copy that is furthest behind were left (never (1 of 3): one of three
copies has no restore point yet; drd status PLAN shows each).
All words of drd: docs/glossary.md

exit codes: 0 every plan is ok, at risk or needs a drill; 2 drd.yaml is broken;
3 any plan is breached, unknown or not ready. With --nagios: 0 ok; 1 at risk,
needs drill or not ready; 2 breached; 3 unknown."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "status",
        description="Show the state of each plan in one word, the reason, and the command "
        "that helps; how much data would be lost now, whether the service can be "
        "restored in time, and when this was last proven. With a plan: "
        "everything that drd knows of this plan. drd status reads only what drd "
        "has recorded, so it works even if everything else is down.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", help="show everything about this plan")
    parser.add_argument("--all", action="store_true", help="show every plan")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument(
        "--nagios", action="store_true", help="one line for Nagios and similar monitoring"
    )
    parser.set_defaults(handler="drd.cli.status_verb:run")
