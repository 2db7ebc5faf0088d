"""Options of `drd run show`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd run show 4f2a              one run with its steps (the beginning of an id is enough)
  drd run show 4f2a --follow     until the run ends; Ctrl-C does not stop the run
  drd run show 4f2a --json

exit codes: 0, 2 there is no such run; with --follow 1 when it did not succeed."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "run",
        description="Show one run.",
        epilog=EXAMPLES,
    )
    verbs = parser.add_subparsers(dest="run_verb", metavar="show", required=True)
    one = verbs.add_parser(
        "show",
        help="state, error and steps of a run",
        description="Show a run with its steps.",
        epilog=EXAMPLES,
    )
    global_options(one)
    one.add_argument("run", help="id of the run, or its beginning")
    one.add_argument("--follow", action="store_true", help="wait until the run ends")
    one.add_argument("--json", action="store_true", help="print one JSON document")
    one.set_defaults(handler="drd.cli.run:show")
