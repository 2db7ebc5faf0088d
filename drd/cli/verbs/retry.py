"""Options of `drd retry`."""

from __future__ import annotations

from drd.cli.parser import Verbs
from drd.cli.verbs.step_answer import add_verb

EXAMPLES = """\
examples:
  drd retry 4f2a smoke-test              try the failed step again

exit codes: 0 recorded, 2 the step does not wait for a retry."""


def add_parser(sub: Verbs) -> None:
    parser = add_verb(
        sub,
        "retry",
        description="Retry a step that has failed and waits for a decision, or whose failure has "
        "ended the recovery. In the second case, `drd resume` then continues the recovery.",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "--by",
        metavar="NAME",
        help="the person who decides this, for the record (default: your user)",
    )
