"""Options of `drd done`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd done 4f2a plug-in --by anna        the manual step plug-in
  drd done 4f2a                          the recovery: its kept copies are removed for good
  drd done 4f2a plug-in --by anna --comment "port 7, not 8"

exit codes: 0 recorded, 1 something could not be removed, 2 the run does not wait for this
step, or not for this person, 11 a process is executing a recovery of the plan."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "done",
        description="With STEP: report that a step of kind manual is done, from any "
        "terminal of this host, even while no process executes the recovery. "
        "NAME is one of the people in drd.yaml and holds the role, if the step "
        "requires one. Without STEP: confirm that the recovery is good. drd "
        "removes the copies of the replaced data, so `drd undo` is not possible any more.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("run", help="id of the run, or its beginning")
    parser.add_argument("step", nargs="?", help="the step's name")
    parser.add_argument(
        "--by", metavar="NAME", help="the person who did the step (required with STEP)"
    )
    parser.add_argument(
        "--comment", default="", metavar="TEXT", help="a comment, which drd keeps with the decision"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be removed")
    parser.add_argument(
        "--yes", action="store_true", help="do not ask for confirmation (for scripts)"
    )
    parser.add_argument(
        "--accept-unfinished",
        action="store_true",
        help="with --yes: also confirm a recovery that stopped in the middle; production then "
        "keeps a mixture of old and restored data",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.done:run")
