"""Options of `drd config`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd config check                 /etc/drd/drd.yaml, or the file of --config
  drd config check ./drd.yaml      another file, before you install it
  drd config check --json | jq '.problems[]'

exit codes: 0 the file is sound (warnings allowed), 2 it is not."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "config",
        description="drd.yaml contains drd's own settings: where plans and state are, whom "
        "drd notifies, who may decide.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    verbs = parser.add_subparsers(dest="config_verb", metavar="VERB", required=True)
    check = verbs.add_parser(
        "check",
        help="check drd.yaml, and show each problem with its line",
        description="Read drd.yaml and report everything that is wrong with it, as "
        "`file:line: key: message`, before `systemctl reload drd` reads it. The "
        "check does not use the network and does not change anything. It needs "
        "root only for a file that other users may not read.",
        epilog=EXAMPLES,
    )
    global_options(check)
    check.add_argument(
        "file", nargs="?", metavar="FILE", help="the file to check (default: this host's drd.yaml)"
    )
    check.add_argument("--json", action="store_true", help="print one JSON document")
    check.set_defaults(handler="drd.cli.config:check")
