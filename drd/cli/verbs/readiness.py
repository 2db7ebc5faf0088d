"""Options of `drd readiness`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd readiness                   every plan of the plans directory
  drd readiness orders-api        one plan: drills, repository, targets, kit, objectives
  drd readiness --json | jq '.plans[] | {plan, readiness}'

To accept the finding NAME for a while, add to the plan:
  readiness: {exceptions: [{finding: NAME, reason: TEXT, until: 2026-12-31}]}

exit codes: 0 all ready, 3 at least one is not."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "readiness",
        description="Test what a recovery will need, read what drills proved, and report for "
        "each plan whether it is ready, needs a drill, or is not ready. The "
        "result is recorded, so that `drd status` shows the verdict, unless the "
        "plan is named by its file or was never loaded. Apart from this, drd "
        "readiness does not change anything.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", help="name of a plan, or its file")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.readiness:run")
