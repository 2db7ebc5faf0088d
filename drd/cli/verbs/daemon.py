"""Options of `drd daemon`: the service itself, in the foreground."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd daemon                     what the systemd unit starts: until SIGTERM
  kill -HUP PID                  read drd.yaml and plans again (systemctl reload drd)

exit codes: 0 stopped on request, 1 the catalogue cannot be used, 2 configuration, 11 already
running."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "daemon",
        description="Start every run when it is due, supervise it, and report problems.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.set_defaults(handler="drd.cli.daemon:run")
