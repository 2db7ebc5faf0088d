"""Sheets for an incident that is worked on by hand: whom to call, and empty forms to fill in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from drd.kit.document import Block, Heading, Items, Paragraph, Table
from drd.model.contacts import Colleague, Contact, ContactBook, Duty, OnCall
from drd.model.incidents.instants import Instant
from drd.model.text import escaped
from drd.model.units import format_duration, format_time

_LOG_PAGES = 2
_LOG_ROWS = 22
_CALLS = (
    "who leads the response",
    "deputy of the person who leads",
    "owner of the service",
    "data protection officer",
    "counsel",
    "cyber insurer",
    "forensics",
    "provider of the servers",
    "supervisory authority",
    "police",
    "customers by contract",
    "press and status page",
)
_NOTHING_KNOWN = "drd.yaml does not name people or contacts (keys `people` and `contacts`)."


def blank_sheets(book: ContactBook, zone: tzinfo = UTC) -> list[Block]:
    """Return the empty sheets of an incident for which there is no drd at hand; times in `zone`."""
    first = (
        "what happens",
        "noticed at, by whom",
        "who leads",
        "services, plans",
        "whose data, how many people",
        "severity",
    )
    return [
        Heading(1, "Incident"),
        Paragraph(
            "Write each time with its time zone. When drd works again, record everything in "
            'drd with its time: `drd incident open "TITLE"`, `drd incident log "TEXT" --at '
            "TIME`."
        ),
        Table(("what", "known"), tuple((text, "") for text in first), sheet=True),
        Heading(2, "To do"),
        Table(("due", "who", "done at", "what"), empty(4, 9), sheet=True),
        Heading(2, "Moments", new_page=True),
        Table(("moment", "time"), tuple((i.value, "") for i in Instant), form=True),
        Heading(2, "Messages: who was told what"),
        Table(("at", "by whom", "next update by", "to whom, what"), empty(4, 8), sheet=True),
        *log_sheets(),
        *whom_to_call(book, zone=zone),
    ]


def contacts_page(book: ContactBook, made_at: datetime, zone: tzinfo = UTC) -> list[Block]:
    """Return the page of whom to contact, for a recovery kit; times in `zone`."""
    return [
        Heading(1, "Whom to contact in an incident"),
        Paragraph(f"Printed {format_time(made_at, zone=zone)}, from drd.yaml."),
        *_own_people(book, zone),
        *_outside(book.about(None)),
    ]


def log_sheets() -> Iterator[Block]:
    """Return empty pages for a log."""
    for _ in range(_LOG_PAGES):
        yield Heading(2, "Log, by hand", new_page=True)
        yield Table(("time", "who", "what"), empty(3, _LOG_ROWS), sheet=True)


def whom_to_call(
    book: ContactBook,
    now: datetime | None = None,
    scope: Sequence[str] | None = None,
    zone: tzinfo = UTC,
) -> Iterator[Block]:
    """Return the page for calls: who is on call at `now`, the contacts for the plans in the scope
    (None: all), and space for people whom drd.yaml does not name. Times are in `zone`."""
    yield Heading(2, "Whom to call", new_page=True)
    if now is not None and book.people:
        yield Paragraph(f"On call at {format_time(now, zone=zone)}:")
        yield Table(
            ("role", "called at", "person"),
            tuple((escaped(c.role), "", person_words(c, zone)) for c in book.on_call(now)),
            sheet=True,
        )
    yield from _own_people(book, zone)
    yield from _outside(book.about(scope))
    yield Heading(3, "Calls")
    header = ("for what", "name", "called at", "telephone, at which hours")
    yield Table(header, (*((text, "", "", "") for text in _CALLS), *empty(4, 6)), sheet=True)


def person_words(call: OnCall, zone: tzinfo = UTC) -> str:
    """Return who is to be called for a role, and instead of whom; times in `zone`."""
    if call.person is None:
        if call.instead_of:
            return f"nobody: {escaped(', '.join(call.instead_of))} is away, without a substitute"
        return "nobody"
    words = ", ".join(filter(None, (call.person.name, call.person.phone, call.person.mail)))
    until = f" until {format_time(call.until, zone=zone)}" if call.until is not None else ""
    if call.instead_of:
        words += f" (instead of {', '.join(call.instead_of)}, away{until})"
    return escaped(words)


def _own_people(book: ContactBook, zone: tzinfo) -> Iterator[Block]:
    if not book.people and not book.contacts:
        yield Paragraph(_NOTHING_KNOWN)
    if book.people:
        yield Heading(3, "Our people")
        yield Table(("name", "telephone", "roles, mail"), tuple(map(_person, book.people)))
    if book.duties:
        yield Paragraph(
            "On call. If a role has several lines, the first line that applies at the time counts:"
        )
        yield Items(tuple(f"{escaped(d.role)}: {_duty(d, zone)}" for d in book.duties))
    if book.absences:
        yield Paragraph("Away:")
        yield Items(
            tuple(
                escaped(
                    f"{a.person} from {format_time(a.begin, zone=zone)} to "
                    f"{format_time(a.end, zone=zone)}, substitute: {a.substitute or 'nobody'}"
                )
                for a in book.absences
            )
        )


def _person(person: Colleague) -> tuple[str, ...]:
    roles = ", ".join(filter(None, (*person.roles, person.mail)))
    return escaped(person.name), escaped(person.phone), escaped(roles)


def _duty(duty: Duty, zone: tzinfo) -> str:
    hours = f"{duty.hours.text} {duty.hours.zone}" if duty.hours.spans else "always"
    if duty.since is None:
        return escaped(f"{duty.people[0]} ({hours})")
    since = format_time(duty.since, zone=zone)
    turns = f"in turns of {format_duration(duty.every_s)} from {since}"
    return escaped(f"{', '.join(duty.people)}, {turns} ({hours})")


def _outside(contacts: Sequence[Contact]) -> Iterator[Block]:
    if contacts:
        yield Heading(3, "Others")
        rows = tuple((c.kind.value, escaped(c.name), ways(c), _facts(c)) for c in contacts)
        yield Table(("what", "name", "how", "language, hours, plans"), rows)


def ways(contact: Contact) -> str:
    """Return how a contact is reached, in the order in which one tries."""
    through = [f"channel {contact.channel}"] if contact.channel else []
    return escaped(", ".join((*contact.phones, *contact.mails, *_rest(contact), *through)))


def _rest(contact: Contact) -> list[str]:
    return list(filter(None, (contact.portal, contact.address)))


def _facts(contact: Contact) -> str:
    hours = f"{contact.hours.text} {contact.hours.zone}" if contact.hours.spans else "always"
    key = ["has an age key"] if contact.key else []
    plans = [", ".join(contact.plans)] if contact.plans else []
    note = [contact.note] if contact.note else []
    return escaped("; ".join([contact.language, hours, *plans, *key, *note]))


def local_time(contact: Contact, now: datetime) -> str:
    """Return the local time of a contact: `15:30 CET`."""
    return f"{now.astimezone(ZoneInfo(contact.hours.zone)):%a %H:%M %Z}"


def empty(columns: int, rows: int) -> tuple[tuple[str, ...], ...]:
    """Return rows to write into."""
    return (("",) * columns,) * rows
