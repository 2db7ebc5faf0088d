"""Options of the verbs of `drd incident` for the time after an incident: postmortem, action."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import NUMBER, author, incident_verb, reader, reason


def learning(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    review = incident_verb(
        verbs,
        "postmortem",
        "the post-mortem from the record, as Markdown or HTML",
        "incident_postmortem:run",
        examples="drd incident postmortem 3                            on the screen\n"
        "drd incident postmortem 3 --output postmortem-3.md     write it, later renew it\n"
        "drd incident postmortem 3 --output postmortem-3.html",
        description="Write the post-mortem of an incident: the measured impact, the important "
        "entries of the timeline, what went well and badly, and what drills had predicted. It also "
        "contains questions that only people can answer. In an existing file, drd renews only the "
        "parts between its markers.",
    )
    reader(review)
    review.add_argument("number", nargs="?", type=count, metavar="N", help=NUMBER)
    review.add_argument(
        "--output", metavar="FILE", help="write a new FILE.md or FILE.html, which only you can "
        "read, or renew an existing file (default: Markdown on stdout)",
    )  # fmt: skip


def acting(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = incident_verb(
        verbs,
        "action",
        "action items: what is to change after an incident, by whom, and when it is due",
        "incident_action:run",
        examples="drd incident action                   open items of all incidents\n"
        "drd incident action 3                 all items of incident 3\n"
        'drd incident action 3 add "check the rows of orders" --owner anna --due 14d\n'
        'drd incident action 3 add "no old keys" --owner bo --due 30d --verified-by '
        "control:shop/old-key\n"
        'drd incident action 3 done 214 --reason "the new key is in the vault"',
        description="Add an action item to an incident (open or closed), list action items, or "
        "record that an item is done. With --verified-by, drd closes the item when the check, "
        "control or drill passes, or the finding is gone, in a run that began after the item was "
        "added. ITEM is the number of the entry that added the item. drd alerts when an item is "
        "overdue.",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[N] add TEXT | done ITEM | list",
        help="number of the incident; add, done or list; the text or the number of the item",
    )
    parser.add_argument(
        "--owner", default="", metavar="NAME", help="the person who is responsible for the item"
    )
    parser.add_argument(
        "--due", metavar="TIME", help="when the item is due: 14d (from now), or a time in RFC 3339"
    )
    parser.add_argument(
        "--verified-by",
        default="",
        metavar="WHAT",
        help="what proves that the item is done, so that drd closes it: check:PLAN/NAME, "
        "control:PLAN/NAME, drill:PLAN, drill:PLAN/SCENARIO, finding:PLAN/CODE, playbook:NAME",
    )
    author(parser)
    reason(parser, "why the item is done")
