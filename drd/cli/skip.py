"""`drd skip`."""

from __future__ import annotations

import argparse

from drd.cli.decide import decided, who
from drd.errors import UsageError


def run(args: argparse.Namespace) -> int:
    if not args.why.strip():
        raise UsageError("--why is empty", hint="give the reason: drd stores it with the run.")
    return decided(
        args,
        lambda deciding, settings: deciding.skip(args.step, who(args, settings)["by"], args.why),
        "skipped",
        action="skip",
        body={"by": args.by, "reason": args.why},
    )
