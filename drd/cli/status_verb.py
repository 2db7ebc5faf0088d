"""`drd status`: its options, and where the state is."""

from __future__ import annotations

import argparse
import gc
import os

from drd.cli.options import global_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EXAMPLES = """\
examples:
  drd status                    every plan on one screen
  drd status orders-api         one plan
  drd status --json | jq -r .verdict
  drd status --nagios           one line for a monitoring plugin, exit 0/1/2/3

exit codes: 0 every plan is met or at risk, 3 any is breached or unknown."""


_UNIT = "/etc/systemd/system/drd.service"
"""What `drd install` puts there: who has it expects a daemon."""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "status",
        help="the one screen: does each plan meet its RPO and RTO",
        description="Per plan: what would be lost now, whether it comes back in time, when that "
        "was last proven. Reads only what drd remembers, so it works when all else is down.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", help="only this plan")
    parser.add_argument(
        "--all", action="store_true", help="every plan, also where a terminal shows the worst only"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document")
    form.add_argument("--nagios", action="store_true", help="monitoring-plugin convention")
    parser.set_defaults(handler="drd.cli.status_verb:run")


def run(args: argparse.Namespace) -> int:
    gc.disable()  # nothing of what thousands of plans are read into is garbage before the end
    try:
        return _run(args)
    finally:
        gc.enable()


def _run(args: argparse.Namespace) -> int:
    from drd.cli.output import colours
    from drd.cli.status import status_command
    from drd.config.location import DEFAULT_CONFIG, config_path, places

    path, explicit = config_path(args.config)
    at = places(path, explicit=explicit)
    return status_command(
        state_url=at.state_url,
        state_password=at.state_password,
        plans_dir=at.plans_dir,
        public_dir=at.public_dir,
        plan=args.plan,
        json=args.json,
        nagios=args.nagios,
        colour=colours(args.no_color),
        everything=args.all,
        installed=path == DEFAULT_CONFIG and os.path.exists(_UNIT),  # noqa: PTH110 (4 ms)
    )
