"""Options that `drd approve`, `done`, `retry` and `skip` share."""

from __future__ import annotations

import argparse

from drd.cli.options import global_options
from drd.cli.parser import Verbs


def add_verb(sub: Verbs, verb: str, *, description: str, examples: str) -> argparse.ArgumentParser:
    """Return a verb about one step of a run; the caller adds its own options."""
    parser = sub.add_parser(verb, description=description, epilog=examples)
    global_options(parser)
    parser.add_argument("run", help="id of the run, or its beginning")
    parser.add_argument("step", help="the step's name")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler=f"drd.cli.{verb}:run")
    return parser


def add_person(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the option for the name of the person who decides; `what` is what this person does, for
    the help."""
    parser.add_argument(
        "--by",
        metavar="NAME",
        help=f"who {what} (default: the person that `people` maps to your user)",
    )
    parser.add_argument(
        "--comment", default="", metavar="TEXT", help="a comment, which drd keeps with the decision"
    )
