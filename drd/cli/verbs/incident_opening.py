"""Options of the verbs of `drd incident` that open, report and show."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import NUMBER, author, incident_verb, reader


def opening(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    opening = incident_verb(
        verbs,
        "open",
        "open an incident",
        "incident:open_",
        examples='drd incident open "orders-api gives away others\' data" --plan orders-api\n'
        'drd incident open "database destroyed" --plan orders-api --severity critical\n'
        "drd incident open --report 4\n"
        "drd incident open --from alerts.json              alerts of another system\n"
        "drd incident open --from - --mapping wazuh.yaml < alert.json",
        description="Open an incident. Only the title is needed. On a terminal, drd then "
        "asks for severity, scope, times and lead: Enter skips a question.",
    )
    author(opening)
    opening.add_argument("title", nargs="?", help="what happens, in a few words")
    opening.add_argument(
        "--report",
        type=count,
        metavar="N",
        help="open the incident from report N: its text becomes the title",
    )
    opening.add_argument(
        "--plan", action="append", default=[], metavar="PLAN", help="a plan in the scope; may be "
        "given several times",
    )  # fmt: skip
    opening.add_argument(
        "--restricted",
        action="store_true",
        help="do not show the title and the scope of the incident in drd status, alerts and "
        "metrics; encrypt its entries to the keys of the roles (drd.yaml) in "
        "repositories and exports",
    )
    opening.add_argument(
        "--severity",
        metavar="WORD",
        help="one of `incident: {severities: […]}` in drd.yaml, by default low, medium, "
        "high, critical",
    )
    opening.add_argument(
        "--from",
        dest="from_",
        metavar="FILE",
        help="open incidents from alerts of another system: JSON of Alertmanager or OCSF, or "
        "JSON that --mapping describes; or record the report of a mail server about a "
        "message that came back; - is stdin",
    )
    opening.add_argument(
        "--mapping",
        metavar="FILE",
        help="with --from: where the parts of an alert are in its JSON (docs/intake.md)",
    )
    opening.add_argument(
        "--no-questions",
        action="store_true",
        help="do not ask questions on a terminal",
    )


def suspecting(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    reporting = incident_verb(
        verbs,
        "report",
        "report a suspicion, without opening an incident",
        "incident:report",
        examples='drd incident report "strange logins at the gateway since noon"\n'
        'drd incident report "orders of others in my list" --plan orders-api',
        description="Report a suspicion. Every member of the group drd may do this. An "
        "operator has to examine the report in time (incident: {triage: 1h} in "
        "drd.yaml): drd incident open --report N, or drd incident close N "
        "--reason TEXT.",
    )
    author(reporting)
    reporting.add_argument("text", help="what you have seen")
    reporting.add_argument(
        "--plan", action="append", default=[], metavar="PLAN", help="a plan that the suspicion may "
        "concern; may be given several times",
    )  # fmt: skip


def reading(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    show = incident_verb(
        verbs,
        "show",
        "what is known, what is next, and the timeline",
        "incident:show",
        examples="drd incident show\ndrd incident show 3 --starred",
        description="Show an incident: its state, its open tasks, and everything that happened.",
    )
    reader(show)
    show.add_argument("number", nargs="?", type=count, metavar="N", help=NUMBER)
    show.add_argument("--starred", action="store_true", help="show only starred entries")
    show.add_argument(
        "--identity",
        metavar="F",
        help="file with the age identity or SSH key of a role: opens restricted entries that were "
        "restored from a repository",
    )
    listing = incident_verb(
        verbs,
        "list",
        "open incidents and reports",
        "incident:list_",
        examples="drd incident list\ndrd incident list --all",
        description="List the open incidents, and the reports that nobody has examined.",
    )
    reader(listing)
    listing.add_argument("--all", action="store_true", help="also list closed incidents")
    listing.add_argument(
        "--limit",
        type=count,
        default=50,
        metavar="N",
        help="list at most N incidents and reports (default: 50)",
    )
