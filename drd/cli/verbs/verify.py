"""Options of `drd verify`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd verify orders-api                          read everything in every repository
  drd verify orders-api --repository offsite     only in this one
  drd verify orders-api --share                  only what the next run by schedule would read

Backups can run at the same time.

exit codes: 0 all repositories are sound, 1 one is damaged or was not read completely, 10 a
repository is gone, 11 another drd checks it, 12 wrong repository password, 130 cancelled."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "verify",
        description="Check that a plan's repositories contain all data of their restore "
        "points, and that the data can be read as it was written.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", help="name of a plan, or its file")
    parser.add_argument("--repository", metavar="NAME", help="verify only this repository")
    parser.add_argument(
        "--share",
        action="store_true",
        help="read only as much as a scheduled verification reads, not everything",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.verify:run")
