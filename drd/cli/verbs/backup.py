"""Options of `drd backup`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd backup orders-api                          everything: one restore point
  drd backup orders-api --component orders-db    only this (the point is incomplete)
  drd backup orders-api --dry-run                what would be captured, and where to
  drd backup orders-api --json | jq .point

exit codes: 0 drd stored all requested components, 1 it did not, 10 no repository,
11 another backup is running, 12 wrong repository password, 130 cancelled."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "backup",
        description="Capture all components of a plan and store them as one restore point.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", help="name of a plan, or its file")
    parser.add_argument(
        "--component",
        action="append",
        default=[],
        metavar="C",
        help="back up only this component; may be given several times",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.add_argument(
        "--accept-size",
        action="store_true",
        help="store a component even if it shrank to almost nothing",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.backup:run")
