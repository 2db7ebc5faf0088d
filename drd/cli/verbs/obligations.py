"""Options of `drd obligations`."""

from __future__ import annotations

import argparse

from drd.cli.parser import Verbs
from drd.cli.verbs.leaf import leaf

EXAMPLES = """\
examples:
  drd obligations list                      duties to report an incident, and their time limits
  drd obligations list US-CA                of one place
  drd obligations show eu-gdpr-33           with content, recipient and source
  drd obligations check                     files, old sources, rules that begin soon
  drd obligations check ./acme.yaml         one file of your own, wherever it is
  drd obligations due eu-gdpr-33 --at aware=2026-12-31T09:15 --zone Europe/Berlin
  drd obligations schema > regime.schema.json

This is not legal advice. drd calculates from data that no lawyer has checked.

exit codes: 0 done, 2 usage, or a file has an error."""

DUE_EXAMPLES = """\
examples:
  drd obligations due eu-gdpr-33 --at aware=2026-12-31T09:15 --zone Europe/Berlin
  drd obligations due us-sec-8k-105 --at materiality_determined=2026-11-24T10:00-05:00
  drd obligations due us-hipaa-hhs-500 --at discovered=2026-12-31 --fact people=5000
  drd obligations due eu-nis2-final --submitted eu-nis2-notification=2026-12-31T10:00Z
  drd obligations due --at discovered=2026-12-31 --fact people=5000    all that may apply

This is not legal advice. A time without an offset is in the zone of --zone; a date alone means noon
of that day.

exit codes: 0 done, 2 usage, or a file has an error."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "obligations",
        description="Legal and contractual duties to report an incident, and when reports are due. "
        "This is not legal advice.",
        epilog=EXAMPLES,
    )
    verbs = parser.add_subparsers(dest="obligations_verb", metavar="VERB", required=True)
    listing = leaf(
        verbs,
        "list",
        "duties to report, and their time limits",
        "obligations:list_",
        description="List the regimes of drd and your own, with their time limits.",
        epilog=EXAMPLES,
    )
    listing.add_argument(
        "place",
        nargs="?",
        metavar="PLACE",
        help="show only the regimes of this place: EU, DE, US-CA, or a name",
    )
    show = leaf(
        verbs,
        "show",
        "one regime, with recipient, content and source",
        "obligations:show",
        description="Show one regime: trigger, time limit, recipient, content and source.",
        epilog=EXAMPLES,
    )
    show.add_argument("id", metavar="ID", help="id of the regime")
    check = leaf(
        verbs,
        "check",
        "check the files of all regimes",
        "obligations:check",
        description="Check the files of all regimes: their schema, sources that nobody has read "
        "for 180 days, rules that begin within 60 days, places without a regime.",
        epilog=EXAMPLES,
    )
    check.add_argument("files", nargs="*", metavar="FILE", help="check these files as well")
    leaf(
        verbs,
        "schema",
        "the JSON Schema of regimes",
        "obligations:schema",
        description="Print the JSON Schema of regimes, for editors.",
        epilog=EXAMPLES,
    )
    _due(verbs)


def _due(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    due = leaf(
        verbs,
        "due",
        "when reports would be due, without an incident",
        "obligations_due:run",
        description="Calculate when reports would be due, for planning and exercises: "
        "nothing is recorded. The target is the time by the strictest reading of "
        "the rule; a report after the due time is late.",
        epilog=DUE_EXAMPLES,
    )
    due.add_argument(
        "ids", nargs="*", metavar="ID", help="ids of regimes (default: all that may apply)"
    )
    for option, what, text in (
        ("--at", "MOMENT=TIME", "the time of a moment: aware=2026-12-31T09:15Z"),
        ("--submitted", "ID=TIME", "when the report of a regime was submitted"),
        ("--fact", "NAME=VALUE", "a fact, such as people=5000, residents.US-CA=700"),
    ):
        due.add_argument(
            option,
            action="append",
            default=[],
            metavar=what,
            help=f"{text}; may be given several times",
        )
    due.add_argument(
        "--zone", metavar="ZONE", help="zone of times and days (default: drd.yaml, or the host's)"
    )
