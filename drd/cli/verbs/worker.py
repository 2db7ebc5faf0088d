"""Options of `drd worker`: what the daemon starts for each run. Not for people."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "worker",
        description="Execute the pending run RUN, or end a run whose process died.",
    )
    global_options(parser)
    parser.add_argument("run", help="id of the run")
    parser.add_argument(
        "--settle",
        metavar="ERROR",
        help="the process of RUN died: clean up after it, and end the run with this error "
        "(any text)",
    )
    parser.add_argument(
        "--code",
        default="",
        help="with --settle: the code of that error, as `drd run show --json` prints it",
    )
    parser.add_argument(
        "--cancelled",
        action="store_true",
        help="with --settle: record the run as cancelled, not as failed",
    )
    parser.add_argument(
        "--plan-on-stdin", action="store_true", help="read the plan's text from stdin"
    )
    parser.set_defaults(handler="drd.cli.worker:run")
