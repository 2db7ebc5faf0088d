"""Options of the verbs of `drd incident` that note what happened: log, anchor, decide, link."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import TIMES, entry, reason


def noting(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    _log(verbs)
    _anchor(verbs)
    _decide(verbs)
    _link(verbs)


def _log(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = entry(
        verbs,
        "log",
        "note what happened, or what was found",
        "TEXT",
        examples='drd incident log "blocked the key at the gateway" --measure\n'
        'drd incident log 3 "first strange request in the log" --at 13:50\n'
        "drd incident log --star 214\n"
        'drd incident log --correct 214 "the second key" --reason "wrong name"',
        description="Add an entry to the timeline. An entry is never changed: a correction is "
        "a new entry, and the timeline shows both.",
    )
    parser.add_argument("--at", metavar="TIME", help=f"when this happened: {TIMES} (default: now)")
    parser.add_argument(
        "--restricted",
        action="store_true",
        help="only the lead and people with a role in the incident can read this entry; drd "
        "encrypts the entry to the keys of the roles when it leaves this host",
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="the entry is a measure against the incident: drafts of reports list it as a measure",
    )
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--correct", type=count, metavar="ENTRY", help="correct this entry")
    kinds.add_argument("--star", type=count, metavar="ENTRY", help="mark an entry as important")
    kinds.add_argument(
        "--unstar", type=count, metavar="ENTRY", help="remove this mark from an entry"
    )
    reason(parser, "why the entry is corrected")


def _anchor(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = entry(
        verbs,
        "anchor",
        "record the time of a moment: occurred, aware, contained, …",
        "MOMENT TIME",
        examples="drd incident anchor aware 14:30\n"
        "drd incident anchor occurred -2h\n"
        'drd incident anchor contained 15:10 --reason "the log says so"',
        description="State the time of a moment from which deadlines and durations count. A "
        "correction needs a reason. Moments: occurred, first_alert, suspected, "
        "aware, discovered, classified, determined, materiality_determined, "
        "high_risk_determined, requested, notified_by_third_party, "
        "information_available, contained, recovered_regular, handled. Times: "
        f"{TIMES}.",
    )
    reason(parser, "why the time is corrected")


def _decide(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = entry(
        verbs,
        "decide",
        "record a decision",
        "TEXT",
        examples='drd incident decide "orders stay off until the key is changed" --reason '
        '"data at risk"',
        description="Record a decision, with the reason for it.",
    )
    reason(parser, "the reason for the decision")


def _link(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = entry(
        verbs,
        "link",
        "add a link to a ticket, a run or a document",
        "WHAT",
        examples='drd incident link https://tickets.example/4711 --text "ticket of the gateway '
        'team"',
        description="Add a link to something outside this incident: a text, an address, or the "
        "number of another incident.",
    )
    parser.add_argument(
        "--text", default="", metavar="TEXT", help="a few words about what the link leads to"
    )
