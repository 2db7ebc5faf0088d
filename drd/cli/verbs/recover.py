"""Options of `drd recover`."""

from __future__ import annotations

import argparse

from drd.cli.options import count, global_options
from drd.cli.parser import Verbs
from drd.model.plan import SCENARIOS

EXAMPLES = """\
examples:
  drd recover orders-api --target standby --dry-run        what would happen
  drd recover orders-api --target standby                  newest point, asks before it begins
  drd recover orders-api --target standby --before 2h      the newest with data from before that
  drd recover orders-api --target standby --before 0/3000028  a position in the log
  drd recover orders-api --target standby --to-last           to the end of the log
  drd recover orders-api --target standby --lost-at 2026-11-25T00:31:00Z --yes
  drd recover orders-api --target standby --component orders-db
  drd recover orders-api --in-place --overwrite --dry-run  replace the present production data
  drd recover orders-api --in-place --table orders --into orders_yesterday --before 1d
  drd recover orders-api --in-place --database shop --table orders --into orders_then
  drd recover orders-api --in-place --path /etc/nginx/nginx.conf --into /root/nginx
  drd recover orders-api --target standby --component orders-db --into orders_yesterday
  drd recover orders-api --target standby --repository offsite    from this copy alone
  drd recover orders-api --target standby --scenario region-loss  from any copy, by its steps
  drd recover orders-api --target standby --incident 3            on the timeline of incident 3
  drd recover orders-api --target standby --incident 3 --clean    data from before its first sign

To continue a recovery that was killed, run the same command again.
exit codes: 0 recovered and checked, 1 failed, 4 a check failed, 5 no check could run,
11 another recovery is running, 13 no restore point."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "recover",
        description="Restore the components of a plan into one of its targets, or to their "
        "original places. Afterwards drd runs the checks of the plan, and measures how long the "
        "recovery took and how much data was lost. A drill does the same in a sandbox.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", help="name of a plan, or its file")
    _what_options(parser)
    _how_options(parser)
    _part_options(parser)
    parser.add_argument(
        "--incident",
        type=count,
        metavar="N",
        help="record the recovery in this incident; drd adds the plan to the scope of the incident",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.add_argument(
        "--yes", action="store_true", help="do not ask for confirmation (for scripts)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.recover:run", by=None)


def _what_options(parser: argparse.ArgumentParser) -> None:
    """What is restored, from where, and to where."""
    parser.add_argument("--target", metavar="NAME", help="one of the plan's targets")
    parser.add_argument(
        "--in-place",
        action="store_true",
        help="restore over production: to the original places of the components, or to a target "
        "in which a component has its original place",
    )
    parser.add_argument(
        "--point", metavar="ID", help="restore this point (default: the newest complete one)"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--before",
        metavar="PLACE",
        help="restore the newest point with data from before PLACE, a time. If drd receives the "
        "log of a component, drd then replays it, and stops before the first transaction that "
        "was committed at that time or later. For such a component, PLACE can also be a position "
        "in the log (0/3000028, mariadb-bin.000004:1234) or a transaction (its number, or its GTID "
        "0-1-42). To begin with another restore point, add --point",
    )
    which.add_argument(
        "--to-last",
        action="store_true",
        help="replay the logs that drd receives to their end; this is the default, unless "
        "--point is given",
    )
    which.add_argument(
        "--clean",
        action="store_true",
        help="with --incident: restore the newest sound point whose data is all from before the "
        "first sign of this incident (drd incident clean-points), and ask a person to confirm that "
        "the credentials were rotated before the service is used",
    )
    which.add_argument(
        "--clean-before",
        metavar="TIME",
        help="after a break-in: restore the newest point from before TIME, the last moment known "
        "to be clean",
    )
    parser.add_argument("--lost-at", metavar="TIME", help="when the data was lost (default: now)")
    parser.add_argument(
        "--scenario",
        choices=SCENARIOS,
        default=SCENARIOS[0],
        help="what was lost. drd executes the steps whose `when` matches this scenario, and reads "
        "only from repositories that are not lost in this scenario "
        f"(default: {SCENARIOS[0]})",
    )
    parser.add_argument(
        "--component",
        action="append",
        default=[],
        metavar="C",
        help="restore only this component; may be given several times",
    )
    parser.add_argument("--repository", metavar="NAME", help="read from this repository alone")


def _how_options(parser: argparse.ArgumentParser) -> None:
    """What a recovery may do."""
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the content of a target that is not empty"
    )
    parser.add_argument(
        "--accept-paths",
        action="store_true",
        help="also restore the paths of the point that are not in the plan",
    )
    parser.add_argument(
        "--accept-after-kit",
        action="store_true",
        help="on a host made from a recovery kit: restore a point even if it is newer than "
        "the kit, which therefore cannot confirm this point",
    )
    parser.add_argument(
        "--no-undo",
        action="store_true",
        help="delete the replaced data at once, instead of keeping a copy of it until `drd done`",
    )
    parser.add_argument(
        "--no-owner",
        action="store_true",
        help="do not set owners and grants that the target does not allow",
    )
    parser.add_argument(
        "--as-owner",
        action="store_true",
        help="databases: restore with the rights of the database's owner, so that code in "
        "the data does not run as a superuser",
    )


def _part_options(parser: argparse.ArgumentParser) -> None:
    single = parser.add_argument_group(
        "restore a single item, beside the existing data",
        "Restore a component under another name, or only a database of it, or some of its tables "
        "or paths.",
    )
    single.add_argument(
        "--database",
        metavar="D",
        help="components that are a whole server: restore only this database, or the tables in it "
        "that --table names",
    )
    single.add_argument(
        "--table",
        action="append",
        default=[],
        metavar="T",
        help="restore only this table (SCHEMA.NAME or NAME; of a server also "
        "DATABASE.SCHEMA.NAME), under a new name into the existing database; may be given several "
        "times",
    )
    single.add_argument(
        "--path",
        action="append",
        default=[],
        metavar="P",
        help="a file or directory of a files component, as it was backed up; may be given several "
        "times",
    )
    single.add_argument(
        "--into",
        metavar="NAME",
        help="name of the copy: a database, a file or a directory. With one --table: the name of "
        "the new table; with several: a schema. With --path: the directory to restore to",
    )
