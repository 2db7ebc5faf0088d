"""Options of `drd install`."""

from __future__ import annotations

import argparse

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd install                   install the systemd service, as root
  drd install --dry-run         print what drd install would do
  drd install --prefix ./image  the same files below another root

A newer drd replaces files of its own that nobody changed. Plans, credentials,
state and an existing drd.yaml are never touched.

exit codes: 0 done, 1 something could not be done, 2 not root."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "install",
        description="Install the systemd unit, its user and directories and an example "
        "drd.yaml. A second run changes nothing.",
        epilog=EXAMPLES,
    )
    options(parser)
    parser.set_defaults(handler="drd.cli.install:run")


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `install` and `uninstall` share."""
    global_options(parser)
    parser.add_argument(
        "--prefix", metavar="DIR", default="/", help="install below this directory (default: /)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
