"""The documents of action items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from drd.api.values import Document, text_of, time_of
from drd.model.incidents.actions import ActionItem
from drd.model.incidents.incident import Incident
from drd.model.units import from_rfc3339


def action_document(incident: int, item: ActionItem) -> Document:
    """Return one action item; `action` is the number of the entry that added the item."""
    return {
        "incident": incident,
        "action": item.entry,
        "text": text_of(item.text),
        "owner": text_of(item.owner),
        "due_at": time_of(item.due),
        "verified_by": item.verified_by or None,
        "added_at": time_of(item.at),
        "added_by": text_of(item.by),
        "done_at": time_of(item.done_at),
        "done_by": text_of(item.done_by or None),
        "reason": text_of(item.reason or None),
        "proof": item.proof or None,
    }


def action_of(document: Mapping[str, Any]) -> ActionItem:
    """Return the item of a document."""
    done = document["done_at"]
    return ActionItem(
        document["action"],
        from_rfc3339(document["added_at"]),
        document["added_by"] or "",
        document["text"] or "",
        document["owner"] or "",
        from_rfc3339(document["due_at"]),
        document["verified_by"] or "",
        from_rfc3339(done) if done is not None else None,
        document["done_by"] or "",
        document["reason"] or "",
        document["proof"] or "",
    )


def listed(incidents: Iterable[Incident], *, every: bool) -> Document:
    """Return the items of incidents: open items first, sorted by due time. `every`: also items
    that are done."""
    items = [
        (incident.number, item)
        for incident in incidents
        for item in (incident.actions if every else incident.open_actions)
    ]
    items.sort(key=lambda each: (each[1].done_at is not None, each[1].due, each[1].entry))
    return {"actions": [action_document(number, item) for number, item in items]}
