"""What people do with messages of an incident: draft, approve and send them, and record the
results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd.errors import UsageError
from drd.flows.incidents.genuine import require_genuine
from drd.flows.incidents.rendering import render
from drd.flows.incidents.writing import Desk, require_opened
from drd.model.incidents import entries as kinds
from drd.model.incidents.audiences import Audience
from drd.model.incidents.doubts import UNSEAL
from drd.model.incidents.entries import draft as entry
from drd.model.incidents.incident import Incident
from drd.model.incidents.letters import PREFIX, Place, letter_rows, own_rows
from drd.model.incidents.message_fold import messages
from drd.model.incidents.messages import (
    MAY_REPEAT,
    Act,
    Content,
    Fate,
    IncidentMessage,
    Part,
    Recipient,
    Way,
)
from drd.model.incidents.objections import (
    approval_lacks,
    require_current,
    require_sufficient_approval,
)
from drd.model.incidents.recipients import Addressed, Reach
from drd.model.message import Routed
from drd.model.nearest import meant
from drd.model.records import Draft
from drd.model.text import escaped, some
from drd.model.units import to_rfc3339
from drd.ports import Catalogue

DIGITS = 12
"""An approval names at least so many digits of a digest."""
MAY_COME_BACK = (Fate.ACCEPTED, Fate.UNKNOWN)
"""The results after which a mail may still come back, as a person or a mail server reports."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Templates by name, the file of each, and which one a language has. `values` returns what
    templates may use, for a language."""

    texts: Mapping[str, str]
    files: Mapping[str, str]
    of: Callable[[str, str], str]
    values: Callable[[str], Mapping[str, Any]]


def compose(
    audience: Audience,
    template: str,
    found: Sequence[Addressed],
    sources: Sources,
    next_update: datetime | None,
) -> Content:
    """Return the message: a text for each template that the languages of the recipients need.
    Raises ConfigError for a template that cannot be rendered."""
    if template not in sources.texts:
        raise UsageError(
            f"there is no template {template!r}",
            hint=meant(template, sorted(sources.texts)),
        )
    groups: dict[tuple[str, str], list[Addressed]] = {}
    for one in found:
        chosen = sources.of(template, one.language)
        language = one.language if chosen != template else "en"
        groups.setdefault((chosen, language), []).append(one)
    if not found:  # only to be shown
        groups[template, "en"] = []
    parts = []
    for (chosen, language), members in groups.items():
        made = render(chosen, sources.texts, sources.files, sources.values(language))
        recipients = tuple(one.recipient for one in members)
        parts.append(Part(chosen, language, made.subject, made.text, recipients))
    return Content(audience, tuple(parts), next_update)


def known(catalogue: Catalogue, number: int) -> tuple[IncidentMessage, ...]:
    """Return the messages of an incident, without the messages of incidents that were merged into
    it."""
    return messages(number, catalogue.incidents.entries(catalogue.incidents.get(number)))


def message_of(catalogue: Catalogue, number: int, which: int) -> IncidentMessage:
    """Return a message by its number. Raises UsageError if there is none."""
    message = next((m for m in known(catalogue, number) if m.number == which), None)
    if message is None:
        raise UsageError(
            f"incident {number} has no message {which}",
            hint=f"to list the messages of this incident: drd incident message list {number}",
        )
    return message


def draft(desk: Desk, content: Content) -> IncidentMessage:
    """Keep a message, whose content never changes from now on."""

    def drafts(incident: Incident) -> list[Draft]:
        require_opened(incident)
        return [entry(kinds.DRAFT, desk.number, desk.author, {"content": content.to_json()})]

    desk.catalogue.incidents.add(desk.number, drafts)
    return known(desk.catalogue, desk.number)[-1]


def approvable(desk: Desk, which: int, reach: Reach) -> tuple[IncidentMessage, Content]:
    """Return a message that can be approved, and its content. A message that was sent can be
    approved again if its approval no longer suffices. Raises UsageError if it cannot be approved.
    """
    message = _usable(desk, which)
    assert message.content is not None
    if message.sent_at is not None and approval_lacks(message, reach) is None:
        raise UsageError(
            f"message {which} was sent already",
            hint=f"to write another message: {_drafts(desk, message)}",
        )
    return message, message.content


def approve(
    desk: Desk,
    which: int,
    digest: str,
    reach: Reach,
    people: Mapping[str, Sequence[str]],
) -> IncidentMessage:
    """Approve exactly this content. `digest` is the digest that the person has seen, or its
    beginning with at least `DIGITS` digits. `people` are the people of drd.yaml, with their roles.
    """
    message, content = approvable(desk, which, reach)
    author = desk.author
    reach.approval.require(author.by, people, approver=author.actor, drafter=message.drafted_as)
    if len(digest) < DIGITS:
        raise UsageError(
            f"the digest {escaped(digest)!r} is too short: at least {DIGITS} digits are needed",
            hint=f"copy the digest from: drd incident message preview {desk.number} {which}",
        )
    if not message.digest.startswith(digest.lower()):
        raise UsageError(
            f"message {which} has the digest {message.digest[:12]}, not "
            f"{escaped(digest)[:64]}: you have read a different text",
            hint=f"read the message again: drd incident message preview {desk.number} {which}",
        )
    _require_current(desk, message, range(len(content.recipients)), reach)
    _add(desk, Act.APPROVE, message, digest=message.digest)
    return message_of(desk.catalogue, desk.number, which)


def send(
    desk: Desk, which: int, reach: Reach, *, again: bool = False, to: Sequence[str] = ()
) -> IncidentMessage:
    """Hand a message over to be sent to all recipients; with `again`, only to the recipients `to`,
    to whom it was already sent. It is sent if and only if this was recorded."""
    message = _usable(desk, which)
    content = message.content
    assert content is not None
    _require_approval(desk, message, content, reach)
    require_genuine(desk.catalogue, message, desk.number, desk.author.at)
    chosen = _chosen(desk, message, again=again, to=to)
    if not chosen:
        return message
    _require_current(desk, message, chosen, reach)
    now = desk.author.at

    def drafts(incident: Incident) -> list[Draft]:
        require_opened(incident)
        current = message_of(desk.catalogue, desk.number, which)
        if current.deliveries != message.deliveries or current.approved != message.approved:
            raise UsageError(
                f"somebody else has just sent or changed message {which}",
                hint=f"to see its state: drd incident message list {desk.number}",
            )
        promise = content.next_update
        body = {
            "act": str(Act.SEND),
            "message": which,
            "audience": str(content.audience),
            "digest": message.digest,
            "recipients": list(chosen),
            "next_update": to_rfc3339(promise) if promise is not None else None,
        }
        return [entry(kinds.MESSAGE, desk.number, desk.author, body)]

    incident = desk.catalogue.incidents.get(desk.number)
    routed: list[Routed] = [
        *letter_rows(desk.number, message, chosen, now),
        *own_rows(incident, message, chosen, reach.urgency(incident), now),
    ]
    desk.catalogue.incidents.add(desk.number, drafts, routed=routed)
    return message_of(desk.catalogue, desk.number, which)


def _require_current(
    desk: Desk, message: IncidentMessage, places: Iterable[int], reach: Reach
) -> None:
    incident = desk.catalogue.incidents.get(desk.number)
    for place in places:
        require_current(message, place, incident, reach)


def _require_approval(desk: Desk, message: IncidentMessage, content: Content, reach: Reach) -> None:
    if not content.audience.is_external or message.is_approved:
        require_sufficient_approval(message, desk.number, reach)
        return
    command = f"drd incident message approve {desk.number} {message.number}"
    if message.approved:
        raise UsageError(
            f"message {message.number} was changed after its approval: its digest is "
            f"{message.digest[:12]}, but the approved digest is {message.approved[:12]}",
            hint="somebody changed the records. To see which entries: drd records verify",
        )
    if not message.intact:
        raise UsageError(
            f"somebody changed entries about message {message.number} in the records",
            hint="to see which entries: drd records verify. Then write the message again: "
            f"{_drafts(desk, message)}",
        )
    raise UsageError(
        f"nobody has approved message {message.number} to {content.audience}",
        hint=f"read and approve the message: {command}",
    )


def queued(catalogue: Catalogue, number: int, message: IncidentMessage) -> dict[int, str]:
    """Return the recipients, by their places, for whom a letter waits in the outbox, and why it was
    not accepted until now. One that was not tried yet waits for a channel of the host that pauses
    after an error."""
    queued_at: dict[int, str] = {}
    recipients = message.content.recipients if message.content is not None else ()
    own = {one.to for one in recipients if one.way is Way.OWN}
    for channel in sorted({_row_channel(one) for one in recipients if one.way is not Way.HAND}):
        for row in catalogue.outbox.waiting(channel):
            with suppress(KeyError, TypeError, ValueError):
                place = Place.of(row.message)
                if (place.incident, place.message) == (number, message.number):
                    why = row.error or (_pauses(catalogue, channel) if channel in own else "")
                    queued_at[place.recipient] = why
    return queued_at


def _pauses(catalogue: Catalogue, channel: str) -> str:
    """Return the error after which the channel pauses; empty if it does not."""
    failing = [f for f in catalogue.outbox.channels() if f.name == channel and f.failing_since]
    return next((f.error or "" for f in failing), "")


def _row_channel(recipient: Recipient) -> str:
    """Return the channel of the rows for a recipient in the outbox."""
    if recipient.way is Way.OWN:
        return recipient.to
    return f"{PREFIX}{recipient.via if recipient.way is Way.MAIL else recipient.to}"


def _chosen(
    desk: Desk, message: IncidentMessage, *, again: bool, to: Sequence[str]
) -> tuple[int, ...]:
    """Return the recipients to send to, by their places. Without `again` those to whom it was not
    sent yet."""
    assert message.content is not None
    recipients = message.content.recipients
    fresh = [n for n, d in enumerate(message.deliveries) if d.fate is Fate.DRAFTED]
    if not again:
        return tuple(n for n in fresh if not to or {recipients[n].name, recipients[n].to} & set(to))
    if not to:
        raise UsageError(
            "--again needs a recipient",
            hint=f"add --to NAME. To see the recipients: drd incident message list {desk.number}",
        )
    waiting = queued(desk.catalogue, desk.number, message)
    chosen = [
        n
        for n, d in enumerate(message.deliveries)
        if (d.fate in MAY_REPEAT or (d.fate is Fate.WAITING and n not in waiting))
        and {recipients[n].name, recipients[n].to} & set(to)
    ]
    if not chosen:
        raise UsageError(
            f"drd cannot send message {message.number} again to {escaped(some(to))}: only a "
            "message that was refused, came back, or whose result is unknown can be sent again",
            hint=f"to see the state of each recipient: drd incident message list {desk.number}",
        )
    return tuple(chosen)


def settle(
    desk: Desk, which: int, to: str, act: Act, *, said: str, happened_at: datetime | None
) -> IncidentMessage:
    """Record what a person knows: a mail came back, or the person has told somebody."""
    message = _usable(desk, which)
    assert message.content is not None
    before = {Act.BOUNCED: MAY_COME_BACK, Act.TOLD: tuple(Fate)}[act]
    recipients = message.content.recipients
    places = [
        n
        for n, d in enumerate(message.deliveries)
        if d.fate in before
        and d.fate is not Fate.DRAFTED
        and to in {recipients[n].name, recipients[n].to}
    ]
    if not places:
        names = some([r.to or r.name for r in recipients], 10)
        raise UsageError(
            f"message {which} was not sent to {escaped(to)!r}",
            hint=f"recipients of the message: {escaped(names)}. Send the message first.",
        )
    addresses = list(dict.fromkeys(recipients[n].to for n in places))
    if act is Act.BOUNCED and len(addresses) > 1:
        raise UsageError(
            f"message {which} was sent to {len(addresses)} addresses of {escaped(to)!r}",
            hint=f"name the address that came back: --to {escaped(' or --to '.join(addresses))}",
        )
    for place in places:
        recipient = recipients[place]
        _add(
            desk,
            act,
            message,
            recipient=place,
            name=recipient.name,
            said=said.strip(),
            happened_at=to_rfc3339(happened_at) if happened_at is not None else None,
        )
    return message_of(desk.catalogue, desk.number, which)


def withdraw(desk: Desk, which: int, reason: str) -> IncidentMessage:
    """Take a message back that was not sent, or that still waits: to whom it was not sent yet, it
    does not leave any more."""
    message = _usable(desk, which)
    if message.sent_at is not None and not queued(desk.catalogue, desk.number, message):
        raise UsageError(
            f"message {which} was sent already",
            hint=f"send a correction: {_drafts(desk, message)}",
        )
    _add(desk, Act.WITHDRAW, message, reason=reason.strip())
    return message_of(desk.catalogue, desk.number, which)


def encrypted(which: int) -> UsageError:
    """Return the error for a message whose draft was restored encrypted after a loss."""
    return UsageError(
        f"the text of message {which} is encrypted in this catalogue",
        hint=f"to read the text: {UNSEAL}",
    )


def _usable(desk: Desk, which: int) -> IncidentMessage:
    message = message_of(desk.catalogue, desk.number, which)
    if message.sealed:
        raise encrypted(which)
    if message.content is None:
        raise UsageError(
            f"the text of message {which} was redacted",
            hint=f"write another message: {_drafts(desk, message)}",
        )
    if message.withdrawn:
        raise UsageError(
            f"message {which} was withdrawn",
            hint=f"write another message: {_drafts(desk, message)}",
        )
    return message


def _drafts(desk: Desk, message: IncidentMessage) -> str:
    """Return the command that drafts another message to the same audience."""
    return f"drd incident message draft {desk.number} {message.audience or 'AUDIENCE'}"


def _add(desk: Desk, act: Act, message: IncidentMessage, **body: Any) -> None:
    whole = {"act": str(act), "message": message.number, **body}
    made = entry(kinds.MESSAGE, desk.number, desk.author, whole)
    desk.catalogue.incidents.add(desk.number, lambda _: [made])
