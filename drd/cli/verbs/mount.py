"""Options of `drd mount`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs
from drd.cli.verbs.ls import point_words

EXAMPLES = """\
examples:
  drd mount orders-api /tmp/look               the newest complete point, until Ctrl-C
  drd mount orders-api 7c1e /tmp/look          this point
  drd mount 7c1e /tmp/look -c gateway          one component of it
  drd mount orders-api /tmp/look --repository offsite    the newest point in this copy

drd prints the directory of each component. A database is there as the file that drd stored; drd ls
shows its tables. A mount needs the package fuse3. During a mount, restic keeps a lock in the
repository, and a prune waits for this lock.
exit codes: 0 unmounted, 1 the point could not be mounted, 10 no repository, 12 wrong repository
password, 13 no such point."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "mount",
        description="Mount a restore point read-only, so that you can read and copy its "
        "files, until Ctrl-C.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    point_words(parser)
    parser.add_argument("directory", metavar="DIR", help="an empty directory")
    parser.add_argument("--repository", metavar="NAME", help="read from this repository alone")
    parser.set_defaults(handler="drd.cli.mount:run")
