"""Options of `drd hold`: keep a restore point, whatever the retention rules say."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd hold 1a2b3c4d --reason "audit of 2026"
  drd hold 1a2b3c4d --reason "ticket 4711" --until 2027-03-31
  drd hold 1a2b3c4d --reason "before the upgrade" --until 14d
  drd release 1a2b3c4d

A held point survives retention, prune, copies and drd plan forget, until you release it or
its time ends."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "hold",
        description="Keep a restore point and its snapshots in all repositories.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("point", help="a restore point, or the beginning of its id")
    parser.add_argument(
        "--reason", metavar="TEXT", required=True, help="the reason, which drd records"
    )
    parser.add_argument(
        "--until",
        metavar="TIME",
        help="end of the hold: a date or time (UTC by default), for "
        "example 2027-03-31, or a duration, for example 90d (default: until drd release)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.hold:run")
