"""Options of `drd catalogue`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd catalogue verify              compare the repositories with the catalogue
  drd catalogue rebuild             restore the points and fingerprints of a lost catalogue
  drd catalogue rebuild orders-api

A damaged catalogue is set aside beside the new one, never deleted."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "catalogue",
        description="Compare drd's catalogue (its records of restore points and runs) with the "
        "repositories, or correct it. Where they differ, the repositories are right.",
        epilog=EXAMPLES,
    )
    verbs = parser.add_subparsers(dest="catalogue_verb", metavar="rebuild|verify", required=True)
    for verb, help_text in (
        ("rebuild", "record every restore point of the repositories in the catalogue"),
        ("verify", "compare the catalogue with the repositories, and change nothing"),
    ):
        one = verbs.add_parser(
            verb, help=help_text, description=f"{help_text.capitalize()}.", epilog=EXAMPLES
        )
        global_options(one)
        one.add_argument("plan", nargs="*", help="only these plans (default: all)")
        one.add_argument("--json", action="store_true", help="print one JSON document")
        one.set_defaults(handler=f"drd.cli.catalogue:{verb}")
