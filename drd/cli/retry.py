"""`drd retry`."""

from __future__ import annotations

import argparse

from drd.cli.decide import decided, who


def run(args: argparse.Namespace) -> int:
    by = who(args)["by"]
    return decided(
        args,
        lambda deciding, _: deciding.retry(args.step, by),
        "is tried again,",
        action="retry",
        body={"by": args.by},
    )
