"""Reports of mail servers: find the mail of an incident that each report is about, and record the
result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from drd.errors import UsageError
from drd.flows.incidents.messages import MAY_COME_BACK, known
from drd.model.incidents import entries as kinds
from drd.model.incidents.bounces import MOST, Bounce, letter_id
from drd.model.incidents.entries import Author
from drd.model.incidents.entries import draft as entry
from drd.model.incidents.incident import Incident
from drd.model.incidents.messages import Act, Fate, IncidentMessage, Way
from drd.model.records import Draft
from drd.model.text import escaped, some
from drd.ports import Catalogue

BACK = timedelta(days=14)
"""Mail servers try for days. So a report without the id of a mail may be about any mail to that
recipient that was sent in this time before the report."""
_INCIDENTS = 50
_MOST_INCIDENTS = 1000
_BY_HAND = "record it by hand: drd incident message bounced N M --to NAME --reason TEXT"


@dataclass(slots=True)
class Returned:
    """The results of reports: the mails that came back, how many reports said nothing new, how many
    are about mails that a server still tries to deliver or has delivered, and why others are not
    about a mail of an incident. `withheld` counts reports about restricted incidents: their sender
    does not learn more."""

    bounced: list[dict[str, Any]] = field(default_factory=list)
    unchanged: int = 0
    not_failed: int = 0
    withheld: int = 0
    unmatched: list[str] = field(default_factory=list)

    @property
    def left_out(self) -> list[str]:
        return self.unmatched

    def document(self) -> dict[str, Any]:
        return {
            "bounced": self.bounced,
            "unchanged": self.unchanged,
            "not_failed": self.not_failed,
            "withheld": self.withheld,
            "unmatched": self.unmatched,
        }


@dataclass(frozen=True, slots=True)
class _Mail:
    incident: int
    message: IncidentMessage
    place: int


class _NoMail(Exception):
    """Raised if the report is not about a mail of an incident; the message says why."""


def returned(
    catalogue: Catalogue,
    author: Author,
    bounces: Sequence[Bounce],
    may_add: Callable[[Incident], bool],
) -> Returned:
    """Record which mails came back, each once. Raises UsageError if no report is about a mail of an
    incident. If `may_add` is false for an incident, because the mail server has no role in it, a
    report counts only if it cites the id of the mail, which nobody can guess; the result then says
    nothing about it."""
    if len(bounces) > MOST:
        raise UsageError(
            f"the message has {len(bounces)} reports, but drd accepts at most {MOST}",
            hint="send fewer reports in one message.",
        )
    result, letters = Returned(), _Letters(catalogue)
    for bounce in bounces:
        try:
            mail = letters.find(bounce) or _mail_of(catalogue, author, bounce, may_add)
            private = not may_add(catalogue.incidents.get(mail.incident))
            _take(catalogue, author, bounce, mail, Returned() if private else result)
            result.withheld += private
        except _NoMail as error:
            result.unmatched.append(str(error))
    if result.unmatched and len(result.unmatched) == len(bounces):
        raise UsageError(result.unmatched[0], hint=_BY_HAND)
    return result


def _take(
    catalogue: Catalogue, author: Author, bounce: Bounce, mail: _Mail, result: Returned
) -> None:
    recipient = mail.message.content.recipients[mail.place] if mail.message.content else None
    assert recipient is not None, "it was found by its content"
    made: list[Draft] = []
    if not bounce.failed:
        result.not_failed += 1
        return

    def drafts(_: Incident) -> list[Draft]:
        messages = known(catalogue, mail.incident)
        current = next(m for m in messages if m.number == mail.message.number)
        is_known = bounce.report in current.reports
        if not is_known and current.deliveries[mail.place].fate in MAY_COME_BACK:
            body = {
                "act": str(Act.BOUNCED),
                "message": current.number,
                "recipient": mail.place,
                "name": recipient.name,
                "said": bounce.said,
                "happened_at": None,
                "report": bounce.report,
            }
            made.append(entry(kinds.MESSAGE, mail.incident, author, body))
        return made

    catalogue.incidents.add(mail.incident, drafts)
    if not made:
        result.unchanged += 1
        return
    result.bounced.append(
        {"incident": mail.incident, "message": mail.message.number, "to": recipient.to}
    )


def _mail_of(
    catalogue: Catalogue, author: Author, bounce: Bounce, may_add: Callable[[Incident], bool]
) -> _Mail:
    if bounce.incident:
        return _cited(catalogue, bounce)
    if bounce.cites:
        raise _NoMail(
            f"the report is about the mail {escaped(bounce.cites)}, which is not a message "
            "of an incident: the report does not contain a Message-ID of drd"
        )
    return _by_address(catalogue, author, bounce, may_add)


class _Letters:
    """The mails of incidents by their ids, read once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[str, _Mail] | None = None

    def find(self, bounce: Bounce) -> _Mail | None:
        """Return the mail whose id a report cites; None if it cites no id of a letter."""
        if not bounce.letter:
            return None
        if self._known is None:
            self._known = dict(self._read())
        return self._known.get(bounce.letter)

    def _read(self) -> Iterator[tuple[str, _Mail]]:
        for incident in self._catalogue.incidents.newest(closed=True, limit=_MOST_INCIDENTS):
            for message in known(self._catalogue, incident.number) if incident.drafts else ():
                for place, delivery in enumerate(message.deliveries):
                    if delivery.fate is not Fate.DRAFTED:
                        mail = _Mail(incident.number, message, place)
                        yield letter_id(message.seal, place), mail


