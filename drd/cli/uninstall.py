"""`drd uninstall`."""

from __future__ import annotations

import argparse
from pathlib import Path

from drd.cli.install import execute_or_print
from drd.flows.host.install import plan_uninstall


def run(args: argparse.Namespace) -> int:
    execute_or_print(plan_uninstall(Path(args.prefix).absolute()), args)
    return 0
