"""Options of `drd diff`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd diff orders-api          its only component, the newest point against the live database
  drd diff orders-api --component orders-db --point 7c1e                  against the live database
  drd diff orders-api --component gateway --point 7c1e --with 5b02        against another point
  drd diff orders-api --component server --point 7c1e --database shop      one database
  drd diff orders-api --component server --point 7c1e --restored          every row, from a sandbox
  drd diff orders-api --component orders-db --point 7c1e --json | jq .tables

drd compares fingerprints: it does not restore data, and does not need the repository, except with
--restored. For databases it also prints what it does not compare, such as constraints and functions
(`not_compared` in the JSON).
exit codes: 0 compared (`equal` in the JSON has the result), 1 the source could not be read,
2 usage, 13 no such point."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "diff",
        description="List the tables, with their rows, or the files that differ between a restore "
        "point and the live component, or between two restore points: what a recovery would "
        "revert.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", help="name of a plan, or its file")
    parser.add_argument(
        "--component",
        "-c",
        metavar="C",
        help="the component to compare (default: the only one of the plan)",
    )
    parser.add_argument(
        "--point",
        metavar="A",
        help="id of the restore point, or its beginning (default: the newest one)",
    )
    parser.add_argument(
        "--with",
        dest="other",
        default="live",
        metavar="B",
        help="id of another restore point, or `live` for the live component (default: live)",
    )
    parser.add_argument(
        "--database",
        metavar="D",
        help="components that are a whole server: compare only this database",
    )
    parser.add_argument(
        "--restored",
        action="store_true",
        help="databases: restore the points into a sandbox, as a drill does, and compare the "
        "contents of all rows. This also compares tables that changed during the backup, and "
        "restore points without a fingerprint",
    )
    parser.add_argument(
        "--all", action="store_true", help="print all differences, not only the first ones"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.diff:run")
