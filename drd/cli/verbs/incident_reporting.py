"""Options of the verbs of `drd incident` for those outside: obligation, print, export."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import NUMBER, author, incident_verb, reader, reason


def reporting(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    duty = incident_verb(
        verbs,
        "obligation",
        "which reports are due, until when, and their state",
        "incident_obligation:run",
        examples="drd incident obligation                           all reports on one "
        "screen\ndrd incident obligation --fact people=5000 --fact risk=high\ndrd "
        'incident obligation eu-gdpr-33 --applies --reason "addresses of '
        'customers"\ndrd incident obligation us-ca-ag --does-not-apply --reason "no '
        'residents there"\ndrd incident obligation eu-gdpr-33 --submitted 14:30 '
        "--reference 4711 --channel portal\ndrd incident obligation eu-gdpr-33 "
        '--late --reason "aware earlier than was noted"\ndrd incident obligation '
        "us-hipaa-individuals --hold law-enforcement --until 720h \\\n      "
        '--reason "letter of the police"\ndrd incident obligation eu-gdpr-33 '
        "--draft > report.md\ndrd incident obligation eu-gdpr-33 --keep report.md   "
        "  the text as you will send it\ndrd incident obligation --ics "
        "deadlines.ics       for a calendar",
        description="Show which reports law and contracts require, and until when. Or record "
        "facts, decisions, submitted reports and delays. drd proposes, a person "
        "decides. This is not legal advice (docs/obligations.md).",
    )
    duty.add_argument(
        "words", nargs="*", metavar="[N] [ID]", help="number of the incident, and id of a regime"
    )
    _showing(duty)
    _deciding(duty)
    _submitting(duty)
    _delaying(duty)
    author(duty)
    reason(duty, "the reason: for the decision, for a late report, or who asked for the delay")


def _showing(duty: argparse.ArgumentParser) -> None:
    duty.add_argument("--all", action="store_true", help="also show regimes that do not apply")
    duty.add_argument(
        "--draft",
        action="store_true",
        help="print a draft of the report, and what is missing in the draft",
    )
    duty.add_argument("--ics", metavar="FILE", help="write the due times as iCalendar; - is stdout")


def _deciding(duty: argparse.ArgumentParser) -> None:
    group = duty.add_argument_group("facts and decisions")
    group.add_argument(
        "--fact", action="append", default=[], metavar="NAME=VALUE", help="a fact of the incident, "
        "such as people=5000, residents.US-CA=unknown; may be given several times",
    )  # fmt: skip
    group.add_argument("--applies", action="store_true", help="decide that the regime applies")
    group.add_argument(
        "--does-not-apply", action="store_true", help="decide that the regime does not apply"
    )


def _submitting(duty: argparse.ArgumentParser) -> None:
    group = duty.add_argument_group("a report that was submitted")
    group.add_argument("--keep", metavar="FILE", help="keep this file as a version of the report")
    group.add_argument("--submitted", metavar="TIME", help="when the report was submitted")
    group.add_argument(
        "--version",
        type=count,
        metavar="ENTRY",
        help="the number of the kept version that was submitted; with --draft: print this version",
    )
    group.add_argument(
        "--reference", default="", metavar="REF", help="reference number that the authority gave"
    )
    group.add_argument(
        "--channel",
        default="",
        metavar="TEXT",
        help="how the report was submitted: portal, letter, e-mail",
    )
    group.add_argument(
        "--proof", default="", metavar="TEXT", help="what proves the submission: a receipt, a file"
    )
    group.add_argument(
        "--late",
        action="store_true",
        help="record why the submitted report was late, with --reason; this does not "
        "record another submission",
    )


def _delaying(duty: argparse.ArgumentParser) -> None:
    group = duty.add_argument_group("a delay that an authority asked for")
    group.add_argument(
        "--hold",
        choices=("law-enforcement", "attorney-general"),
        metavar="WHO",
        help="who asked for the delay: law-enforcement, attorney-general",
    )
    group.add_argument(
        "--since", metavar="TIME", help="when the delay was asked for (default: now)"
    )
    group.add_argument(
        "--until", metavar="TIME", help="end of the delay: 720h from now, or RFC 3339"
    )
    group.add_argument("--oral", action="store_true", help="the delay was not asked for in writing")


def giving_out(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    paper = incident_verb(
        verbs,
        "print",
        "one page for paper, with empty log sheets",
        "incident_print:run",
        examples="drd incident print --output incident.html\n"
        "drd incident print --blank --output empty.html      while nothing has happened yet",
        description="Write one HTML page to print: what is known, what is to do, the scope, the "
        "reports that are due, the timeline, empty log sheets, and a page for whom to call.",
    )
    reader(paper)
    paper.add_argument("number", nargs="?", type=count, metavar="N", help=NUMBER)
    paper.add_argument(
        "--output", metavar="FILE", help="write a new file, which only you can read "
        "(default: stdout)",
    )  # fmt: skip
    paper.add_argument(
        "--blank",
        action="store_true",
        help="print only empty sheets; this works without an incident and without a catalogue",
    )


def exporting(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    export = incident_verb(
        verbs,
        "export",
        "the entries of an incident for others, with a script that checks them",
        "incident_export:run",
        examples="drd incident export /root/incident\n"
        "drd incident export 3 /root/incident-3\n"
        "sh /root/incident-3/verify.sh KEY-ID              on any machine, without drd",
        description="Write these files into a new directory: the signed records (with the bodies "
        "of only this incident's entries), timeline, post-mortem, action items, messages and "
        "evidence, and a script that checks all files without drd. A signed entry records who "
        "exported the files.",
    )
    author(export)
    export.add_argument(
        "words",
        nargs="+",
        metavar="[N] DIRECTORY",
        help="number of the incident, and a new directory",
    )
