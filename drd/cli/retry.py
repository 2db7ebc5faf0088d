"""`drd retry`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli.decide import add_verb, decided, who

EXAMPLES = """\
examples:
  drd retry 4f2a smoke-test              try the step that failed once more

exit codes: 0 recorded, 2 nobody asks whether to try it again."""


def add_parser(sub: Any) -> None:
    parser = add_verb(
        sub,
        "retry",
        help_text="try a failed step of a recovery again",
        description="Try a step again that has failed and is asked about, or that has ended the "
        "recovery; in that case `drd resume` then goes on with it.",
        examples=EXAMPLES,
    )
    parser.add_argument("--by", metavar="NAME", help="who says so (default: the user)")


def run(args: argparse.Namespace) -> int:
    by = who(args)["by"]
    return decided(
        args,
        lambda deciding, _: deciding.retry(args.step, by),
        "is tried again,",
        action="retry",
        body={"by": args.by},
    )
