"""Messages of incidents as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.api.values import time_of
from drd.model.incidents.messages import Content, IncidentMessage


def content_document(content: Content) -> dict[str, Any]:
    """Return the text of a message, its recipients, and its digest."""
    return {
        "audience": str(content.audience),
        "external": content.audience.is_external,
        "digest": content.digest,
        "next_update": time_of(content.next_update),
        "parts": [
            {
                "template": part.template,
                "language": part.language,
                "subject": part.subject,
                "text": part.text,
                "recipients": [one.to_json() for one in part.recipients],
            }
            for part in content.parts
        ],
    }


def message_document(
    message: IncidentMessage, waits: Mapping[int, str], lacking: str
) -> dict[str, Any]:
    """Return a message, and its result for each recipient. `waits` says why a letter that is still
    in the outbox was not accepted until now, by the place of the recipient. `lacking` is what its
    approval lacks by the present rule."""
    content = message.content
    recipients = content.recipients if content is not None else ()
    return {
        "message": message.number,
        "audience": message.audience or None,
        "withdrawn": bool(message.withdrawn),
        "approved": message.is_approved and not lacking,
        "approval_lacks": lacking or None,
        "entry": message.entry,
        "state": message.state,
        "drafted_at": time_of(message.drafted_at),
        "drafted_by": message.drafted_by,
        "approved_at": time_of(message.approved_at),
        "approved_by": message.approved_by or None,
        "approved_digest": message.approved or None,
        "sent_at": time_of(message.sent_at),
        "content": content_document(content) if content is not None else None,
        "deliveries": [
            {
                **recipient.to_json(),
                "fate": str(delivery.fate),
                "at": time_of(delivery.at),
                "said": waits.get(place) or delivery.text or None,
                "queued": place in waits,
            }
            for place, (recipient, delivery) in enumerate(
                zip(recipients, message.deliveries, strict=True)
            )
        ],
    }
