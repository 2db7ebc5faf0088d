"""`drd incident contacts`: who is to be called now, by role."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from drd.bootstrap import App
from drd.cli import output
from drd.cli.enduring import quick_settings
from drd.cli.incident_acting import path_of
from drd.cli.remote import Remote
from drd.cli.render import hanging, terminal_width
from drd.cli.session import session
from drd.config.zones import local_zone
from drd.errors import UsageError
from drd.kit.incident_sheets import local_time, person_words, ways
from drd.model.contacts import Contact, ContactBook, OnCall
from drd.model.text import escaped, some
from drd.model.units import format_time, from_rfc3339, to_rfc3339


def book_of(args: argparse.Namespace) -> tuple[ContactBook, ZoneInfo]:
    """Return the contacts of drd.yaml, and the zone of times, without opening anything else."""
    settings = quick_settings(args)
    return settings.contacts, local_zone(settings.timezone)


def run(args: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    at = _time(args.at) if args.at is not None else now
    scope: Sequence[str] | None = args.plan or None
    if args.number is not None:
        with session(args, reading=True) as app:
            scope = _plans(app, args.number) or scope
    book, zone = book_of(args)
    calls, contacts = book.on_call(at), book.about(scope)
    if args.json:
        output.print_json(_document(at, calls, contacts))
        return 0
    width = terminal_width(sys.stdout)
    for line in _lines(at.astimezone(zone), calls, contacts, scope, width):
        output.say(line)
    return 0


def _plans(app: App, number: int) -> Sequence[str]:
    """Return the plans in the scope of an incident."""
    if app.state.is_ours:
        return app.catalogue.incidents.get(number).plans
    return list(Remote(app).get(path_of(number))["plans"])


def _time(text: str) -> datetime:
    try:
        return from_rfc3339(text)
    except ValueError as error:
        raise UsageError(
            f"--at: {text!r} is not a time", hint="write one like 2026-12-24T20:00:00Z"
        ) from error


def _lines(
    at: datetime,
    calls: Sequence[OnCall],
    contacts: Sequence[Contact],
    scope: Sequence[str] | None,
    width: int,
) -> Iterator[str]:
    """Return the lines; times are in the zone of `at`."""
    zone = at.tzinfo or UTC
    yield f"on call at {format_time(at, zone=zone)}"
    if not calls:
        yield "  nobody: no person of drd.yaml has a role (people: [{name: …, roles: [operator]}])"
    for call in calls:
        yield from hanging(f"  {escaped(call.role)}: ", person_words(call, zone), width)
    about = f" for {some(scope, 5)}" if scope else ""
    yield f"others{about}"
    if not contacts:
        yield "  nobody: see `contacts` in docs/messages.md"
    for contact in contacts:
        yield from hanging(f"  {contact.kind}: ", _words(contact, at), width)


def _words(contact: Contact, at: datetime) -> str:
    parts = [f"{escaped(contact.name)}: {ways(contact)}"]
    if contact.hours.spans:
        reach = "now" if contact.hours.has(at) else "not now"
        here = local_time(contact, at)
        parts.append(
            f"can be reached {reach} (hours {contact.hours.text}; local time there {here})"
        )
    if contact.language != "en":
        parts.append(f"language {contact.language}")
    if contact.key:
        parts.append("has an age key")
    if contact.plans:
        parts.append(f"plans {escaped(some(contact.plans, 5))}")
    if contact.note:
        parts.append(escaped(contact.note))
    return "; ".join(parts)


def _document(at: datetime, calls: Sequence[OnCall], contacts: Sequence[Contact]) -> dict[str, Any]:
    return {
        "at": to_rfc3339(at),
        "on_call": [
            {
                "role": call.role,
                "person": call.person.name if call.person is not None else None,
                "phone": (call.person.phone or None) if call.person is not None else None,
                "mail": (call.person.mail or None) if call.person is not None else None,
                "instead_of": list(call.instead_of),
                "until": to_rfc3339(call.until) if call.until is not None else None,
            }
            for call in calls
        ],
        "contacts": [
            {
                "contact": contact.name,
                "kind": str(contact.kind),
                "plans": list(contact.plans),
                "language": contact.language,
                "mail": list(contact.mails),
                "phone": list(contact.phones),
                "portal": contact.portal or None,
                "address": contact.address or None,
                "channel": contact.channel or None,
                "has_key": bool(contact.key),
                "hours": contact.hours.text or "always",
                "timezone": contact.hours.zone,
                "reachable": contact.hours.has(at),
                "note": contact.note or None,
            }
            for contact in contacts
        ],
    }
