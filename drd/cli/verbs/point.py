"""The verbs of `drd point`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs
from drd.cli.verbs.families import family

EXAMPLES = """\
examples:
  drd point list orders-api             the restore points of a plan
  drd point ls orders-api 7c1e          what one of them contains
  drd point hold 7c1e --reason "evidence for the audit"
  drd point forget 7c1e --reason "its data is damaged, the bucket has no copy\""""


def add_parser(sub: Verbs) -> None:
    verbs = family(
        sub, "point", "The restore points: list, show their content, keep, forget.", EXAMPLES
    )
    forget = verbs.add_parser(
        "forget",
        help="forget points that are damaged, missing or dated by a wrong clock",
        description="Forget points that are damaged, missing or dated by a wrong clock, so that "
        "retention continues.",
        epilog=EXAMPLES,
    )
    global_options(forget)
    forget.add_argument("point", nargs="+", help="ids of restore points, or their beginnings")
    forget.add_argument(
        "--reason", metavar="TEXT", required=True, help="the reason, which drd records"
    )
    forget.add_argument(
        "--repository", metavar="NAME", help="forget only the snapshots in this repository"
    )
    forget.add_argument(
        "--force", action="store_true", help="also forget points without known damage"
    )
    forget.add_argument(
        "--yes", action="store_true", help="do not ask for confirmation (for scripts)"
    )
    forget.add_argument("--json", action="store_true", help="print one JSON document")
    forget.set_defaults(handler="drd.cli.points_forget:forget")
