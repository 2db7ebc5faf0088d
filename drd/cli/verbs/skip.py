"""Options of `drd skip`."""

from __future__ import annotations

from drd.cli.parser import Verbs
from drd.cli.verbs.step_answer import add_verb

EXAMPLES = """\
examples:
  drd skip 4f2a warm-up --why "the cache fills by itself"

exit codes: 0 recorded, 2 the step cannot be skipped (any more)."""


def add_parser(sub: Verbs) -> None:
    parser = add_verb(
        sub,
        "skip",
        description="Continue without a step that failed, that waits for a person, or that "
        "is still to come. Approvals cannot be skipped.",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "--why", required=True, metavar="TEXT", help="the reason, which drd keeps with the decision"
    )
    parser.add_argument(
        "--by",
        metavar="NAME",
        help="the person who decides this, for the record (default: your user)",
    )
