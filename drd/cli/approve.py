"""`drd approve`."""

from __future__ import annotations

import argparse

from drd.cli.decide import agreed


def run(args: argparse.Namespace) -> int:
    return agreed(args, "approve", "approved")
