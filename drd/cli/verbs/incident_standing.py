"""Options of the verbs of `drd incident` that change an incident: state, severity, scope, merge,
close."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import NUMBER, author, entry, incident_verb, reason


def standing(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    state = entry(
        verbs,
        "state",
        "detected, triaged, contained, eradicated, recovered, reviewed",
        "STATE",
        examples="drd incident state contained\n"
        'drd incident state detected --reason "it goes on from another address"',
        description="Change the state: detected, triaged, contained, eradicated, recovered, "
        "reviewed, "
        "closed. A change back to an earlier state needs a reason.",
    )
    reason(state, "why it changes")
    severity = entry(
        verbs,
        "severity",
        "set the severity",
        "WORD",
        examples="drd incident severity critical",
        description="Set the severity: one of `incident: {severities: […]}` in drd.yaml, by "
        "default "
        "low, medium, high, critical.",
    )
    reason(severity, "why it changes")
    scope = entry(
        verbs,
        "scope",
        "what the incident affects: plans, systems that depend on them, data of people",
        "",
        examples="drd incident scope\n"
        "drd incident scope --add billing\n"
        "drd incident scope 3 --remove billing\n"
        "drd incident scope --count",
        description="Show the plans, systems and data of people that the incident affects, "
        "by the plans (docs/inventory.md). Or change which plans are in the "
        "scope: the timeline then shows what drd does for these plans. With "
        "--count, drd counts the people whose data these plans contain, in a "
        "sandbox, on the newest restore point from before the first sign, and "
        "records the numbers.",
    )
    scope.add_argument(
        "--count", action="store_true", help="count the people, and record the numbers"
    )
    scope.add_argument("--add", action="append", default=[], metavar="PLAN", help="put it in")
    scope.add_argument("--remove", action="append", default=[], metavar="PLAN", help="take it out")
    reason(scope, "why it changes")


def ending(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    merge = incident_verb(
        verbs,
        "merge",
        "close an incident that continues in another",
        "incident_entries:merge",
        examples="drd incident merge 4 --into 3",
        description="Close an incident that continues in another one. The timeline of the "
        "other incident then contains the entries of both.",
    )
    merge.add_argument("number", type=count, metavar="N", help="number of the incident that ends")
    merge.add_argument(
        "--into",
        type=count,
        required=True,
        metavar="M",
        help="number of the incident that takes over the timeline of N",
    )
    author(merge)
    reason(merge, "why both numbers are the same incident")
    close = incident_verb(
        verbs,
        "close",
        "close an incident",
        "incident_entries:close",
        examples='drd incident close\ndrd incident close 4 --reason "false alarm: a test of ours"',
        description="Close an incident, or a report that is not an incident. A closed "
        "incident can be opened again: drd incident state N detected --reason "
        "TEXT.",
    )
    close.add_argument("number", nargs="?", type=count, metavar="N", help=NUMBER)
    author(close)
    reason(close, "why the incident is closed")
