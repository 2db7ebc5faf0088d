"""Options of `drd training`."""

from __future__ import annotations

from drd.cli.parser import Verbs
from drd.cli.verbs.leaf import leaf

EXAMPLES = """\
examples:
  drd training                          who practised and read what, until when; what is overdue
  drd training list --plan orders-api   what this plan requires, and who meets it
  drd training list --person anna       what anna practised and read
  drd training texts                    the awareness texts
  drd training show report              read the text `report`
  drd training attest report            read the text, and attest that you have read it

In a plan:
  training: {awareness: {every: 365d}}
  review: {every: 180d, last: 2026-11-28}

exit codes: 0 done, 2 usage, 130 not confirmed."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "training",
        description="Show who practised and read what, and until when it counts. The signed "
        "records are the only source: what a person did counts for the user whom the kernel named.",
        epilog=EXAMPLES,
    )
    verbs = parser.add_subparsers(dest="training_verb", metavar="VERB", required=True)
    listing = leaf(
        verbs,
        "list",
        "who is qualified for what until when, and what plans require",
        "training:list_",
        description="List what each person practised and read, until when it counts, and what each "
        "plan requires of people. `drd training` alone does the same.",
        epilog=EXAMPLES,
    )
    listing.add_argument("--plan", metavar="P", help="show only what this plan requires")
    listing.add_argument("--person", metavar="NAME", help="show only this person")
    leaf(
        verbs,
        "texts",
        "the awareness texts",
        "training:texts",
        description="List the awareness texts: those of drd, and those in the directory that "
        "`awareness` in drd.yaml names.",
        epilog=EXAMPLES,
    )
    show = leaf(
        verbs,
        "show",
        "read an awareness text",
        "training:show",
        description="Print an awareness text.",
        epilog=EXAMPLES,
    )
    show.add_argument("text", metavar="TEXT", help="name of the text")
    attest = leaf(
        verbs,
        "attest",
        "attest that you have read a text",
        "training:attest",
        description="Show an awareness text, and record that you have read it. The record is "
        "signed, and counts for you alone: for the user whom the kernel names. Log in with your "
        "own account; after sudo drd still knows who you are. When the text changes, everybody "
        "has to attest it again.",
        epilog=EXAMPLES,
    )
    attest.add_argument("text", metavar="TEXT", help="name of the text")
    attest.add_argument(
        "--digest",
        metavar="HEX",
        help="digest of the text, as `drd training texts` shows it: drd then records that you "
        "have read the text, without showing it and without asking (for scripts)",
    )
    attest.add_argument(
        "--by", metavar="NAME", help="your own name; drd refuses the name of another person"
    )
