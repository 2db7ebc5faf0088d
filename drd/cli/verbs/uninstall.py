"""Options of `drd uninstall`."""

from __future__ import annotations

from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd uninstall                 stop the service, remove its files, as root
  drd uninstall --dry-run       print what drd uninstall would do

Plans, credentials, state, backups and files that somebody changed stay.

exit codes: 0 done, 1 something could not be done, 2 not root."""


def add_parser(sub: Verbs) -> None:
    from drd.cli.verbs.install import options

    parser = sub.add_parser(
        "uninstall",
        description="Stop the service and remove what `drd install` wrote and nobody changed.",
        epilog=EXAMPLES,
    )
    options(parser)
    parser.set_defaults(handler="drd.cli.uninstall:run")
