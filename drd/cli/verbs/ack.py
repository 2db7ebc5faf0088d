"""Options of `drd ack`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd ack 3f9a --by anna                                until it is resolved
  drd ack 3f9a --by anna --until 8h --why "disk ordered"
  drd ack 3f9a --by anna --until 2026-11-25T08:00:00Z"""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "ack",
        description="Acknowledge an alert: drd does not send reminders of this alert until "
        "--until, or until the alert is resolved. drd sends the alert again if "
        "it is still open after --until, or if it gets worse.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("alert", help="id of the alert, or its beginning")
    parser.add_argument(
        "--by",
        metavar="NAME",
        help="who takes care of the alert (default: the person that `people` maps to your user)",
    )
    parser.add_argument(
        "--until",
        metavar="TIME",
        help="end of the silence, for example 8h, 2d or "
        "2026-11-25T08:00:00Z (default: until the alert is resolved)",
    )
    parser.add_argument(
        "--why", metavar="TEXT", help="a note for the next person who reads the alert"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.ack:run")
