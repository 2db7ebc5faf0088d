"""`drd uninstall`."""

from __future__ import annotations

import argparse
from pathlib import Path


def run(args: argparse.Namespace) -> int:
    from drd.cli.install import carry_out
    from drd.flows.host.install import plan_uninstall

    carry_out(plan_uninstall(Path(args.prefix).absolute()), args)
    return 0
