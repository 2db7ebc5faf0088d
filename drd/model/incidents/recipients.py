"""Who gets a message of an incident, by which way. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from drd.errors import UsageError
from drd.model.contacts import Colleague, Contact, ContactBook
from drd.model.incidents.approval import ApprovalRule
from drd.model.incidents.audiences import OUTSIDE, ROLES, Audience
from drd.model.incidents.incident import Incident
from drd.model.incidents.messages import Recipient, Way
from drd.model.message import INCIDENT, ChannelSpec, Urgency
from drd.model.nearest import meant
from drd.model.person_names import as_written, is_among, is_same
from drd.model.text import escaped, some

_ADDRESS = re.compile(r"[^\s@<>,;:\"]{1,64}@[A-Za-z0-9.-]{1,255}")
NO_ADDRESS = "(no address known)"


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom one can reach: contacts, the channels of drd.yaml, and the business owners of the plans
    in the scope, as the plans name them. `mail_channels` are the channels that can write to any
    address; drd uses the first one for mails. `leads` returns a digest of where a channel leads;
    raises SecretUnavailable if drd cannot read its address. `approval` says who approves messages
    to people outside, `users` which user each of your own people is."""

    book: ContactBook
    channels: Sequence[ChannelSpec] = ()
    mail_channels: Sequence[str] = ()
    owners: Sequence[str] = ()
    gravest: str = "critical"
    leads: Callable[[ChannelSpec], str] = field(kw_only=True)
    approval: ApprovalRule = field(default_factory=ApprovalRule, kw_only=True)
    users: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    def channel(self, name: str) -> ChannelSpec | None:
        """Return the channel of this name that carries messages; None if there is none."""
        return next((c for c in self.channels if c.name == name and not c.is_heartbeat), None)

    @property
    def mail_channel(self) -> str:
        """Return the channel that carries mails to people outside; empty if there is none."""
        return next(iter(self.mail_channels), "")

    def urgency(self, incident: Incident) -> Urgency:
        """Return how urgent a message to one's own people is."""
        return "critical" if incident.severity == self.gravest else "warning"


