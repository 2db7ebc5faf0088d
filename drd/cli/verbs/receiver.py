"""Options of `drd receiver`: what the daemon starts for each log that it receives. Not for
people."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "receiver",
        description="Receive the log of a component, and store it, until the service ends.",
    )
    global_options(parser)
    parser.add_argument("plan", help="name of the plan")
    parser.add_argument("component", help="name of the component")
    parser.add_argument(
        "--plan-on-stdin", action="store_true", help="read the plan's text from stdin"
    )
    parser.add_argument(
        "--leave",
        action="store_true",
        help="remove what the server keeps for a component that has no log any more",
    )
    parser.set_defaults(handler="drd.cli.receiver:run")
