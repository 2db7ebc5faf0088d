"""Options of `drd drill`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs
from drd.cli.verbs.kit import key_options
from drd.model.plan import DRILL_SCENARIOS

EXAMPLES = """\
examples:
  drd drill orders-api                   the newest restore point, or what the plan's policy says
  drd drill orders-api --point random    any point of the last 30 days
  drd drill orders-api --point 7c1e      the restore point with this id
  drd drill orders-api --component orders-db     only this component, and how long it takes alone
  drd drill orders-api --scenario region-loss    with copies alone: the backups' repository is lost
  drd drill orders-api --scenario host-loss      with the recovery kit alone: this host is lost
  drd drill orders-api --scenario host-loss --kit orders.kit --passphrase-file F
  drd drill orders-api --scenario operator       you approve and do the steps; it counts for you
  drd drill orders-api --scenario operator --blind   with the printed runbook alone
  drd drill orders-api --keep            keep the sandbox until Ctrl-C

While an operator drill runs, in another terminal: drd approve RUN STEP --by NAME, drd done.
exit codes: 0 passed, 4 a check failed, 5 inconclusive (could not be checked), 11 another drill is
running, 13 no restore point."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "drill",
        description="Test a recovery: restore a point into a temporary sandbox, with the same "
        "steps as a real recovery, and run the plan's checks. drd measures how long this took "
        "(RTA) and how old the data was (RPA), keeps the evidence, and removes the sandbox.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", help="name of a plan, or its file")
    parser.add_argument(
        "--point",
        metavar="ID|latest|random",
        help="the restore point (default: as `drill` in the plan says)",
    )
    parser.add_argument(
        "--scenario",
        choices=DRILL_SCENARIOS,
        help="what the drill assumes to be lost. database-loss: the data. region-loss: also the "
        "repository of the backups, so drd uses a copy. host-loss: this host, so drd uses a "
        "recovery kit. operator: the data, and people answer the approvals and do the manual steps "
        "(default: as `drill` in the plan says)",
    )
    parser.add_argument(
        "--by",
        metavar="NAME",
        help="with --scenario operator: your name. The drill counts only for the person whom the "
        "kernel names: with the name of somebody else it counts for nobody",
    )
    parser.add_argument(
        "--blind",
        action="store_true",
        help="with --scenario operator: print the runbook as the recovery kit has it, and show "
        "nothing else",
    )
    parser.add_argument(
        "--component",
        action="append",
        default=[],
        metavar="C",
        help="drill only this component; may be given several times",
    )
    parser.add_argument("--repository", metavar="NAME", help="read from this repository alone")
    parser.add_argument(
        "--kit",
        metavar="FILE",
        help="with --scenario host-loss: use this kit instead of the one that `kit` in the plan or "
        "drd.yaml names",
    )
    key_options(parser, required=False)
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep the sandbox after the drill, until you press Ctrl-C",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.drill:run")
