"""Options of `drd incident`."""

from __future__ import annotations

import argparse
import re

from drd.cli.options import count, global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd incident open "orders-api gives away others' data" --plan orders-api
  drd incident log "the key of the billing job was in a public repository"
  drd incident anchor aware 14:30
  drd incident state contained
  drd incident                 what is open, and what is next

The number of the incident comes first (drd incident log 3 "TEXT"). It may be left out while exactly
one incident is open. Times: 14:30 (today, the time of this host), -2h, now, 2026-11-28T14:30:00Z.
Nothing is ever changed: each command adds an entry to the signed records.

exit codes: 0 done, 1 failed, 2 usage."""

_TIMES = "14:30, -2h, now, or a time in RFC 3339"
_BEFORE_NOW = re.compile(r"^-\d+(\.\d+)?[smhdw0-9.]*$")
"""`-2h` is a time, not an option."""


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
    _opening(verbs)
    _suspecting(verbs)
    _reading(verbs)
    _noting(verbs)
    _standing(verbs)
    _people(verbs)
    _reporting(verbs)
    _giving_out(verbs)
    _exporting(verbs)
    _ending(verbs)


def _opening(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    opening = _verb(
        verbs,
        "open",
        "open an incident",
        "incident:open_",
        examples='drd incident open "orders-api gives away others\' data" --plan orders-api\n'
        'drd incident open "database destroyed" --plan orders-api --severity critical\n'
        "drd incident open --report 4",
        description="Open an incident. Only the title is needed. On a terminal, drd then asks "
        "for the "
        "rest: Enter skips a question.",
    )
    opening.add_argument("title", nargs="?", help="what happens, in a few words")
    opening.add_argument(
        "--report", type=count, metavar="N", help="open it from report N, whose text is the title"
    )
    opening.add_argument(
        "--plan", action="append", default=[], metavar="PLAN", help="a plan in the scope; may be "
        "given several times",
    )  # fmt: skip
    opening.add_argument(
        "--restricted",
        action="store_true",
        help="show neither title nor scope in drd status, alerts and metrics",
    )
    opening.add_argument("--severity", metavar="WORD", help="one of those of drd.yaml")
    opening.add_argument(
        "--no-questions", action="store_true", help="do not ask for the rest on a terminal"
    )


def _suspecting(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    reporting = _verb(
        verbs,
        "report",
        "report a suspicion, without opening an incident",
        "incident:report",
        examples='drd incident report "strange logins at the gateway since noon"\n'
        'drd incident report "orders of others in my list" --plan orders-api',
        description="Report a suspicion. Every member of the group drd may do it. Somebody has to "
        "examine it in time (incident: {triage: 1h} in drd.yaml): drd incident open --report N, or "
        "drd incident close N --reason TEXT.",
    )
    reporting.add_argument("text", help="what you have seen")
    reporting.add_argument(
        "--plan", action="append", default=[], metavar="PLAN", help="a plan that it may be about; "
        "may be given several times",
    )  # fmt: skip


def _reading(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    show = _verb(
        verbs,
        "show",
        "what is known, what is next, and the timeline",
        "incident:show",
        examples="drd incident show\ndrd incident show 3 --starred",
        description="Show an incident: how it stands, what is to do, and everything that happened.",
    )
    show.add_argument("number", nargs="?", type=count, metavar="N", help=_NUMBER)
    show.add_argument("--starred", action="store_true", help="show only starred entries")
    listing = _verb(
        verbs,
        "list",
        "open incidents and reports",
        "incident:list_",
        examples="drd incident list\ndrd incident list --all",
        description="List the open incidents, and the reports that nobody has examined.",
    )
    listing.add_argument("--all", action="store_true", help="list closed ones, too")
    listing.add_argument(
        "--limit", type=count, default=50, metavar="N", help="list at most N (default: 50)"
    )


def _noting(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    log = _entry(
        verbs,
        "log",
        "note what happened, or what was found",
        "TEXT",
        examples='drd incident log "blocked the key at the gateway"\n'
        'drd incident log 3 "first strange request in the log" --at 13:50\n'
        "drd incident log --star 214\n"
        'drd incident log --correct 214 "the second key" --reason "wrong name"',
        description="Add an entry to the timeline. An entry is never changed: a correction is "
        "a new "
        "entry, and the timeline shows both.",
    )
    log.add_argument("--at", metavar="TIME", help=f"when it happened: {_TIMES} (default: now)")
    kinds = log.add_mutually_exclusive_group()
    kinds.add_argument("--correct", type=count, metavar="ENTRY", help="correct this entry")
    kinds.add_argument("--star", type=count, metavar="ENTRY", help="mark an entry as important")
    kinds.add_argument("--unstar", type=count, metavar="ENTRY", help="take the mark away")
    _reason(log, "why the entry is corrected")
    anchor = _entry(
        verbs,
        "anchor",
        "record the time of a moment: occurred, aware, contained, …",
        "MOMENT TIME",
        examples="drd incident anchor aware 14:30\n"
        "drd incident anchor occurred -2h\n"
        'drd incident anchor contained 15:10 --reason "the log says so"',
        description="State a moment that deadlines and durations count from. A correction needs a "
        "reason. Moments: occurred, first_alert, suspected, aware, discovered, "
        "classified, determined, materiality_determined, high_risk_determined, requested, "
        "notified_by_third_party, information_available, contained, recovered_regular, "
        "handled. Times: 14:30, -2h, now, or a time in RFC 3339.",
    )
    _reason(anchor, "why it is corrected")
    decide = _entry(
        verbs,
        "decide",
        "record a decision",
        "TEXT",
        examples='drd incident decide "orders stay off until the key is changed" --reason '
        '"data at risk"',
        description="Record a decision, with the reason for it.",
    )
    _reason(decide, "the reason for the decision")
    link = _entry(
        verbs,
        "link",
        "point to a ticket, a run, a document",
        "WHAT",
        examples='drd incident link https://tickets.example/4711 --text "ticket of the gateway '
        'team"',
        description="Point to something that is elsewhere.",
    )
    link.add_argument("--text", default="", metavar="TEXT", help="what it is")


def _standing(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    state = _entry(
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
    _reason(state, "why it changes")
    severity = _entry(
        verbs,
        "severity",
        "set the severity",
        "WORD",
        examples="drd incident severity critical",
        description="Set the severity: one of `incident: {severities: […]}` in drd.yaml, by "
        "default "
        "low, medium, high, critical.",
    )
    _reason(severity, "why it changes")
    scope = _entry(
        verbs,
        "scope",
        "what it reaches: plans, what depends on them, data of people",
        "",
        examples="drd incident scope\n"
        "drd incident scope --add billing\n"
        "drd incident scope 3 --remove billing\n"
        "drd incident scope --count",
        description="Show what the incident reaches, by what the plans say (docs/inventory.md). Or "
        "change which plans are in the scope: what drd does to them enters the timeline. With "
        "--count, drd counts the people whose data they have, in a sandbox, on the newest restore "
        "point from before the first sign, and records the numbers.",
    )
    scope.add_argument("--count", action="store_true", help="count the people, and record it")
    scope.add_argument("--add", action="append", default=[], metavar="PLAN", help="put it in")
    scope.add_argument("--remove", action="append", default=[], metavar="PLAN", help="take it out")
    _reason(scope, "why it changes")


def _people(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    _entry(
        verbs,
        "assign",
        "say who leads the response",
        "NAME",
        examples="drd incident assign anna",
        description="Say who leads the response.",
    )
    _entry(
        verbs,
        "role",
        "say who has a role",
        "ROLE NAME",
        examples="drd incident role communications bert",
        description="Say who has a role in the response: communications, legal, forensics, …",
    )
    task = _entry(
        verbs,
        "task",
        "add something to do, or report it as done",
        "TEXT",
        examples='drd incident task "change the key" --to bert --due 1h\n'
        "drd incident task --done 2",
        description="Add a task, or report one as done.",
    )
    task.add_argument("--to", default="", metavar="NAME", help="who does it")
    task.add_argument("--due", metavar="TIME", help="until when: 1h from now, 16:00, or RFC 3339")
    task.add_argument("--done", type=count, metavar="TASK", help="number of a task that is done")


def _reporting(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    duty = _verb(
        verbs,
        "obligation",
        "which reports are due, until when, and what became of them",
        "incident_obligation:run",
        examples="drd incident obligation                           all clocks on one screen\n"
        "drd incident obligation --fact people=5000 --fact risk=high\n"
        'drd incident obligation eu-gdpr-33 --applies --reason "addresses of customers"\n'
        'drd incident obligation us-ca-ag --does-not-apply --reason "no residents there"\n'
        "drd incident obligation eu-gdpr-33 --submitted 14:30 --reference 4711 --channel portal\n"
        "drd incident obligation us-hipaa-individuals --hold law-enforcement --until 720h \\\n"
        '      --reason "letter of the police"\n'
        "drd incident obligation eu-gdpr-33 --draft > report.md\n"
        "drd incident obligation --ics deadlines.ics       for a calendar",
        description="Show which reports law and contracts ask for, until when, and record what "
        "became of them: facts, decisions, submitted reports, holds. drd proposes, a person "
        "decides. This is no legal advice (docs/obligations.md).",
    )
    duty.add_argument(
        "words", nargs="*", metavar="[N] [ID]", help="number of the incident, id of a regime"
    )
    duty.add_argument("--all", action="store_true", help="show those that do not apply, too")
    duty.add_argument(
        "--draft", action="store_true", help="print a draft of the report, with what is missing"
    )
    duty.add_argument("--ics", metavar="FILE", help="write the times as iCalendar; - is stdout")
    duty.add_argument(
        "--fact", action="append", default=[], metavar="NAME=VALUE", help="a fact of the incident, "
        "such as people=5000, residents.US-CA=unknown; may be given several times",
    )  # fmt: skip
    duty.add_argument("--applies", action="store_true", help="decide that the regime applies")
    duty.add_argument("--does-not-apply", action="store_true", help="decide that it does not")
    duty.add_argument("--submitted", metavar="TIME", help="the report was submitted then")
    duty.add_argument(
        "--hold",
        choices=("law-enforcement", "attorney-general"),
        metavar="WHO",
        help="an authority asked for a delay: law-enforcement, attorney-general",
    )
    duty.add_argument("--reference", default="", metavar="REF", help="reference of the authority")
    duty.add_argument("--channel", default="", metavar="TEXT", help="how: portal, letter, e-mail")
    duty.add_argument("--proof", default="", metavar="TEXT", help="proof: a receipt, a file")
    duty.add_argument("--since", metavar="TIME", help="when the delay was asked for (default: now)")
    duty.add_argument(
        "--until", metavar="TIME", help="end of the delay: 720h from now, or RFC 3339"
    )
    duty.add_argument("--oral", action="store_true", help="the delay was not asked for in writing")
    _author(duty)
    _reason(duty, "why it applies or not, why the report is late, who asked for the delay")


def _giving_out(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    paper = _verb(
        verbs,
        "print",
        "one page for paper, with empty log sheets",
        "incident_print:run",
        examples="drd incident print --output incident.html\n"
        "drd incident print --blank --output empty.html      while nothing has happened yet",
        description="Write one HTML page to print: what is known, what is to do, the scope, the "
        "reports that are due, the timeline, empty log sheets, and a page for whom to call.",
    )
    paper.add_argument("number", nargs="?", type=count, metavar="N", help=_NUMBER)
    paper.add_argument(
        "--output", metavar="FILE", help="write a new file, which only you can read "
        "(default: stdout)",
    )  # fmt: skip
    paper.add_argument(
        "--blank", action="store_true", help="only empty sheets; needs no incident and no catalogue"
    )


def _exporting(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    export = _verb(
        verbs,
        "export",
        "the entries of an incident for others, with a script that checks them",
        "incident_export:run",
        examples="drd incident export /root/incident\n"
        "drd incident export 3 /root/incident-3\n"
        "sh /root/incident-3/verify.sh KEY-ID              on any machine, without drd",
        description="Write the signed records, with the bodies of this incident's timeline alone, "
        "a script that checks them without drd, and the timeline as JSON and as text, into a new "
        "directory.",
    )
    export.add_argument(
        "words", nargs="+", metavar="[N] DIRECTORY", help="number of the incident, a new directory"
    )


def _ending(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    merge = _verb(
        verbs,
        "merge",
        "close an incident that continues in another",
        "incident_entries:merge",
        examples="drd incident merge 4 --into 3",
        description="Close an incident that continues in another one, whose timeline then has "
        "both.",
    )
    merge.add_argument("number", type=count, metavar="N", help="number of the incident that ends")
    merge.add_argument(
        "--into", type=count, required=True, metavar="M", help="the incident that continues"
    )
    _author(merge)
    _reason(merge, "why both are the same incident")
    close = _verb(
        verbs,
        "close",
        "close an incident",
        "incident_entries:close",
        examples='drd incident close\ndrd incident close 4 --reason "false alarm: a test of ours"',
        description="Close an incident, or a report that is not an incident. It can be opened "
        "again: drd incident state N detected --reason TEXT.",
    )
    close.add_argument("number", nargs="?", type=count, metavar="N", help=_NUMBER)
    _author(close)
    _reason(close, "why it is closed")


_NUMBER = "number of the incident (default: the only open one)"


def _verb(
    verbs: argparse._SubParsersAction,  # type: ignore[type-arg]
    name: str,
    line: str,
    handler: str,
    *,
    examples: str,
    description: str,
) -> argparse.ArgumentParser:
    told = "examples:\n" + "\n".join(f"  {example}" for example in examples.split("\n"))
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=line, description=description, epilog=told
    )
    parser._negative_number_matcher = _BEFORE_NOW  # noqa: SLF001 (no public name)
    global_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    if name in ("open", "report"):
        _author(parser)
    parser.set_defaults(handler=f"drd.cli.{handler}")
    return parser


def _entry(
    verbs: argparse._SubParsersAction,  # type: ignore[type-arg]
    name: str,
    line: str,
    words: str,
    *,
    examples: str,
    description: str,
) -> argparse.ArgumentParser:
    """A verb whose words may begin with the number of the incident."""
    parser = _verb(
        verbs, name, line, f"incident_entries:{name}", examples=examples, description=description
    )
    what = f"[N] {words}".strip()
    parser.add_argument(
        "words", nargs="*", metavar=what, help=f"{words.lower()}; N is the number of the incident"
    )
    _author(parser)
    return parser


def _author(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", metavar="NAME", help="who says so (default: the person that `people` maps to your "
        "user, else your user)",
    )  # fmt: skip


def _reason(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--reason", default="", metavar="TEXT", help=text)
