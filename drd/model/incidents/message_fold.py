"""Make the messages of an incident from its entries: drafts, and their results. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from drd.model.actor import Actor
from drd.model.incidents import entries as kinds
from drd.model.incidents.fold import time_in
from drd.model.incidents.messages import Act, Content, Delivery, Fate, IncidentMessage, Way
from drd.model.records import Entry, written


def messages(number: int, entries: Iterable[Entry]) -> tuple[IncidentMessage, ...]:
    """Return the messages of an incident by its entries, oldest first. An entry that cannot be read
    has no effect, but a draft keeps its number."""
    by_number: dict[int, IncidentMessage] = {}
    for entry in entries:
        if kinds.number_of(entry.header.subject) != number:
            continue
        if entry.header.kind == kinds.DRAFT:
            by_number[len(by_number) + 1] = _drafted(len(by_number) + 1, entry)
        elif entry.header.kind == kinds.MESSAGE:
            body = written(entry)
            with suppress(KeyError, ValueError, TypeError, AttributeError, IndexError):
                message = by_number[int(body["message"])]
                if entry.is_altered:
                    by_number[message.number] = replace(message, intact=False)
                    continue
                by_number[message.number] = _CHANGES[Act(body["act"])](message, entry, body)
    return tuple(by_number.values())


def _drafted(number: int, entry: Entry) -> IncidentMessage:
    """Return a draft; without content if the entry was redacted."""
    body = written(entry)
    content: Content | None = None
    with suppress(KeyError, ValueError, TypeError, AttributeError):
        content = Content.from_json(body["content"])
    by = str(body.get("by") or entry.header.actor_name)
    recipients = len(content.recipients) if content is not None else 0
    return IncidentMessage(
        number,
        entry.seq,
        content,
        entry.header.at,
        by,
        audience=str(content.audience) if content is not None else "",
        intact=_is_intact(entry),
        deliveries=(Delivery(),) * recipients,
        drafted_as=_actor(body),
        seal=entry.header.digest,
        sealed=bool(entry.sealed),
    )


def _actor(body: Mapping[str, Any]) -> Actor | None:
    with suppress(KeyError, ValueError, TypeError, AttributeError):
        return Actor.from_json(body["actor"])
    return None


def _is_intact(entry: Entry) -> bool:
    return entry.body is not None and not entry.is_altered


def _approved(message: IncidentMessage, entry: Entry, body: Mapping[str, Any]) -> IncidentMessage:
    return replace(
        message,
        approved=str(body["digest"]),
        approval=entry.seq,
        approved_at=entry.header.at,
        approved_by=str(body.get("by") or entry.header.actor_name),
        approved_as=_actor(body),
        intact=message.intact and _is_intact(entry),
    )


def _sent(message: IncidentMessage, entry: Entry, body: Mapping[str, Any]) -> IncidentMessage:
    at = entry.header.at
    after = replace(message, sent_at=message.sent_at or at)
    if message.content is None:
        return after
    for index in map(int, body["recipients"]):
        way = message.content.recipients[index].way
        first = {Way.HAND: Fate.TO_TELL, Way.OWN: Fate.QUEUED}.get(way, Fate.WAITING)
        after = after.with_fate(index, first, at, "")
    return after


def _settled(message: IncidentMessage, entry: Entry, body: Mapping[str, Any]) -> IncidentMessage:
    at = time_in(body, "happened_at") or entry.header.at
    text = str(body.get("said") or body.get("reason") or "")
    if body.get("report"):
        message = replace(message, reports=message.reports | {str(body["report"])})
    return message.with_fate(int(body["recipient"]), _FATES[Act(body["act"])], at, text)


_FATES = {
    Act.ACCEPTED: Fate.ACCEPTED,
    Act.REFUSED: Fate.REFUSED,
    Act.UNKNOWN: Fate.UNKNOWN,
    Act.BOUNCED: Fate.BOUNCED,
    Act.TOLD: Fate.TOLD,
}
_CHANGES: Mapping[Act, Callable[[IncidentMessage, Entry, Mapping[str, Any]], IncidentMessage]] = {
    Act.APPROVE: _approved,
    Act.SEND: _sent,
    Act.WITHDRAW: lambda m, _, body: replace(m, withdrawn=str(body.get("reason") or "withdrawn")),
    **dict.fromkeys(_FATES, _settled),
}
