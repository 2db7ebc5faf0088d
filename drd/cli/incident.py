"""`drd incident open|report|show|list`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from drd.api.incident_acts import known_plans
from drd.api.incident_documents import incident_document
from drd.api.incident_reading import (
    incident_of,
    lines_of,
    shown_document,
    updates_of,
)
from drd.api.investigation_documents import investigation_of
from drd.bootstrap import App
from drd.cli import incident_intake, output
from drd.cli.enduring import app_of
from drd.cli.incident_acting import (
    acted,
    author,
    newly_opened,
    path_of,
    warn_of_notes,
    zone_of,
    zoned,
)
from drd.cli.incident_screen import screen
from drd.cli.remote import Answered, Remote
from drd.cli.render import terminal_width
from drd.cli.session import session
from drd.errors import UsageError
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.opening import report as file_report
from drd.flows.incidents.writing import require_plans
from drd.flows.records.restricted import unsealed
from drd.kit.sealing import read_secret_file
from drd.model.incidents.entries import subject
from drd.model.incidents.fold import fold
from drd.model.incidents.incident import Incident
from drd.model.records import Entry
from drd.model.text import escaped, some
from drd.model.units import format_time, from_rfc3339


def open_(args: argparse.Namespace) -> int:
    if args.from_ is not None:
        return incident_intake.run(args)
    if args.mapping is not None:
        hint = "add --from FILE, or --from - for stdin."
        raise UsageError("incident open: --mapping is given without --from", hint=hint)
    given = {
        "title": args.title or "",
        "report": args.report,
        "plans": args.plan,
        "severity": args.severity or "",
        "restricted": args.restricted,
    }
    with session(args, acts=False, records=True) as app:
        made = newly_opened(app, args, given)
        if not args.json:
            output.say(f"incident {made['incident']} is open: {escaped(made['title'] or '')}")
        if not (args.json or args.quiet or args.no_questions) and sys.stdin.isatty():
            _ask(app, args, made)
        if made["restricted"]:
            _say_protected(app)
    if args.json:
        output.print_json(made)
    elif not args.quiet:
        output.say(f'note what happens:  drd incident log {made["incident"]} "TEXT"')
        output.say(f"see what is next:   drd incident show {made['incident']}")
    return 0


def _say_protected(app: App) -> None:
    """Say who can read a restricted incident, and who cannot."""
    roles = app.settings.role_keys
    if roles:
        output.say(
            "this incident is restricted. On this host root and drd's user can read its entries. "
            "In repositories and exports its entries are encrypted for: "
            f"{escaped(some(sorted(roles), 10))}"
        )
        return
    output.warn(
        "this incident is restricted, but its entries are not encrypted, because drd.yaml "
        "does not contain keys for roles. drd status, alerts and metrics do not show its "
        "title and scope, and exports do not contain its entries. Anyone who has the "
        "password of a repository can read the entries of this incident there. To encrypt "
        "later entries, write in drd.yaml: incident: {roles: {lead: {age: [age1…]}}}"
    )


def report(args: argparse.Namespace) -> int:
    with app_of(args) as opened:
        zone = zone_of(opened)
        if opened.state.is_ours:
            said = author(opened, args)
            require_plans(args.plan, known_plans(opened))
            triage_s = opened.settings.triage_s
            made = file_report(opened.catalogue, said, args.text, triage_s, args.plan)
            document = incident_document(made)
        else:
            document = Remote(opened).post(
                "/v1/incidents/report", text=args.text, plans=args.plan, by=args.by
            )
    if args.json:
        output.print_json(document)
    elif not args.quiet:
        due = format_time(from_rfc3339(document["next_at"]), zone=zone)
        output.say(
            f"report {document['incident']} is recorded. An operator has to examine it before {due}"
        )
    return 0


def _ask(app: App, args: argparse.Namespace, made: Mapping[str, Any]) -> None:
    """Ask for what was not given; each answer is an entry of its own, so none is lost."""

    number, zone = made["incident"], zone_of(app)

    def act(verb: str, **given: Any) -> object:
        document = acted(app, args, verb, number, given)
        warn_of_notes(document)
        return document

    def scope(answer: str) -> object:
        return act("scope", add=answer.replace(",", " ").split(), remove=[], reason="")

    def moment(name: str) -> Callable[[str], object]:
        def state(answer: str) -> None:
            told = acted(app, args, "anchor", number, {"moment": name, "at": answer, "reason": ""})
            output.say(f"{name}: {' '.join(told['times'])}")

        return state

    questions: list[tuple[str, Callable[[str], object]]] = [
        (
            f"when did you become certain that this is an incident (14:30, -2h, now; {zone})",
            moment("aware"),
        ),
        ("when did the incident begin, as far as known", moment("occurred")),
        ("who leads", lambda answer: act("assign", to=answer)),
    ]
    if not made["severity"]:
        levels = some(app.settings.severities, 10)
        ask = f"severity ({levels})"
        questions.insert(0, (ask, lambda answer: act("severity", severity=answer, reason="")))
    if not made["plans"]:
        known = some(sorted(_plans(app)), 6)
        questions.insert(0, (f"plans in the scope{f' ({known})' if known else ''}", scope))
    output.say("Enter skips a question, Ctrl-C the rest.")
    for question, answer in questions:
        if not _answered(question, answer):
            break


def _plans(app: App) -> set[str]:
    if app.state.is_ours:
        return known_plans(app)
    return {plan["plan"] for plan in Remote(app).get("/v1/plans")["plans"]}


def _answered(question: str, answer: Callable[[str], object]) -> bool:
    """Ask until the answer is right or skipped. Returns False if the rest is skipped, too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while text := input(escaped(f"{question}: ")).strip():
            try:
                answer(text)
            except (UsageError, Answered) as error:
                output.complain(error.message, error.hint)
            else:
                break
    except (KeyboardInterrupt, EOFError):
        print(file=sys.stderr)
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return True


