"""Why a message must not leave to a recipient any more, though it was drafted. Pure."""

from __future__ import annotations

from drd.errors import UsageError
from drd.model.incidents.incident import Incident
from drd.model.incidents.messages import IncidentMessage, Recipient, Way
from drd.model.incidents.recipients import NO_ADDRESS, Reach, may_read, not_for, own_address
from drd.model.person_names import is_same, user_of
from drd.model.text import escaped


def require_current(message: IncidentMessage, index: int, incident: Incident, reach: Reach) -> None:
    """Raise UsageError if drd.yaml does not have a recipient as it was when the message was
    drafted, or if the incident was restricted and the recipient may not read it. `index` is its
    place. Raises SecretUnavailable if drd cannot read where a channel leads."""
    assert message.content is not None
    audience = message.content.audience
    recipient = message.content.recipients[index]
    inside = recipient.way is not Way.OWN and may_read(recipient.name, incident)
    if incident.restricted and not audience.is_external and not inside:
        raise not_for(recipient.name, incident)
    changed = _changed(recipient, reach)
    if changed:
        raise UsageError(
            f"{changed}, to whom message {message.number} was drafted",
            hint=f"write the message again: drd incident message draft {incident.number} "
            f"{audience}",
        )


def approval_lacks(message: IncidentMessage, reach: Reach) -> UsageError | None:
    """Return what the approval of a message lacks by the present rule of drd.yaml, which may be
    stricter than before; None if it lacks nothing, or if nobody has approved exactly this message.
    """
    assert message.content is not None
    if not message.content.audience.is_external or not message.is_approved:
        return None
    return reach.approval.lacks(
        message.approved_by,
        _people(message, reach),
        approver=message.approved_as,
        drafter=message.drafted_as,
    )


def require_sufficient_approval(message: IncidentMessage, number: int, reach: Reach) -> None:
    """Raise UsageError if the approval of a message of incident `number` is not enough any more."""
    lack = approval_lacks(message, reach)
    if lack is not None:
        raise UsageError(
            f"message {message.number} lacks an approval: drd.yaml has a stricter rule than when "
            f"{escaped(message.approved_by)} approved it. {lack.message}",
            hint=f"{lack.hint.rstrip('.')}. Then: drd incident message approve {number} "
            f"{message.number}",
        )


def _people(message: IncidentMessage, reach: Reach) -> dict[str, tuple[str, ...]]:
    """Return the people of drd.yaml with their roles. A user who approved under the name of
    somebody whom drd.yaml maps to another user has no roles."""
    people = {person.name: person.roles for person in reach.book.people}
    name, actor = message.approved_by, message.approved_as
    if actor is None or actor.uid == 0:
        return people
    only_a_user = actor.came == "socket" and not actor.claimed_by
    user = user_of(name, reach.users)
    if user is None:
        user = "" if only_a_user else actor.user
    if user != actor.user:
        return {n: () if is_same(n, name) else roles for n, roles in people.items()}
    return people


def _changed(recipient: Recipient, reach: Reach) -> str:
    """Return what has changed in drd.yaml; empty if nothing has."""
    words = escaped(recipient.words)
    gone = f"drd.yaml does not have {words} any more"
    if recipient.way is Way.OWN:
        return "" if reach.channel(recipient.to) is not None else gone
    if recipient.way is Way.CHANNEL:
        contact = next((c for c in reach.book.contacts if c.name == recipient.name), None)
        spec = reach.channel(recipient.to)
        if contact is None or contact.channel != recipient.to or spec is None:
            return gone
        same = reach.leads(spec) == recipient.leads
        return "" if same else f"drd.yaml now has a different address for {words}"
    return "" if _has(recipient, reach) else gone


def _has(recipient: Recipient, reach: Reach) -> bool:
    """Return whether drd.yaml has this mail address, or what a person uses."""
    contact = next((c for c in reach.book.contacts if c.name == recipient.name), None)
    person = reach.book.person(recipient.name)
    if recipient.way is Way.HAND:
        known = {", ".join(contact.by_hand)} if contact is not None else set()
        known |= {person.phone or NO_ADDRESS} if person is not None else set()
        return recipient.to in (known or {NO_ADDRESS})
    mails = {*(contact.mails if contact is not None else ())}
    mails |= {person.mail} if person is not None else {own_address(recipient.name, reach.owners)}
    mails.discard("")
    keys = {"", contact.key if contact is not None else ""}
    return recipient.to in mails and recipient.key in keys and recipient.via in reach.mail_channels
