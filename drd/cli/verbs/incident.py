"""Options of `drd incident`."""

from __future__ import annotations

from drd.cli.parser import Verbs
from drd.cli.verbs.incident_investigation import investigating
from drd.cli.verbs.incident_learning import acting, learning
from drd.cli.verbs.incident_message import contacts, messages
from drd.cli.verbs.incident_noting import noting
from drd.cli.verbs.incident_opening import opening, reading, suspecting
from drd.cli.verbs.incident_people import people
from drd.cli.verbs.incident_recovering import recovering
from drd.cli.verbs.incident_reporting import exporting, giving_out, reporting
from drd.cli.verbs.incident_standing import ending, standing

EXAMPLES = """\
examples:
  drd incident open "orders-api gives away others' data" --plan orders-api
  drd incident log "the key of the billing job was in a public repository"
  drd incident anchor aware 14:30
  drd incident state contained
  drd incident                 what is open, and what is next

The number of the incident comes first (drd incident log 3 "TEXT"). It may be left out while exactly
one incident is open. Times: 14:30 (today), "yesterday 14:30", -2h, now, 2026-11-28T14:30,
2026-11-28T14:30:00Z.
Without a zone they are of `organisation: {timezone: …}` in drd.yaml, else of this host.
Nothing is ever changed: each command adds an entry to the signed records.

exit codes: 0 done, 1 failed, 2 usage."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "incident",
        description="The response to an incident: who did what when, on one timeline.",
        epilog=EXAMPLES,
    )
    verbs = parser.add_subparsers(
        dest="incident_verb",
        metavar="VERB",
        required=True,
    )
    opening(verbs)
    suspecting(verbs)
    reading(verbs)
    noting(verbs)
    investigating(verbs)
    standing(verbs)
    recovering(verbs)
    people(verbs)
    contacts(verbs)
    messages(verbs)
    reporting(verbs)
    giving_out(verbs)
    learning(verbs)
    acting(verbs)
    exporting(verbs)
    ending(verbs)
