"""Messages of incidents in the outbox: a row for each recipient, which names the message. Pure.

A row has neither text nor address: both are read from the chain of records when the letter is sent,
and the digest is compared. Its channel has a name of its own, so that letters are never combined
into a digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from drd.model.incidents.incident import Incident
from drd.model.incidents.messages import IncidentMessage, Way
from drd.model.message import INCIDENT, LETTER, Message, Routed, Urgency

PREFIX = "letter/"
SENDING = "sending"
"""The key of `details` that says since when somebody is just handing the message over."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which message a row is about, and which of its recipients."""

    incident: int
    message: int
    recipient: int
    digest: str
    sending: str = ""

    @classmethod
    def of(cls, message: Message) -> Place:
        """Read the place out of a row. Raises KeyError, TypeError, ValueError for what drd never
        writes."""
        details = message.details
        return cls(
            int(details["incident"]),
            int(details["message"]),
            int(details["recipient"]),
            str(details["digest"]),
            str(details.get(SENDING) or ""),
        )


def channel_of(row_channel: str) -> str:
    """Return the channel of drd.yaml that carries a letter; empty for other rows."""
    return row_channel.removeprefix(PREFIX) if row_channel.startswith(PREFIX) else ""


def letter_rows(
    number: int, message: IncidentMessage, chosen: Sequence[int], now: datetime
) -> list[Routed]:
    """Return the rows for the recipients whom drd itself writes to, one each."""
    assert message.content is not None
    rows: list[Routed] = []
    for index in chosen:
        recipient = message.content.recipients[index]
        if recipient.way not in (Way.MAIL, Way.CHANNEL):
            continue
        channel = recipient.via if recipient.way is Way.MAIL else recipient.to
        details = _details(number, message, index)
        title = f"message {message.number} of incident {number}"
        row = Message(LETTER, "", "info", title, "", now, details=details)
        rows.append((f"{PREFIX}{channel}", row))
    return rows


def own_rows(
    incident: Incident,
    message: IncidentMessage,
    chosen: Sequence[int],
    urgency: Urgency,
    now: datetime,
) -> list[Routed]:
    """Return the messages through the channels of one's own people."""
    content = message.content
    assert content is not None
    rows: list[Routed] = []
    for index in chosen:
        recipient, part = content.recipients[index], content.part_of(index)
        if recipient.way is Way.OWN:
            details = _details(incident.number, message, index)
            own = Message(INCIDENT, "", urgency, part.subject, part.text, now, details=details)
            rows.append((recipient.to, own))
    return rows


def _details(number: int, message: IncidentMessage, index: int) -> dict[str, str | int]:
    """Return what `Place.of` reads."""
    return {
        "incident": number,
        "message": message.number,
        "recipient": index,
        "digest": message.digest,
    }
