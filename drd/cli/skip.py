"""`drd skip`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli.decide import add_verb, decided, who

EXAMPLES = """\
examples:
  drd skip 4f2a warm-up --why "the cache fills by itself"

exit codes: 0 recorded, 2 the step cannot be skipped (any more)."""


def add_parser(sub: Any) -> None:
    parser = add_verb(
        sub,
        "skip",
        help_text="let a recovery go on without one of its steps",
        description="Go on without a step that failed, that waits to be done by hand, or that is "
        "still to come. Approvals cannot be skipped.",
        examples=EXAMPLES,
    )
    parser.add_argument("--why", required=True, metavar="TEXT", help="kept with it")
    parser.add_argument("--by", metavar="NAME", help="who says so (default: the user)")


def run(args: argparse.Namespace) -> int:
    from drd.errors import UsageError

    if not args.why.strip():
        raise UsageError("--why says nothing", hint="give the reason: it is kept with the run.")
    by = who(args)["by"]
    return decided(
        args,
        lambda deciding, _: deciding.skip(args.step, by, args.why),
        "skipped",
        action="skip",
        body={"by": args.by, "reason": args.why},
    )
