"""Options of the verbs of `drd incident` for the time after: postmortem, action."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import NUMBER, author, incident_verb, reader, reason


def looking_back(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    review = incident_verb(
        verbs,
        "postmortem",
        "the post-mortem from the record, as Markdown or HTML",
        "incident_postmortem:run",
        examples="drd incident postmortem 3                            on the screen\n"
        "drd incident postmortem 3 --output postmortem-3.md     write it, later renew it\n"
        "drd incident postmortem 3 --output postmortem-3.html",
        description="Write the post-mortem of an incident: measured impact, starred timeline, what "
        "was kept and missed, and what drills had predicted, with prompts for what only people can "
        "say. In a file that exists, renew only the parts between drd's markers.",
    )
    reader(review)
    review.add_argument("number", nargs="?", type=count, metavar="N", help=NUMBER)
    review.add_argument(
        "--output", metavar="FILE", help="a file that ends with .md or .html: a new one, which "
        "only you can read, or one to renew (default: Markdown on stdout)",
    )  # fmt: skip


def acting(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = incident_verb(
        verbs,
        "action",
        "action items: what is to change after an incident, who does it, until when",
        "incident_action:run",
        examples="drd incident action                   open items of all incidents\n"
        "drd incident action 3                 all items of incident 3\n"
        'drd incident action 3 add "check the rows of orders" --owner anna --due 14d\n'
        'drd incident action 3 add "no old keys" --owner bo --due 30d --verified-by '
        "control:shop/old-key\n"
        'drd incident action 3 done 214 --reason "the new key is in the vault"',
        description="Add an action item to an incident, also to a closed one, list items, or "
        "record that one is done. drd closes an item with --verified-by as soon as that check, "
        "control or drill passes, or the finding is gone, in a run that began after the item was "
        "added. ITEM is the number of the entry that added the item. One that is overdue is an "
        "alert.",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[N] add TEXT | done ITEM | list",
        help="number of the incident, what to do, and the text or the item",
    )
    parser.add_argument("--owner", default="", metavar="NAME", help="who sees to it")
    parser.add_argument(
        "--due", metavar="TIME", help="until when it is done: 14d from now, or RFC 3339"
    )
    parser.add_argument(
        "--verified-by",
        default="",
        metavar="WHAT",
        help="what closes the item: check:PLAN/NAME, control:PLAN/NAME, drill:PLAN, "
        "drill:PLAN/SCENARIO, finding:PLAN/CODE",
    )
    author(parser)
    reason(parser, "why the item is done")
