"""Options of `drd cancel`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd cancel 4f2a                end this run and all that it started (an id's beginning is enough)
  drd cancel 4f2a --json

exit codes: 0 the run has ended, 1 it has not ended yet, 2 there is
no such run, or it was over before."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "cancel",
        description="End a run that waits or runs: its processes end, its locks are removed.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("run", help="id of the run, or its beginning")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.cancel:run")
