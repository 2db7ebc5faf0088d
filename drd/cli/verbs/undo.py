"""Options of `drd undo`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd undo 4f2a --dry-run                what would be exchanged
  drd undo 4f2a                          what was there before is in its place again
  drd undo 4f2a --component orders-db
  drd undo 4f2a --redo                   what the recovery brought is in its place again

What an undo takes away is kept as well, until `drd done 4f2a` removes what is not in its place.
exit codes: 0 it is so, 1 something stood in the way, 2 nothing is set aside, 11 a recovery of the
plan is being carried out."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "undo",
        description="Exchange what a recovery restored for what was there before, which it "
        "kept. Also for a recovery that failed, was cancelled or was killed: "
        "it cannot be resumed then.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("run", help="id of the run, or its beginning")
    parser.add_argument(
        "--component", action="append", default=[], metavar="C", help="only this one (repeatable)"
    )
    parser.add_argument("--redo", action="store_true", help="revert an undo")
    parser.add_argument("--by", metavar="NAME", help="who says so (default: the user)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.add_argument("--yes", action="store_true", help="do not ask (for machines)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(handler="drd.cli.undo:run")
