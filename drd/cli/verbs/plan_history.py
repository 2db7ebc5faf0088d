"""Options of `drd plan history`."""

from __future__ import annotations

from typing import Any

from drd.cli.options import count, global_options

EXAMPLES = """\
examples:
  drd plan history orders-api              the last ten versions, and what changed
  drd plan history orders-api --limit 50
  drd plan history orders-api --json | jq '.versions[] | select(.proven_by == [])'

exit codes: 0 listed, 2 usage."""


def add_history(verbs: Any) -> None:
    parser = verbs.add_parser(
        "history",
        help="the versions of a plan, what changed in each, and which drills proved it",
        description="List the versions of a plan that runs and restore points used: when and by "
        "whom each version was first used, which drills proved it, and what changed since the "
        "version before. drd reads former texts from the manifests of restore points. If no "
        "restore point of a version is left, drd does not know the text of this version.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", metavar="PLAN", help="name of a plan")
    parser.add_argument(
        "--limit",
        type=count,
        default=10,
        metavar="N",
        help="show the last N versions (default: 10)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.plan_history:history")
