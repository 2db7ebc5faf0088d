"""Options of `drd run show`, and the verbs of `drd run`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Parser, Verbs
from drd.cli.verbs.families import verbs_of

EXAMPLES = """\
examples:
  drd run list                   the newest runs of all plans (drd run alone as well)
  drd run show 4f2a              one run with its steps (the beginning of an id is enough)
  drd run show 4f2a --follow     until the run ends; Ctrl-C does not stop the run
  drd run show 4f2a --json

exit codes: 0 shown, 2 there is no such run; with --follow 1 the run did not succeed."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "run",
        description="The runs: which ended, which are running, and what a recovery waits for.",
        epilog=EXAMPLES,
    )
    assert isinstance(parser, Parser)
    verbs = verbs_of(parser, sub, "run")
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