def show(args: argparse.Namespace) -> int:
    def here(app: App) -> dict[str, Any]:
        number = chosen(app.catalogue, args.number)
        incident, entries = app.catalogue.incidents.get(number), None
        if args.identity is not None:
            incident, entries = _opened_with(app, incident, Path(args.identity))
        return shown_document(app, incident, UTC if args.json else zone_of(app), entries)

    told, zone = zoned(args, path_of(args.number), here, local=not args.json)
    reports = told.pop("reports") or ""
    if args.starred:
        told["timeline"] = [line for line in told["timeline"] if line["starred"]]
    if args.json:
        output.print_json(told)
        return 0
    incident, lines = incident_of(told), lines_of(told["timeline"])
    investigated = investigation_of(told["investigation"])
    width, due = terminal_width(sys.stdout), "" if args.starred else reports
    now, updates = datetime.now(UTC), updates_of(told)
    shown = screen(
        incident,
        lines,
        now,
        width,
        due,
        zone=zone,
        found=investigated,
        updates=updates,
        warnings=told.get("warnings", ()),
    )
    for text in shown:
        output.say(text)
    return 0


def _opened_with(app: App, incident: Incident, file: Path) -> tuple[Incident, list[Entry]]:
    """Return an incident that came back from elsewhere, with what the identity opens."""
    identity = read_secret_file(file, "identity").encode()

    def entries(of: Incident) -> list[Entry]:
        return unsealed(app.catalogue.incidents.entries(of), identity)

    own = [e for e in entries(incident) if e.header.subject == subject(incident.number)]
    known = fold(incident.number, own)
    return known, entries(known)


def list_(args: argparse.Namespace) -> int:
    def here(app: App) -> dict[str, Any]:
        newest = app.catalogue.incidents.newest(closed=args.all, limit=args.limit)
        return {"incidents": [incident_document(i) for i in newest]}

    told, zone = zoned(args, "/v1/incidents", here, all=args.all, limit=args.limit)
    if args.json:
        output.print_json(told)
    elif not told["incidents"]:
        output.say("there was no incident yet" if args.all else "no incident is open")
    else:
        rows = [_row(incident_of(one), zone) for one in told["incidents"]]
        output.say(output.table(rows, header=_HEADER))
    return 0


_HEADER = ("N", "state", "severity", "opened", "plans", "title")


def _row(incident: Incident, zone: tzinfo) -> list[str]:
    unknown = "(encrypted)" if incident.sealed else "-"
    return [
        str(incident.number),
        str(incident.state),
        incident.severity or unknown,
        format_time(incident.opened_at, zone=zone) if incident.opened_at is not None else "-",
        some(incident.plans) or unknown,
        escaped(incident.title) or ("(restricted)" if incident.restricted else "-"),
    ]
