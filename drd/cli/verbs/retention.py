"""Options of `drd retention`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd retention orders-api --dry-run     which points stay, and why; which are forgotten
  drd retention orders-api               forget them; drd prune removes their data later
  drd retention orders-api --force --reason "the policy is shorter now"

Retention is paused (this is not a failure) while there is a problem with the clock, the listing or
the last backup: the output has the reason and the remedy. exit codes: 0 done or paused, 1
failed, 10 a repository is gone, 11 locked or another drd works on it, 12 wrong repository
password, 130 cancelled."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "retention",
        description="Forget whole restore points that the plan's retention does not keep. The age "
        "of a point is the time between it and the newest complete point. drd always keeps the "
        "newest complete point, the newest point that passed a drill, and held points (drd "
        "hold). One run forgets at most a quarter of the existing points, and one more for each "
        "backup that completed since the last retention.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", help="name of a plan, or its file")
    parser.add_argument("--dry-run", action="store_true", help="print what would be forgotten")
    parser.add_argument(
        "--force",
        action="store_true",
        help="forget all points that the plan's retention does not keep, even if they "
        "are more than the limit of one run",
    )
    parser.add_argument(
        "--clock-is-right",
        action="store_true",
        help="after this host's clock was set: confirm that the present time is right, so that "
        "retention continues",
    )
    parser.add_argument(
        "--reason",
        metavar="TEXT",
        help="the reason, which drd records; --force and --clock-is-right need a reason",
    )
    parser.add_argument(
        "--no-prune",
        action="store_true",
        help="has no effect: retention never prunes (accepted for older scripts)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.retention:run")
