"""Options of `drd approve`."""

from __future__ import annotations

from drd.cli.parser import Verbs
from drd.cli.verbs.step_answer import add_person, add_verb

EXAMPLES = """\
examples:
  drd approve 4f2a traffic --by "first on call"
  drd approve 4f2a traffic --by anna --comment "seen by the owner"

exit codes: 0 recorded, 2 the run does not wait for this approval, or not for
this person."""


def add_parser(sub: Verbs) -> None:
    parser = add_verb(
        sub,
        "approve",
        description="Approve a step of kind approve, from any terminal of this host, even "
        "while no process executes the recovery. NAME is one of the people in "
        "drd.yaml and holds the role that the step requires.",
        examples=EXAMPLES,
    )
    add_person(parser, "agrees")
