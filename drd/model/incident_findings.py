"""What people have not done after incidents of a plan, as findings of its readiness. Pure.

A finding names the incident and the number of an item or a message, but no text and no person:
people who may not read the incident read findings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from drd.model.incidents.incident import Incident
from drd.model.incidents.messages import Fate, IncidentMessage, Way
from drd.model.readiness_finding import ReadinessFinding, judged_as
from drd.model.text import some
from drd.model.units import format_time

ACTION_ITEMS = "action-items"
CONTACTS = "contacts-bounced"

_NAMED = 3
_REACHED = frozenset({Fate.ACCEPTED, Fate.BOUNCED})


def of_actions(incidents: Iterable[Incident], now: datetime) -> Iterator[ReadinessFinding]:
    """Yield a finding if action items of these incidents are overdue."""
    late = [
        (incident.number, item)
        for incident in incidents
        for item in incident.open_actions
        if item.is_overdue(now)
    ]
    if not late:
        return
    named = [
        f"item {item.entry} of incident {number} was due {format_time(item.due)}"
        for number, item in late
    ]
    text = f"action items of incidents are overdue: {some(named, _NAMED)}"
    remedy = f"to see these items: drd incident action {late[0][0]} list"
    yield judged_as(ACTION_ITEMS, "warning", "", text, remedy)


def of_contacts(
    told: Iterable[tuple[int, IncidentMessage]], addresses: Collection[str]
) -> Iterator[ReadinessFinding]:
    """Yield a finding if the last mail to an address came back, and drd.yaml still has the address.
    `told` are messages, each with the number of its incident; `addresses` are the addresses of
    drd.yaml, in small letters."""
    last: dict[str, tuple[datetime, Fate, int, int]] = {}
    for number, message in told:
        for address, at, fate in _mails(message):
            if address in addresses and (address not in last or at > last[address][0]):
                last[address] = (at, fate, number, message.number)
    back = sorted({(n, m) for _, fate, n, m in last.values() if fate is Fate.BOUNCED})
    if not back:
        return
    named = [f"message {message} of incident {number}" for number, message in back]
    text = (
        "mails to contacts came back, but drd.yaml still has their addresses: see "
        f"{some(named, _NAMED)}"
    )
    remedy = (
        f"find the addresses (drd incident message list {back[0][0]}), and correct them in drd.yaml"
    )
    yield judged_as(CONTACTS, "warning", "", text, remedy)


def _mails(message: IncidentMessage) -> Iterator[tuple[str, datetime, Fate]]:
    recipients = message.content.recipients if message.content is not None else ()
    for to, delivery in zip(recipients, message.deliveries, strict=False):
        if to.way is Way.MAIL and delivery.at is not None and delivery.fate in _REACHED:
            yield to.to.casefold(), delivery.at, delivery.fate
