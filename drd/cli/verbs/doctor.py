"""Options of `drd doctor`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd doctor                  every plan of the plans directory
  drd doctor orders-api       one plan: tools, rights, repository, sandbox, disk
  drd doctor orders-api --grants | su postgres -c 'psql -f -'
                              give the roles of PostgreSQL all their rights
  drd doctor --as-service     test with the user and the rights of the systemd service
  drd doctor --json | jq '.items[] | select(.ok | not)'

exit codes: 0 nothing is missing, 1 something is missing, 2 there is no plan."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "doctor",
        description="Test everything that backups, drills and recoveries need, and report "
        "what is missing, with the remedy. drd doctor does not change anything, "
        "and does not load a plan.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", help="name of a plan, or its file")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print one JSON document")
    how.add_argument(
        "--grants",
        action="store_true",
        help="only print one SQL script with all rights that the plan's roles need for backups, "
        "drills and recoveries; its first line says how to run it",
    )
    parser.add_argument(
        "--kind",
        metavar="KIND",
        help="with --grants: only for the components of this kind, if the plan has servers of "
        "several products",
    )
    parser.add_argument(
        "--as-service",
        action="store_true",
        help="test with the user, the rights and the restrictions of drd.service (needs root)",
    )
    parser.set_defaults(handler="drd.cli.doctor:run")
