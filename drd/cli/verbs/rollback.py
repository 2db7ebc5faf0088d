"""Options of `drd rollback`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd rollback 4f2a                      the last step first
  drd rollback 4f2a --dry-run            print what would be rolled back

exit codes: 0 rolled back, 1 a step could not be rolled back, 2 there is nothing to roll back,
11 a process is executing the recovery (drd cancel ends it)."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "rollback",
        description="Roll back the steps of a recovery that have begun, the last one first. Only "
        "steps with a `rollback` in the plan are rolled back. Restored data is not removed.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("run", help="id of the run, or its beginning")
    parser.add_argument(
        "--by",
        metavar="NAME",
        help="the person who decides this, for the record (default: your user)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.rollback:run")
