"""Options of `drd points`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd points orders-api
  drd points orders-api --component orders-db    points with this component, and its size
  drd points orders-api --repository offsite     what could be recovered from this copy alone
  drd points orders-api --json | jq -r '.points[0].point'
  drd points forget 1a2b3c4d --reason "its data is damaged, the bucket has no copy"

`drd points forget` forgets points that are damaged, missing or dated by a wrong clock, so that
retention continues. A plan whose name is forget: drd points ./forget.yaml."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "points",
        description="List a plan's restore points, newest first, and the drill that proved each.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument(
        "plan",
        help="name of the plan whose restore points drd lists; or the word `forget`, followed by "
        "the ids of the restore points to forget",
    )
    parser.add_argument(
        "point", nargs="*", default=[], help="with forget: the ids of the restore points to forget"
    )
    parser.add_argument(
        "--component",
        metavar="C",
        help="list only points that contain this component, with its size and data time",
    )
    parser.add_argument(
        "--reason", metavar="TEXT", help="with forget: the reason, which drd records"
    )
    parser.add_argument(
        "--repository",
        metavar="NAME",
        help="list only points in this repository, and the times that the log there reaches; "
        "with forget: forget only the snapshots in this repository",
    )
    parser.add_argument(
        "--force", action="store_true", help="with forget: also forget points without known damage"
    )
    parser.add_argument(
        "--yes", action="store_true", help="with forget: do not ask for confirmation (for scripts)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.points:run")
