"""Options of `drd repository`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Parser, Verbs
from drd.cli.verbs.families import verbs_of

FAMILY = """\
examples:
  drd repository copy orders-api                  the restore points that a copy lacks
  drd repository verify orders-api                read all data of all repositories
  drd repository retention orders-api --dry-run   which restore points stay, and why
  drd repository prune orders-api                 remove the data of forgotten restore points
  drd repository rekey orders-api --password '{credential: orders-2}'"""

EXAMPLES = """\
examples:
  drd repository rekey orders-api --password '{credential: orders-2}'
  drd repository rekey orders-api --repository offsite --password '{file: /root/new}' --no-wait
  drd repository rekey orders-api --repository offsite     continue an earlier rekey

drd adds the new password and tries it at once. Then write its reference into the plan's file: drd
removes the old password when the service has loaded this file. If the command is interrupted, run
it again: it continues.
Without --password, a repository whose password is the text *** gets the password that the plan
names (older versions of drd could use this text by mistake).

If plans of other hosts also store in this repository, these hosts need the new password first: drd
then removes the old password only with --cut-off-others.

exit codes: 0 done, or waiting (--no-wait, other hosts), 1 failed, 2 usage, 11 another rekey
works on it, 12 no known password opens the repository, 130 cancelled: both passwords open it."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "repository",
        description="The repositories of a plan: copy, verify, forget, prune, new password.",
        epilog=FAMILY,
    )
    assert isinstance(parser, Parser)
    verbs = verbs_of(parser, sub, "repository")
    rekey = verbs.add_parser(
        "rekey",
        help="give a repository a new password",
        description="Give a repository of a plan a new password; at every moment one of the "
        "known passwords opens the repository.",
        epilog=EXAMPLES,
    )
    global_options(rekey)
    rekey.add_argument("plan", help="name of a plan, or its file")
    rekey.add_argument(
        "--repository",
        metavar="NAME",
        help="name of the repository (default: the repository that receives the backups)",
    )
    rekey.add_argument(
        "--password",
        metavar="REF",
        help="where drd reads the new password from, as in a plan: "
        "'{credential: NAME}' or '{file: PATH}'",
    )
    rekey.add_argument(
        "--old-password",
        metavar="REF",
        help="where drd reads the old password from, if the plan does not name it: '{credential: "
        "NAME}' or '{file: PATH}'",
    )
    rekey.add_argument(
        "--no-wait",
        action="store_true",
        help="add and try the new password now, but do not wait until the old password "
        "can be removed",
    )
    rekey.add_argument(
        "--cut-off-others",
        action="store_true",
        help="remove the repository's old password although plans that this host does not know "
        "use this repository: their hosts lose access unless they have the new password",
    )
    rekey.add_argument("--json", action="store_true", help="print one JSON document")
    rekey.set_defaults(handler="drd.cli.repository:run")
