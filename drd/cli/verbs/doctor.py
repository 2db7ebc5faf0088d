"""Options of `drd doctor`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd doctor                  every plan of the plans directory
  drd doctor orders-api       one plan: tools, rights, repository, sandbox, disk
  drd doctor --as-service     as the systemd service would find it, with its rights
  drd doctor --json | jq '.items[] | select(.ok | not)'

exit codes: 0 nothing is missing, 1 something is, 2 there is no plan."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "doctor",
        description="Try what backups, drills and recoveries will need, and report what is "
        "missing with the remedy. Changes nothing.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", help="name of a plan, or its file")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--as-service",
        action="store_true",
        help="examine all this as drd.service will: with its user, its rights and its restrictions "
        "(needs root)",
    )
    parser.set_defaults(handler="drd.cli.doctor:run")
