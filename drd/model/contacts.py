"""Whom to call in an incident: your own people by role, with substitutes by time, and contacts
outside. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from drd.model.malformed import Malformed
from drd.model.person_names import is_same

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HINT = "write hours like `Mon-Fri 09:00-17:00`, several separated by commas, or `always`"
_SPAN = re.compile(r"(?:([A-Z][a-z]{2})(?:-([A-Z][a-z]{2}))? )?(\d\d):(\d\d)-(\d\d):(\d\d)")
_MINUTES_OF_DAY = 24 * 60

PGP_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
"""The first line of a public PGP key."""


class ContactKind(StrEnum):
    """The role of a contact, such as an authority, a customer or an insurer."""

    AUTHORITY = "authority"
    CUSTOMER = "customer"
    PARTNER = "partner"
    PROCESSOR = "processor"
    INSURER = "insurer"
    COUNSEL = "counsel"
    FORENSICS = "forensics"
    LAW_ENFORCEMENT = "law-enforcement"
    STATUS_PAGE = "status-page"
    PRESS = "press"


@dataclass(frozen=True, slots=True)
class Span:
    """Part of some days of the week (Monday is 0), in minutes of the day. If it ends before it
    begins, it ends on the next day."""

    days: frozenset[int]
    begin: int
    end: int

    def has(self, day: int, minute: int) -> bool:
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        before = (day - 1) % 7
        return (day in self.days and minute >= self.begin) or (
            before in self.days and minute < self.end
        )


@dataclass(frozen=True, slots=True)
class Hours:
    """When somebody can be reached; without spans: always. `zone` is where the days are."""

    text: str = ""
    spans: tuple[Span, ...] = ()
    zone: str = "UTC"

    def has(self, now: datetime) -> bool:
        """Return whether `now` is within the hours."""
        if not self.spans:
            return True
        local = now.astimezone(ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        return any(span.has(local.weekday(), minute) for span in self.spans)


def spans(text: str) -> tuple[Span, ...]:
    """Return the spans of a text like `Mon-Fri 09:00-17:00, Sat 10:00-12:00`; empty for `always`.
    Raises Malformed."""
    if text.strip() == "always":
        return ()
    return tuple(_span(part.strip()) for part in text.split(","))


def _span(text: str) -> Span:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise Malformed(f'"{text}" is not a range of hours', _HINT)
    first, last, *clock = match.groups()
    hour, minute, end_hour, end_minute = map(int, clock)
    begin, end = hour * 60 + minute, end_hour * 60 + end_minute
    if max(begin, end) > _MINUTES_OF_DAY or max(minute, end_minute) > 59 or begin == end:
        raise Malformed(f'"{text}" is not a range of hours', _HINT)
    return Span(_days(first, last), begin, end)


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    for day in (first, last or first):
        if day not in _DAYS:
            raise Malformed(f'there is no day "{day}"', f"use {', '.join(_DAYS)}")
    begin, end = _DAYS.index(first), _DAYS.index(last or first)
    return frozenset((begin + n) % 7 for n in range((end - begin) % 7 + 1))


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody outside. drd itself sends to `mails`, and through `channel`, a channel of drd.yaml;
    a person uses the other data. `plans` are names and patterns; if empty, the contact is for all
    plans. `key` is a public age key or, if it begins with `PGP_KEY`, a public PGP key."""

    name: str
    kind: ContactKind
    plans: tuple[str, ...] = ()
    language: str = "en"
    hours: Hours = Hours()
    mails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    portal: str = ""
    address: str = ""
    channel: str = ""
    key: str = ""
    note: str = ""

    def is_about(self, scope: Collection[str]) -> bool:
        """Return whether the contact is responsible for one of these plans."""
        return not self.plans or any(fnmatchcase(p, glob) for p in scope for glob in self.plans)

    @property
    def by_hand(self) -> tuple[str, ...]:
        """The ways to the contact that a person uses."""
        posts = [self.portal, self.address]
        return (*self.phones, *filter(None, posts))


