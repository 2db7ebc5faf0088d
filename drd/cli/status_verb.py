"""`drd status`: its options, and where the state is."""

from __future__ import annotations

import argparse
import gc
import os

from drd.cli.output import colours
from drd.cli.status import status_command
from drd.config.location import config_path, places
from drd.config.paths import DEFAULT_CONFIG

_UNIT = "/etc/systemd/system/drd.service"
"""The file that `drd install` writes: a host that has it expects a daemon."""


def run(args: argparse.Namespace) -> int:
    gc.disable()  # none of what thousands of plans are read into is garbage before the end
    try:
        return _run(args)
    finally:
        gc.enable()


def _run(args: argparse.Namespace) -> int:
    path, explicit = config_path(args.config)
    at = places(path, explicit=explicit)
    return status_command(
        state_url=at.state_url,
        state_password=at.state_password,
        extensions=at.extensions,
        plans_dir=at.plans_dir,
        public_dir=at.public_dir,
        plan=args.plan,
        json=args.json,
        nagios=args.nagios,
        colour=colours(args.no_color),
        everything=args.all,
        installed=path == DEFAULT_CONFIG and os.path.exists(_UNIT),  # noqa: PTH110 (4 ms)
    )
