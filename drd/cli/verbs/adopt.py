"""Options of `drd adopt`: this machine takes over this state."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = (
    "examples:\n  drd adopt                                              which machine owns "
    'the state\n  drd adopt --reason "the host was renamed to db2"       this machine takes '
    "over\n\nOn a copy of drd's state (a cloned machine, a copied directory) drd forgets and "
    "prunes\nnothing until a person decides which machine takes over. On all other machines, "
    "stop drd: systemctl disable --now drd."
)


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "adopt",
        description="Show which machine owns drd's state (its records of plans, runs and restore "
        "points). With --reason, make this machine the owner, after it was renamed, restored, "
        "moved or cloned.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("--reason", metavar="TEXT", help="the reason, which drd records")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.adopt:run")