@dataclass(frozen=True, slots=True)
class Colleague:
    """A person under `people` in drd.yaml."""

    name: str
    roles: tuple[str, ...] = ()
    phone: str = ""
    mail: str = ""


@dataclass(frozen=True, slots=True)
class Duty:
    """Who is on call for a role. Several people take turns of `every_s` seconds from `since` on, in
    their order, and `hours` say when this holds at all."""

    role: str
    people: tuple[str, ...]
    every_s: float = 0.0
    since: datetime | None = None
    hours: Hours = Hours()

    def turn(self, now: datetime) -> str | None:
        """Return the person whose turn it is, even if absent; None outside of the hours or before
        the first turn."""
        if not self.hours.has(now):
            return None
        if self.since is None:
            return self.people[0]
        if now < self.since:
            return None
        turns = int((now - self.since) / timedelta(seconds=self.every_s))
        return self.people[turns % len(self.people)]


@dataclass(frozen=True, slots=True)
class Absence:
    """A person is absent from `begin` to `end`, and `substitute` takes over; if it is empty, nobody
    does."""

    person: str
    begin: datetime
    end: datetime
    substitute: str = ""

    def has(self, now: datetime) -> bool:
        return self.begin <= now < self.end


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who is to be called for a role now. `person` is None if nobody is; `instead_of` are the
    absent people, and `until` is when the first of these absences ends."""

    role: str
    person: Colleague | None
    instead_of: tuple[str, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ContactBook:
    """All contacts, as drd.yaml has them."""

    people: tuple[Colleague, ...] = ()
    contacts: tuple[Contact, ...] = ()
    duties: tuple[Duty, ...] = ()
    absences: tuple[Absence, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles; roles with somebody on call come first."""
        on_call = [duty.role for duty in self.duties]
        return tuple(dict.fromkeys([*on_call, *(r for p in self.people for r in p.roles)]))

    def on_call(self, now: datetime) -> list[OnCall]:
        """Return who is to be called now, by role. If drd.yaml has no duty for a role, the first
        present person with the role is called."""
        return [self._on_call(role, now) for role in self.roles]

    def _on_call(self, role: str, now: datetime) -> OnCall:
        first: OnCall | None = None
        for name in self._turns(role, now):
            on_call = self._there(role, name, now)
            if on_call.person is not None:
                return on_call if first is None else replace(first, person=on_call.person)
            first = first or on_call
        return first or OnCall(role, None)

    def _turns(self, role: str, now: datetime) -> Iterator[str]:
        """Return the names for a role, the first choice first."""
        for duty in self.duties:
            name = duty.turn(now) if duty.role == role else None
            if name is not None:
                yield name
        yield from (person.name for person in self.people if role in person.roles)

    def _there(self, role: str, name: str, now: datetime) -> OnCall:
        """Follow the substitutes of a person until one is there; a circle ends with nobody."""
        absent: list[str] = []
        until: datetime | None = None
        while (absence := self._absence(name, now)) is not None:
            absent.append(name)
            until = absence.end if until is None else min(until, absence.end)
            name = absence.substitute
            if not name or name in absent:
                return OnCall(role, None, tuple(absent), until)
        return OnCall(role, self.person(name), tuple(absent), until)

    def _absence(self, name: str, now: datetime) -> Absence | None:
        return next((a for a in self.absences if a.person == name and a.has(now)), None)

    def person(self, name: str) -> Colleague | None:
        return next((person for person in self.people if is_same(person.name, name)), None)

    def about(self, scope: Collection[str] | None) -> list[Contact]:
        """Return the contacts for these plans, by kind; None means all plans."""
        order = list(ContactKind)
        contacts = [c for c in self.contacts if scope is None or c.is_about(scope)]
        return sorted(contacts, key=lambda c: order.index(c.kind))
