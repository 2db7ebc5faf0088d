"""Messages of an incident: what they contain, who approved them, and their results.

Each is a draft in the chain of records, whose content is frozen: subject, text, recipients, ways.
An approval names the digest of that content. What was sent, to whom, and what the other side said
are entries of their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from drd.model.actor import Actor
from drd.model.incidents.audiences import Audience
from drd.model.units import from_rfc3339, to_rfc3339


class Act(StrEnum):
    """What an entry about a message says."""

    APPROVE = "approve"
    SEND = "send"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    BOUNCED = "bounced"
    TOLD = "told"
    WITHDRAW = "withdraw"


class Way(StrEnum):
    """How a recipient is reached: by mail, through a channel of drd.yaml that belongs to the
    recipient, through the channels of your own people, or by a person."""

    MAIL = "mail"
    CHANNEL = "channel"
    OWN = "own"
    HAND = "hand"


class Fate(StrEnum):
    """The result of a message for one recipient."""

    DRAFTED = "not sent"
    WAITING = "waits"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    BOUNCED = "bounced"
    TO_TELL = "to be told by a person"
    TOLD = "told"
    QUEUED = "handed to the channels"


NEEDS_A_PERSON = frozenset({Fate.REFUSED, Fate.UNKNOWN, Fate.BOUNCED, Fate.TO_TELL})
"""Only a person can do something about these."""
MAY_REPEAT = frozenset({Fate.REFUSED, Fate.UNKNOWN, Fate.BOUNCED})
"""A person may ask to send these again."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient. `name` is a contact, a person or a channel; `via` the mail channel that carries
    the mail; `key` the age or PGP key to which it is encrypted; `leads` is a digest of the address
    of the channel, because this address may be a secret."""

    name: str
    way: Way
    to: str
    via: str = ""
    key: str = ""
    leads: str = ""

    def to_json(self) -> dict[str, str]:
        """Convert to plain JSON; `from_json` is the inverse."""
        leads = {"leads": self.leads} if self.leads else {}
        return {
            "name": self.name,
            "way": str(self.way),
            "to": self.to,
            "via": self.via,
            "key": self.key,
            **leads,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipient:
        return cls(
            str(data["name"]),
            Way(data["way"]),
            str(data["to"]),
            str(data.get("via") or ""),
            str(data.get("key") or ""),
            str(data.get("leads") or ""),
        )

    @property
    def words(self) -> str:
        """Return name, way and address: `Acme by mail to it@acme.example`."""
        if self.way is Way.MAIL:
            kept = ", encrypted" if self.key else ""
            return f"{self.name} by mail to {self.to}{kept}"
        if self.way is Way.HAND:
            return f"{self.name}, by a person: {self.to}"
        return f"{self.name} through channel {self.to}"


@dataclass(frozen=True, slots=True)
class Part:
    """A text, and its recipients. A message has one part for each template that the languages of
    its recipients need."""

    template: str
    language: str
    subject: str
    text: str
    recipients: tuple[Recipient, ...]

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON; `from_json` is the inverse."""
        return {
            "template": self.template,
            "language": self.language,
            "subject": self.subject,
            "text": self.text,
            "recipients": [one.to_json() for one in self.recipients],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Part:
        return cls(
            str(data["template"]),
            str(data["language"]),
            str(data["subject"]),
            str(data["text"]),
            tuple(map(Recipient.from_json, data["recipients"])),
        )


@dataclass(frozen=True, slots=True)
class Content:
    """The text of a message, its recipients, and the ways to them. `next_update` is when the
    message promises the next update."""

    audience: Audience
    parts: tuple[Part, ...]
    next_update: datetime | None = None

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        return tuple(one for part in self.parts for one in part.recipients)

    def part_of(self, index: int) -> Part:
        """Return the text for a recipient, by its place in `recipients`."""
        for part in self.parts:
            if index < len(part.recipients):
                return part
            index -= len(part.recipients)
        raise IndexError(index)

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON; `from_json` is the inverse."""
        return {
            "audience": str(self.audience),
            "parts": [part.to_json() for part in self.parts],
            "next_update": to_rfc3339(self.next_update) if self.next_update is not None else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Content:
        at = data.get("next_update")
        return cls(
            Audience(data["audience"]),
            tuple(map(Part.from_json, data["parts"])),
            from_rfc3339(at) if at else None,
        )

    @property
    def digest(self) -> str:
        """The digest that an approval names: of every word, every recipient and every way."""
        whole = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(whole.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of a message for one recipient, since when, and what was said about it."""

    fate: Fate = Fate.DRAFTED
    at: datetime | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class IncidentMessage:
    """A message; `entry` is the entry of its draft. `content` is None if the draft was redacted, or
    if it is encrypted here (`sealed`). `intact` says that the bodies of draft and approval are
    those that the chain holds the digests of. `deliveries` are in the order of the recipients.
    `drafted_as` is what the kernel reported about the person who drafted it, `approved_as` about
    the person who approved it. `approval` is the entry of the approval. `reports` are the digests
    of the reports of mail servers that were recorded, `seal` the salted digest of the draft."""

    number: int
    entry: int
    content: Content | None
    drafted_at: datetime
    drafted_by: str
    audience: str = ""
    approved_at: datetime | None = None
    approved_by: str = ""
    approved: str = ""
    approval: int = 0
    sent_at: datetime | None = None
    withdrawn: str = ""
    intact: bool = True
    deliveries: tuple[Delivery, ...] = ()
    drafted_as: Actor | None = None
    approved_as: Actor | None = None
    reports: frozenset[str] = frozenset()
    seal: str = ""
    sealed: bool = False

    @property
    def digest(self) -> str:
        return self.content.digest if self.content is not None else ""

    @property
    def is_approved(self) -> bool:
        """Whether a person approved exactly this content."""
        return bool(self.approved) and self.approved == self.digest and self.intact

    @property
    def state(self) -> str:
        """The state in one word or two."""
        if self.content is None:
            return "encrypted" if self.sealed else "redacted"
        if self.withdrawn:
            return "withdrawn"
        if self.sent_at is None:
            needs = self.content.audience.is_external
            return "approved" if self.is_approved else "to be approved" if needs else "drafted"
        fates = {one.fate for one in self.deliveries}
        for fate in (Fate.UNKNOWN, Fate.REFUSED, Fate.BOUNCED, Fate.TO_TELL, Fate.WAITING):
            if fate in fates:
                return str(fate)
        return "sent"

    def with_fate(self, index: int, fate: Fate, at: datetime, text: str) -> IncidentMessage:
        """Return the message with a new result for one recipient."""
        fates = list(self.deliveries)
        fates[index] = Delivery(fate, at, text)
        return replace(self, deliveries=tuple(fates))


def objection(message: IncidentMessage, digest: str) -> str:
    """Return why a message that waits must not be sent; empty if it is the message that was
    approved and handed over. `digest` is the digest of the message that was handed over."""
    if message.content is None:
        return "its text was redacted"
    if message.withdrawn:
        return "it was withdrawn"
    if message.digest != digest or not message.intact:
        return "its text is not the one that was sent: somebody changed the records"
    if message.content.audience.is_external and not message.is_approved:
        return "nobody has approved this text"
    return ""


def draft_words(body: Mapping[str, Any]) -> str:
    """Return what a draft says, for the timeline."""
    content = Content.from_json(body["content"])
    return f"message to {content.audience} drafted: {content.parts[0].subject}"


def words(body: Mapping[str, Any]) -> str:
    """Return what an entry about a message says, for the timeline."""
    act = Act(body["act"])
    name = f"message {body['message']}"
    if act is Act.APPROVE:
        return f"{name} approved, digest {str(body['digest'])[:12]}"
    if act is Act.SEND:
        count = len(body["recipients"])
        return f"{name} to {body['audience']} sent to {count} address{'es' * (count != 1)}"
    if act is Act.WITHDRAW:
        return f"{name} withdrawn"
    said = f": {body['said']}" if body.get("said") else ""
    verb = _VERBS[act]
    return f"{name} {verb} {body['name']}{said}"


_VERBS = {
    Act.ACCEPTED: "accepted for",
    Act.REFUSED: "not accepted for",
    Act.UNKNOWN: "may or may not have reached",
    Act.BOUNCED: "came back from",
    Act.TOLD: "told by a person to",
}
