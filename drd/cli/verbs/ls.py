"""Options of `drd ls`."""

from __future__ import annotations

from argparse import ArgumentParser

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd ls orders-api                            what the newest complete point contains
  drd ls orders-api 7c1e /etc/nginx            a directory of this point
  drd ls orders-api 7c1e public.orders         a table, or all tables of a schema: public
  drd ls orders-api --before 2h /etc/nginx     the newest point with data from before that
  drd ls 7c1e --json                           the id of a point names its plan as well

PATH is what drd recover takes after --path or --table. Sizes of directories are those of all files
below. Only the times of files are read from a repository.
exit codes: 0 listed, 2 the point does not contain PATH, or its kind cannot list,
13 no such point."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "ls",
        description="List what a restore point contains: the files of a directory, with size, mode "
        "and time, or the tables of a database, with their rows.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    point_words(parser)
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        help="what to list: a directory, a file, a schema, a table or a component",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.ls:run")


def point_words(parser: ArgumentParser) -> None:
    """Add how a person names a restore point to look into."""
    parser.add_argument("plan", help="name of a plan, or its file; or the id of a restore point")
    parser.add_argument(
        "point",
        metavar="POINT",
        nargs="?",
        help="id of a restore point, its beginning, or `latest` (default)",
    )
    parser.add_argument(
        "--before",
        metavar="T",
        help="use the newest complete point with data from before T, for example "
        "2026-11-25T00:31:00Z or 2h; instead of POINT",
    )
    parser.add_argument(
        "--component",
        "-c",
        action="append",
        default=[],
        metavar="C",
        help="only this component; may be given several times",
    )
