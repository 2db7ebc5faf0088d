"""Whom to call and to write to in an incident: `contacts`, `on_call` and `absences` of drd.yaml."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from drd.config.age_key import AgeKey
from drd.config.pgp_key import PgpKey
from drd.config.problems import Report, nearest
from drd.config.zones import time_zone
from drd.fields import Contradiction, Duration, Settings
from drd.model import contacts as model
from drd.model.contacts import ContactBook, ContactKind, Hours
from drd.model.malformed import Malformed
from drd.model.message import LETTER
from drd.model.units import from_rfc3339

_MAIL = re.compile(r"[!-~]+@[!-~]+")
_PHONE = re.compile(r"\+?[0-9][0-9 ()/.-]{2,}(?:,? ?(?:ext\.?|x) ?[0-9]+)?")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_LONGEST = 200


def _one_or_several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _mail(text: str) -> str:
    if not _MAIL.fullmatch(text) or any(mark in text for mark in ",;<>"):
        raise Malformed(
            f'"{text}" is not a mail address in ASCII', "write only the address: cert@example.com"
        )
    return text


def _phone(text: str) -> str:
    if not _PHONE.fullmatch(text):
        raise Malformed(
            f'"{text}" is not a telephone number', 'write a number like "+49 30 1234567"'
        )
    return text


def _language(text: str) -> str:
    if not _LANGUAGE.fullmatch(text):
        raise Malformed(f'"{text}" is not the code of a language', "write a code like de or pt-BR")
    return text


def _glob(text: str) -> str:
    if not text:
        raise Malformed("is empty", "write the name of a plan, or a pattern like orders-*")
    return text


def _hours(text: str) -> str:
    model.spans(text)
    return text


def _moment(text: Any) -> str:
    """A day, or a time with or without a zone. Raises Malformed."""
    at = str(text)
    try:
        datetime.fromisoformat(at)
    except ValueError:
        raise Malformed(
            f'"{at}" is neither a day nor a time', "write 2026-12-24, or 2026-12-24T18:00"
        ) from None
    return at


_SEVERAL = BeforeValidator(_one_or_several)
_EITHER = WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
)
Names = Annotated[list[Annotated[str, AfterValidator(_glob)]], _SEVERAL, _EITHER]
Mails = Annotated[list[Annotated[str, AfterValidator(_mail)]], _SEVERAL, _EITHER]
Phones = Annotated[list[Annotated[str, AfterValidator(_phone)]], _SEVERAL, _EITHER]
Moment = Annotated[str, BeforeValidator(_moment)]
Zone = Annotated[str, AfterValidator(time_zone)]
Text = Annotated[str, Field(min_length=1, max_length=_LONGEST)]
OfTheWeek = Annotated[str, AfterValidator(_hours)]


class ContactEntry(Settings):
    """Somebody outside, who is called or written to in an incident."""

    name: Text = Field(description="The name, by which commands call the contact.")
    kind: ContactKind = Field(description="The kind of contact: " + ", ".join(ContactKind) + ".")
    plans: Names = Field(
        default_factory=list,
        description="The contact is needed only for these plans: names or patterns, like orders-*. "
        "Default: for all plans.",
    )
    language: Annotated[str, AfterValidator(_language)] = Field(
        "en",
        description="The language of messages to the contact, where templates in this "
        "language exist.",
    )
    hours: OfTheWeek = Field(
        "always", description="When the contact can be reached: `Mon-Fri 09:00-17:00`, `always`."
    )
    timezone: Zone | None = Field(
        None,
        description="The time zone of `hours` (default: the time zone of "
        "`organisation`, otherwise of the host).",
    )
    mail: Mails = Field(
        default_factory=list, description="Mail addresses: each gets its own mail from drd."
    )
    phone: Phones = Field(
        default_factory=list,
        description="Telephone numbers. drd does not call them: a person must call.",
    )
    portal: Text | None = Field(
        None, description="URL of a form. drd does not fill it in: a person must do so."
    )
    address: Text | None = Field(None, description="Address for letters.")
    channel: str | None = Field(
        None,
        description="The channel under `notify` by which drd sends messages to this "
        "contact: for example to a status page.",
    )
    age: AgeKey | None = Field(
        None,
        description="The contact's public key (age1… or ssh-…): mails with --encrypt are encrypted "
        "to it.",
    )
    pgp: PgpKey | None = Field(
        None,
        description="The contact's public PGP key in ASCII armour, instead of `age`. drd encrypts "
        "to it with the program gpg.",
    )
    note: Text | None = Field(
        None, description="What a caller has to know, for example a contract number."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        ways = (self.mail, self.phone, self.portal, self.address, self.channel)
        if not any(ways):
            hint = "add one of `mail`, `phone`, `portal`, `address`, `channel`."
            yield Contradiction((), f'there is no way to reach "{self.name}"', hint)
        for name in ("age", "pgp"):
            if getattr(self, name) is not None and not self.mail:
                hint = f"add `mail`, or remove `{name}`."
                yield Contradiction((name,), "has no effect without `mail`", hint, of_key=True)
        if self.age is not None and self.pgp is not None:
            hint = "remove one of them: a mail is encrypted to one key."
            yield Contradiction(("pgp",), "stands beside `age`", hint, of_key=True)


class OnCallEntry(Settings):
    """Who is on call for a role. The first entry of a role that holds now counts."""

    role: Text = Field(description="A role, as written in the `roles` of `people`.")
    people: Names = Field(
        min_length=1, description="A person, or several who take turns in this order."
    )
    every: Duration | None = Field(None, description="How long one turn is: `7d`.")
    since: Moment | None = Field(
        None, description="When the first turn of the first person began: 2026-11-02T09:00."
    )
    hours: OfTheWeek = Field(
        "always",
        description="The hours in which this entry applies: `Mon-Fri 09:00-17:00`, `always`.",
    )
    timezone: Zone | None = Field(
        None, description="The time zone of `hours` and `since` (default: the time zone of "
                          "`organisation`, otherwise of the host).",
    )  # fmt: skip

    def contradictions(self) -> Iterator[Contradiction]:
        if len(self.people) > 1 and (self.every is None or self.since is None):
            hint = "add `every: 7d` and `since: 2026-11-02T09:00`, or name one person."
            yield Contradiction(
                ("people",),
                "names several people, but `every` or `since` is missing, which say whose "
                "turn it is",
                hint,
            )
        if len(self.people) == 1 and (self.every is not None or self.since is not None):
            hint = "remove `every` and `since`, or name several people."
            yield Contradiction(
                (), f"has turns (`every`, `since`), but only one person: {self.people[0]}", hint
            )


class AbsenceEntry(Settings):
    """A person is away, and somebody else is called instead."""

    person: Text = Field(description="Who is away.")
    begin: Moment = Field(alias="from", description="From this day or time on.")
    end: Moment = Field(alias="to", description="Up to this time, or to the end of this day.")
    substitute: Text | None = Field(
        None, description="The person who is called instead (default: nobody)."
    )


def contact_book(  # noqa: PLR0917 (the keys of drd.yaml)
    people: Iterable[Any],
    contacts: Sequence[ContactEntry],
    on_call: Sequence[OnCallEntry],
    absences: Sequence[AbsenceEntry],
    zone: str,
    report: Report,
    channels: Mapping[str, Collection[str]] | None = None,
) -> ContactBook:
    """Return the contacts. Contradictions go into the report, each with its line. `channels` are
    the channels that messages can use, with what else they carry; None if the channels were not
    read."""
    known = tuple(
        model.Colleague(p.name, tuple(p.roles), p.phone or "", p.email or "") for p in people
    )
    names = [person.name for person in known]
    for index, contact in enumerate(contacts):
        _check_contact(("contacts", index), contact, contacts[:index], channels, report)
    for index, entry in enumerate(on_call):
        _contradictions(("on_call", index), entry, report)
        for place, name in enumerate(entry.people):
            _require_person(("on_call", index, "people", place), name, names, report)
    for index, away in enumerate(absences):
        _check_absence(("absences", index), away, names, zone, report)
    if report.errors:
        return ContactBook()
    return ContactBook(
        known,
        tuple(map(partial(_contact, zone=zone), contacts)),
        tuple(map(partial(_duty, zone=zone), on_call)),
        tuple(map(partial(_absence, zone=zone), absences)),
    )


def _check_contact(
    path: tuple[str | int, ...],
    contact: ContactEntry,
    before: Sequence[ContactEntry],
    channels: Mapping[str, Collection[str]] | None,
    report: Report,
) -> None:
    _contradictions(path, contact, report)
    if contact.name in {other.name for other in before}:
        hint = "give each contact its own name."
        report.error((*path, "name"), f'there are two contacts "{contact.name}"', hint)
    if contact.channel is None or channels is None:
        return
    if contact.channel not in channels:
        message = f'there is no channel "{contact.channel}" under `notify`'
        hint = nearest(contact.channel, sorted(channels)) if channels else "add it under `notify`."
        report.error((*path, "channel"), message, hint)
    elif others := [event for event in channels[contact.channel] if event != LETTER]:
        message = (
            f"the channel {contact.channel} would also send messages that are meant for your own "
            f"people ({', '.join(others)}) to the contact {contact.name}"
        )
        hint = (
            f"write `on: [{LETTER}]` for this channel under `notify`: then it sends only messages "
            "to contacts."
        )
        report.error((*path, "channel"), message, hint)


def _check_absence(
    path: tuple[str | int, ...], away: AbsenceEntry, names: Sequence[str], zone: str, report: Report
) -> None:
    _require_person((*path, "person"), away.person, names, report)
    if away.substitute is not None:
        _require_person((*path, "substitute"), away.substitute, names, report)
    if away.substitute == away.person:
        hint = "write another person, or remove `substitute`."
        report.error((*path, "substitute"), f"names {away.person}, the person who is away", hint)
    if _time(away.end, zone, whole_day=True) <= _time(away.begin, zone):
        message = f"{away.end} is not after {away.begin}, where the absence begins"
        report.error((*path, "to"), message, "correct `from` or `to`.")


def _contradictions(path: tuple[str | int, ...], entry: Settings, report: Report) -> None:
    for one in entry.contradictions():
        report.error((*path, *one.path), one.message, one.hint, of_key=one.of_key)


def _require_person(
    path: tuple[str | int, ...], name: str, names: Sequence[str], report: Report
) -> None:
    if name not in names:
        hint = nearest(name, names) if names else "add the person under `people`."
        report.error(path, f'there is no person "{name}" under `people`', hint)


def _contact(entry: ContactEntry, zone: str) -> model.Contact:
    return model.Contact(
        entry.name,
        entry.kind,
        tuple(entry.plans),
        entry.language,
        _of_the_week(entry.hours, entry.timezone or zone),
        tuple(entry.mail),
        tuple(entry.phone),
        entry.portal or "",
        entry.address or "",
        entry.channel or "",
        entry.age or entry.pgp or "",
        entry.note or "",
    )


def _duty(entry: OnCallEntry, zone: str) -> model.Duty:
    where = entry.timezone or zone
    since = _time(entry.since, where) if entry.since is not None else None
    hours = _of_the_week(entry.hours, where)
    return model.Duty(entry.role, tuple(entry.people), entry.every or 0.0, since, hours)


def _absence(entry: AbsenceEntry, zone: str) -> model.Absence:
    begin, end = _time(entry.begin, zone), _time(entry.end, zone, whole_day=True)
    return model.Absence(entry.person, begin, end, entry.substitute or "")


def _of_the_week(text: str, zone: str) -> Hours:
    return Hours(text, model.spans(text), zone)


def _time(text: str, zone: str, *, whole_day: bool = False) -> datetime:
    """Return a day or time of drd.yaml; the end of the day if `whole_day`."""
    where = ZoneInfo(zone)
    if "T" not in text and " " not in text:
        day = date.fromisoformat(text) + timedelta(days=1 if whole_day else 0)
        return datetime.combine(day, time(), where)
    at = datetime.fromisoformat(text)
    return from_rfc3339(text) if at.tzinfo is not None else at.replace(tzinfo=where)
