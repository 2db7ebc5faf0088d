"""Options of `drd evidence`."""

from __future__ import annotations

from drd.cli.options import count, global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd evidence list                    the newest drills and recoveries
  drd evidence list orders-api --limit 5
  drd evidence show 1528-212670ac      all that was recorded (the beginning is enough)
  drd evidence show 212670ac --json    by the id of the run
  drd evidence show ./records          the evidence in exported records, on any machine
  drd evidence verify ./records --key 343ecbf19a9d86c4

exit codes: 0 shown, 1 another record contradicts this evidence, 2 there is no such evidence; of
verify: those of drd records verify."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "evidence",
        description="Show what drills and recoveries proved.",
        epilog=EXAMPLES,
    )
    verbs = parser.add_subparsers(dest="evidence_verb", metavar="list|show|verify", required=True)
    several = verbs.add_parser(
        "list",
        help="when each drill and recovery ended, how, and what it proved",
        description="List the evidence of drills and recoveries, the newest first.",
        epilog=EXAMPLES,
    )
    global_options(several)
    several.add_argument("plan", nargs="?", help="show only this plan")
    several.add_argument(
        "--limit", type=count, default=20, metavar="N", help="show at most N records (default: 20)"
    )
    several.add_argument("--json", action="store_true", help="print one JSON document")
    several.set_defaults(handler="drd.cli.evidence:list_")
    one = verbs.add_parser(
        "show",
        help="everything in one evidence record, compared with the other records",
        description="Show one evidence record, and whether other records of the catalogue confirm "
        "it.",
        epilog=EXAMPLES,
    )
    global_options(one)
    one.add_argument(
        "evidence",
        help="id of the evidence or of its run, or its beginning; or an export of the records, as "
        "a path with a slash",
    )
    one.add_argument("--json", action="store_true", help="print one JSON document")
    one.set_defaults(handler="drd.cli.evidence:show")
    check = verbs.add_parser(
        "verify",
        help="whether evidence in an export was changed",
        description="Check an export of the records on any machine, without the catalogue: hashes, "
        "order, bodies, signatures.",
        epilog=EXAMPLES,
    )
    global_options(check)
    check.add_argument("file", metavar="FILE", help="an export: its directory or file")
    check.add_argument(
        "--key", metavar="ID", help="the id of the key that must have signed: see drd records key"
    )
    check.add_argument("--json", action="store_true", help="print one JSON document")
    check.set_defaults(handler="drd.cli.records_verify:verify", timestamp_ca=None)