@dataclass(frozen=True, slots=True)
class Addressed:
    """A recipient, and the language of the message."""

    recipient: Recipient
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person requests: only these contacts or people, and mails encrypted or not."""

    to: Sequence[str] = field(default_factory=tuple)
    encrypt: bool = False


def addressed(
    audience: Audience, incident: Incident, reach: Reach, wanted: Wanted
) -> list[Addressed]:
    """Return the recipients of a message. Raises UsageError if there are none, or if the message
    cannot be sent in the requested way."""
    if audience is Audience.INTERNAL and not incident.restricted and not wanted.to:
        return list(_own_channels(incident, reach))
    recipients = list(_named(audience, incident, reach, wanted.to))
    if not recipients:
        raise _nobody(audience, incident)
    if wanted.encrypt:
        _require_keys(recipients)
        return recipients
    return [replace(one, recipient=replace(one.recipient, key="")) for one in recipients]


def _own_channels(incident: Incident, reach: Reach) -> Iterator[Addressed]:
    wanting = [
        c
        for c in reach.channels
        if not c.is_heartbeat
        and INCIDENT in c.on
        and reach.urgency(incident) in c.severities
        and (not c.plans or any(c.is_for(plan) for plan in incident.plans))
    ]
    if not wanting:
        raise UsageError(
            "drd.yaml does not define a channel for messages about incidents",
            hint=f"add {INCIDENT} to `on` of a channel under `notify`, or name people: --to NAME",
        )
    for channel in wanting:
        yield Addressed(Recipient(channel.name, Way.OWN, channel.name))


def _named(
    audience: Audience, incident: Incident, reach: Reach, to: Sequence[str]
) -> Iterator[Addressed]:
    book = reach.book
    if to:
        for name in dict.fromkeys(to):
            yield from _by_name(name, audience, incident, reach)
        return
    if audience in OUTSIDE:
        for contact in book.about(incident.plans):
            if contact.kind in OUTSIDE[audience]:
                yield from _contact(contact, reach)
        return
    for name in _inside(audience, incident, reach):
        yield from _own_person(name, reach)


def _inside(audience: Audience, incident: Incident, reach: Reach) -> list[str]:
    """Return the names of one's own people. A restricted incident is for those alone who have a
    role in it."""
    if audience is Audience.INTERNAL:
        return sorted({as_written(n, (p.name for p in reach.book.people)) for n in incident.people})
    roles = ROLES[audience]
    holders = [p.name for p in reach.book.people if not set(roles).isdisjoint(p.roles)]
    named = reach.owners if audience is Audience.BUSINESS_OWNER else ()
    owners = [_owner(name, reach.book) for name in named]
    people = list(dict.fromkeys([*owners, *(holders if not owners else [])]))
    if incident.restricted:
        return [name for name in people if is_among(name, incident.people)]
    return people


def _owner(name: str, book: ContactBook) -> str:
    """Return the business owner of a plan as drd.yaml names the person: a plan may have an
    address."""
    person = book.person(name)
    if person is None and _ADDRESS.fullmatch(name):
        person = next((p for p in book.people if is_same(p.mail, name)), None)
    return person.name if person is not None else name


def _own_person(name: str, reach: Reach) -> Iterator[Addressed]:
    """Address a person of drd.yaml, a contact of this name, or an address as it is."""
    person = reach.book.person(name)
    contact = next((c for c in reach.book.contacts if is_same(c.name, name)), None)
    if person is None and contact is not None:
        yield from _contact(contact, reach)
        return
    mail = own_address(name, reach.owners)
    yield from _person(person or Colleague(name, mail=mail), reach)


def own_address(name: str, owners: Collection[str]) -> str:
    """Return the address of a business owner whom a plan names by an address; empty if there is
    none."""
    return name if name in owners and _ADDRESS.fullmatch(name) else ""


def _by_name(
    name: str, audience: Audience, incident: Incident, reach: Reach
) -> Iterator[Addressed]:
    contact = next((c for c in reach.book.contacts if c.name == name), None)
    person = reach.book.person(name)
    if contact is not None and audience.is_external:
        yield from _contact(contact, reach)
    elif person is not None and not audience.is_external:
        if not may_read(name, incident):
            raise not_for(name, incident)
        yield from _person(person, reach)
    else:
        raise _stranger(name, audience, reach.book)


def may_read(name: str, incident: Incident) -> bool:
    """Return whether one of your own people may get messages about an incident."""
    return not incident.restricted or is_among(name, incident.people)


def not_for(name: str, incident: Incident) -> UsageError:
    """Return the refusal of a person, or of a channel that many read."""
    return UsageError(
        f"incident {incident.number} is restricted, and {escaped(name)!r} has no role in it",
        hint=f"give people a role: drd incident role {incident.number} ROLE NAME",
    )


def _stranger(name: str, audience: Audience, book: ContactBook) -> UsageError:
    outside = audience.is_external
    names = [c.name for c in book.contacts] if outside else [p.name for p in book.people]
    where = "contacts" if outside else "people"
    hint = meant(name, names) or f"add this name under `{where}` in drd.yaml."
    return UsageError(f"`{where}` in drd.yaml does not contain {escaped(name)!r}", hint=hint)


def _contact(contact: Contact, reach: Reach) -> Iterator[Addressed]:
    if contact.mails and not reach.mail_channel:
        raise UsageError(
            f"drd cannot send mails to {escaped(contact.name)}: drd.yaml does not define a mail "
            "server under `notify`",
            hint="add {kind: smtp, host: …, to: […]} under `notify`.",
        )
    for mail in contact.mails:
        to = Recipient(contact.name, Way.MAIL, mail, reach.mail_channel, contact.key)
        yield Addressed(to, contact.language)
    if contact.channel:
        spec = reach.channel(contact.channel)
        if spec is None:
            raise UsageError(
                f"drd.yaml does not define channel {escaped(contact.channel)} under `notify`, but "
                f"contact {escaped(contact.name)} uses this channel",
                hint="add this channel under `notify`.",
            )
        to = Recipient(contact.name, Way.CHANNEL, contact.channel, leads=reach.leads(spec))
        yield Addressed(to, contact.language)
    if not contact.mails and not contact.channel:
        by_hand = ", ".join(contact.by_hand)
        yield Addressed(Recipient(contact.name, Way.HAND, by_hand), contact.language)


def _person(person: Colleague, reach: Reach) -> Iterator[Addressed]:
    if person.mail and reach.mail_channel:
        yield Addressed(Recipient(person.name, Way.MAIL, person.mail, reach.mail_channel))
    else:
        yield Addressed(Recipient(person.name, Way.HAND, person.phone or NO_ADDRESS))


def _require_keys(found: Collection[Addressed]) -> None:
    without = [one.recipient for one in found if not one.recipient.key]
    if without:
        names = escaped(some([one.words for one in without], 5))
        raise UsageError(
            f"drd cannot encrypt the message to {names}: a public key or a mail address is missing",
            hint="add `mail` and `age` or `pgp` to the contact, name others (--to NAME), or leave "
            "out --encrypt.",
        )


def _nobody(audience: Audience, incident: Incident) -> UsageError:
    about = f" for {some(incident.plans, 5)}" if incident.plans else ""
    if audience.is_external:
        kinds = " or ".join(OUTSIDE[audience])
        return UsageError(
            f"no contact in drd.yaml belongs to the audience {audience}{about}",
            hint=f"add a contact of kind {kinds} under `contacts` in drd.yaml, or name a "
            "recipient: --to NAME",
        )
    if incident.restricted:
        return UsageError(
            f"nobody who may read the restricted incident {incident.number} belongs to the "
            f"audience {audience}",
            hint=f"give people a role: drd incident role {incident.number} ROLE NAME",
        )
    owner = "`business_owner` to the plan, or " if audience is Audience.BUSINESS_OWNER else ""
    return UsageError(
        f"nobody in drd.yaml belongs to the audience {audience}{about}",
        hint=f"add {owner}the role {ROLES[audience][0]!r} to a person, or name a "
        "recipient: --to NAME",
    )
