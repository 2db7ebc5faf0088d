"""`drd done`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli.decide import add_person, add_verb, agreed

EXAMPLES = """\
examples:
  drd done 4f2a plug-in --by anna
  drd done 4f2a plug-in --by anna --comment "port 7, not 8"

exit codes: 0 recorded, 2 it does not wait for this, or not for them."""


def add_parser(sub: Any) -> None:
    parser = add_verb(
        sub,
        "done",
        help_text="tick off what a recovery had to be done by hand",
        description="Say that a step of kind manual is done, from any terminal of this host, also "
        "while no process carries the recovery out. NAME is one of the people in drd.yaml and "
        "holds the role, where the step asks for one.",
        examples=EXAMPLES,
    )
    add_person(parser, "has done it")


def run(args: argparse.Namespace) -> int:
    return agreed(args, "done", "done")
