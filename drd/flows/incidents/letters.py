"""Send the letters of incidents: without a person's decision, each is sent at most once.

Before a letter is handed over, the outbox says so. If drd dies in between, nobody knows whether the
other side has taken it: then a person decides, and drd does not send it again by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from drd import log
from drd.errors import AlreadyRunning, DrdError, UsageError
from drd.exhaustion import text_of
from drd.flows.durable_steps import describe
from drd.flows.incidents.genuine import require_genuine
from drd.flows.incidents.messages import message_of
from drd.model.contacts import PGP_KEY
from drd.model.incidents import entries as kinds
from drd.model.incidents.bounces import letter_id
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.letters import Place, channel_of
from drd.model.incidents.messages import Act, IncidentMessage, Recipient, Way, objection
from drd.model.incidents.objections import require_current, require_sufficient_approval
from drd.model.incidents.recipients import Reach
from drd.model.text import escaped, shortened
from drd.model.units import from_rfc3339
from drd.ports import Catalogue, Clock
from drd.ports.notify import Closed, DeliveryUnknown, Letter, OpenPost, Post, Waiting

TRIED_FOR = timedelta(days=1)
"""How long a letter is tried again that was certainly not taken; then a person has to act."""
UNREADABLE_PAUSE = timedelta(hours=1)
PAUSES_S = (10.0, 60.0, 300.0, 900.0)
_ENCRYPTED = "Encrypted message"
_LEAD = "This message is encrypted to your age key. To read it: age -d -i KEY-FILE MESSAGE\n\n"
_PGP_LEAD = "This message is encrypted to your PGP key. To read it: gpg -d MESSAGE\n\n"
_LONGEST = 300

Encrypt = Callable[[str, str], str]
"""Returns a text, encrypted to a public key. Raises UsageError for a key that cannot be used."""


@dataclass(frozen=True, slots=True)
class Ways:
    """Whom drd can reach, and the channels that carry letters there. Both read each secret at most
    once, and get the same value: so a letter is sent to the same address that was compared."""

    reach: Reach
    open_post: OpenPost


@dataclass(frozen=True, slots=True)
class LetterSender:
    """Sends the letters that wait in the outbox. Safe in several processes: only one process at a
    time serves a channel. `ways` is called for each letter, and returns the recipients of drd.yaml
    as it was read last: a letter to a recipient who is no longer there is not sent."""

    catalogue: Catalogue
    ways: Callable[[], Ways]
    encrypt: Encrypt
    clock: Clock
    wait_s: float = 0.0
    at_once: bool = field(default=False)
    """Whether a letter is tried before its pause is over, because a person asks for it."""

    def is_due(self) -> bool:
        """Return whether a letter is due. Raises CatalogueError."""
        return bool(self._due(self.clock.now()))

    def deliver_due(self) -> int:
        """Send the letters that are due; return how many were settled. Raises CatalogueError."""
        settled = 0
        now = self.clock.now()
        for name in self._due(now):
            with (
                suppress(AlreadyRunning),
                self.catalogue.lock(f"channel {name}", wait_s=self.wait_s),
            ):
                settled += self._channel(name)
        return settled

    def _due(self, now: datetime) -> list[str]:
        far = now + timedelta(days=400) if self.at_once else now
        return [name for name in self.catalogue.outbox.due_channels(far) if channel_of(name)]

    def _channel(self, name: str) -> int:
        settled = 0
        for row in self.catalogue.outbox.waiting(name):
            if self.at_once or row.is_due(self.clock.now()):
                settled += self._row(row)
        return settled

    def _row(self, row: Waiting) -> bool:
        try:
            place = Place.of(row.message)
            message = message_of(self.catalogue, place.incident, place.message)
            content = message.content
            recipient = content.recipients[place.recipient] if content is not None else None
        except (KeyError, TypeError, ValueError, IndexError, UsageError):
            log.get().warning("letter.unreadable", row=row.id)
            later = self.clock.now() + UNREADABLE_PAUSE
            why = "the records do not contain this message. To see why: drd records verify"
            self.catalogue.outbox.put_off(row, error=why, next_try_at=later)
            return False
        if place.sending:
            since = from_rfc3339(place.sending)
            why = f"drd ended while it was sending, at {since:%H:%M:%S} UTC"
            return self._settle(row, place, recipient, Act.UNKNOWN, why)
        wrong = objection(message, place.digest)
        if recipient is None or wrong:
            return self._settle(row, place, recipient, Act.REFUSED, wrong)
        return self._hand_over(row, place, message, recipient)

    def _hand_over(
        self, row: Waiting, place: Place, message: IncidentMessage, recipient: Recipient
    ) -> bool:
        try:
            incident, ways = self.catalogue.incidents.get(place.incident), self.ways()
            require_current(message, place.recipient, incident, ways.reach)
            require_sufficient_approval(message, place.incident, ways.reach)
            require_genuine(self.catalogue, message, place.incident, self.clock.now())
            letter = self._letter(place, message, recipient, row.created_at)
            post = _opened(ways, recipient)
        except DrdError as error:
            return self._failed(row, place, recipient, error)
        marked = self.catalogue.outbox.begin(row, self.clock.now())
        try:
            said = post.post(letter)
        except DrdError as error:
            return self._failed(marked, place, recipient, error)
        except Exception as error:  # noqa: BLE001 (a channel of an extension may raise anything)
            unknown = DeliveryUnknown(f"{type(error).__name__}: {text_of(error)}")
            return self._failed(marked, place, recipient, unknown)
        return self._settle(marked, place, recipient, Act.ACCEPTED, said)

    def _letter(
        self, place: Place, message: IncidentMessage, recipient: Recipient, at: datetime
    ) -> Letter:
        assert message.content is not None
        part = message.content.part_of(place.recipient)
        name = letter_id(message.seal, place.recipient)
        to = recipient.to if recipient.way is Way.MAIL else ""
        if not recipient.key:
            return Letter(name, to, part.subject, part.text, at)
        sealed = self.encrypt(f"Subject: {part.subject}\n\n{part.text}", recipient.key)
        lead = _PGP_LEAD if recipient.key.startswith(PGP_KEY) else _LEAD
        return Letter(name, to, _ENCRYPTED, lead + sealed, at)

    def _failed(self, row: Waiting, place: Place, recipient: Recipient, error: DrdError) -> bool:
        why = describe(error).line
        if isinstance(error, DeliveryUnknown):
            return self._settle(row, place, recipient, Act.UNKNOWN, why)
        now = self.clock.now()
        if error.permanent or now - row.created_at > TRIED_FOR:
            return self._settle(row, place, recipient, Act.REFUSED, why)
        pause = PAUSES_S[min(row.tries, len(PAUSES_S) - 1)]
        self.catalogue.outbox.put_off(row, error=why, next_try_at=now + timedelta(seconds=pause))
        log.get(channel=row.channel).warning("letter.put_off", incident=place.incident)
        return False

    def _settle(
        self, row: Waiting, place: Place, recipient: Recipient | None, act: Act, said: str
    ) -> bool:
        """Record what became of a letter, and close it, in one transaction."""
        now = self.clock.now()
        body = {
            "act": str(act),
            "message": place.message,
            "recipient": place.recipient,
            "name": recipient.name if recipient is not None else "",
            "said": shortened(escaped(said), _LONGEST),
        }
        made = draft(kinds.MESSAGE, place.incident, Author("drd", now), body)
        closed = Closed(row, now, None if act is Act.ACCEPTED else str(act))
        self.catalogue.incidents.add(place.incident, lambda _: [made], closed=closed)
        # Neither the name nor the address: personal data stands in no log.
        journal = log.get(channel=channel_of(row.channel))
        tell = journal.info if act is Act.ACCEPTED else journal.warning
        tell(f"letter.{act}", incident=place.incident, message=place.message)
        return True


def _opened(ways: Ways, recipient: Recipient) -> Post:
    name = recipient.via if recipient.way is Way.MAIL else recipient.to
    spec = ways.reach.channel(name)
    assert spec is not None, "the recipient is current"
    return ways.open_post(spec)
