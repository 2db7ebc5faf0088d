"""`drd retry`."""

from __future__ import annotations

import argparse

from drd.cli.decide import decided, who


def run(args: argparse.Namespace) -> int:
    return decided(
        args,
        lambda deciding, settings: deciding.retry(args.step, who(args, settings)["by"]),
        "is tried again,",
        action="retry",
        body={"by": args.by},
    )