def _cited(catalogue: Catalogue, bounce: Bounce) -> _Mail:
    nothing = f"incident {bounce.incident} has no message {bounce.number} that fits the report"
    try:
        incident = catalogue.incidents.get(bounce.incident)
    except UsageError:
        raise _NoMail(nothing) from None
    message = next(
        (m for m in known(catalogue, incident.number) if m.number == bounce.number), None
    )
    if message is not None and message.digest and bounce.recipient < len(message.deliveries):
        was_sent = message.deliveries[bounce.recipient].fate is not Fate.DRAFTED
        if message.digest.startswith(bounce.digest) and was_sent:
            return _Mail(incident.number, message, bounce.recipient)
    raise _NoMail(nothing)


def _by_address(
    catalogue: Catalogue, author: Author, bounce: Bounce, may_add: Callable[[Incident], bool]
) -> _Mail:
    """Return the mail to the address of a report that cites none, if there is only one."""
    if not bounce.address:
        raise _NoMail(
            "this report is not about a mail of an incident: it does not contain a "
            "Message-ID of drd, and does not name a recipient"
        )
    mails = list(_sent_to(catalogue, author, bounce, may_add))
    own = [mail for mail in mails if bounce.report in mail.message.reports]
    open_ones = [m for m in mails if m.message.deliveries[m.place].fate in MAY_COME_BACK]
    chosen = own or open_ones or mails
    to = escaped(bounce.address)
    if not chosen:
        raise _NoMail(
            "this report is not about a mail of an incident: it does not contain a "
            f"Message-ID of drd, and drd did not send a message to {to} in the last "
            f"{BACK.days} days"
        )
    if len(chosen) > 1:
        names = [f"message {m.message.number} of incident {m.incident}" for m in chosen]
        raise _NoMail(
            f"the report does not contain a Message-ID, and {len(chosen)} mails went to "
            f"{to}: {some(names, 5)}"
        )
    return chosen[0]


def _sent_to(
    catalogue: Catalogue, author: Author, bounce: Bounce, may_add: Callable[[Incident], bool]
) -> Iterator[_Mail]:
    since, address = author.at - BACK, bounce.address.casefold()
    for incident in catalogue.incidents.newest(closed=True, limit=_INCIDENTS):
        if not incident.drafts or not may_add(incident):
            continue
        for message in known(catalogue, incident.number):
            if message.sent_at is None or message.sent_at < since or message.content is None:
                continue
            for place, recipient in enumerate(message.content.recipients):
                was_sent = message.deliveries[place].fate is not Fate.DRAFTED
                if was_sent and recipient.way is Way.MAIL and recipient.to.casefold() == address:
                    yield _Mail(incident.number, message, place)
