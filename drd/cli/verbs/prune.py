"""Options of `drd prune`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd prune orders-api                          in every repository of the plan
  drd prune orders-api --repository offsite     only in this one

During a prune no backup can be stored in the repository. A prune is paused (this is not a failure)
while the repository lacks snapshots that somebody removed without drd: a prune would make this loss
final.
exit codes: 0 done or paused, 1 failed, 10 a repository is gone, 11 locked or another drd works on
it, 12 wrong repository password, 130 cancelled."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "prune",
        description="Remove the data of forgotten restore points from a plan's repositories.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", help="name of a plan, or its file")
    parser.add_argument("--repository", metavar="NAME", help="prune only this repository")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.prune:run")
