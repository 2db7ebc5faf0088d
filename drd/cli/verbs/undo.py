"""Options of `drd undo`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd undo                               what can be undone
  drd undo 4f2a --dry-run                what would be put back
  drd undo 4f2a                          put back the data from before the recovery
  drd undo 4f2a --component orders-db
  drd undo 4f2a --redo                   put back the recovered data

An undo also keeps the data that it replaces, until `drd done 4f2a` removes all kept copies.
exit codes: 0 done, 1 something prevented it, 2 there is no kept copy, 11 a process is executing a
recovery of the plan."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "undo",
        description="Put the data that a recovery replaced back in its place, and keep the "
        "restored data as a copy. This also works after a recovery that failed, was cancelled or "
        "was killed; such a recovery cannot be resumed afterwards.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument(
        "run",
        nargs="?",
        help="id of the run, or its beginning; without an id, drd lists what can be undone",
    )
    parser.add_argument(
        "--component",
        action="append",
        default=[],
        metavar="C",
        help="undo only this component; may be given several times",
    )
    parser.add_argument("--redo", action="store_true", help="revert an undo")
    parser.add_argument(
        "--by",
        metavar="NAME",
        help="the person who decides this, for the record (default: your user)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.add_argument(
        "--yes", action="store_true", help="do not ask for confirmation (for scripts)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.undo:run")
