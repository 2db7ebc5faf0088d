"""`drd uninstall`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = """\
examples:
  drd uninstall                 stop the service, remove its files, as root
  drd uninstall --dry-run       say what that would do

Plans, credentials, state, backups and files that somebody changed stay.

exit codes: 0 done, 1 something could not be done, 2 not root."""


def add_parser(sub: Any) -> None:
    from drd.cli.install import options

    parser = sub.add_parser(
        "uninstall",
        help="stop the service and remove what install put",
        description="Stop the service and remove what `drd install` put and nobody changed.",
        epilog=EXAMPLES,
    )
    options(parser)
    parser.set_defaults(handler="drd.cli.uninstall:run")


def run(args: argparse.Namespace) -> int:
    from drd.cli.install import carry_out
    from drd.flows.host.install import plan_uninstall

    carry_out(plan_uninstall(Path(args.prefix).absolute()), args)
    return 0
